"""The account endpoint against the simulated backend, over real sockets."""

import json
import ssl
from contextlib import asynccontextmanager

import pytest
import trio

from codexd import __version__, bounds
from codexd.accounts.limits.windows import parse_event, parse_headers, parse_usage
from codexd.accounts.model import Account
from codexd.errors import Overloaded, TokenRejected, UpstreamError, UpstreamFailed, UpstreamTimeout
from codexd.settings.schema import UpstreamSettings
from codexd.simulator.app import Simulator, serve_simulator
from codexd.simulator.options import Credits, MeteredLimit, Options
from codexd.upstream import account as account_module
from codexd.upstream.account import AccountEndpoint, ModelList
from codexd.upstream.http import open_client
from codexd.upstream.proxies import Proxies

NOW = 1_795_000_000.0
EMAIL = "simulated@example.com"


def clock():
    return NOW


@pytest.fixture
def simulator():
    return Simulator(clock=clock, options=Options(minimal_client_versions={"gpt-5.5": "0.124.0"}))


def sign_in(simulator):
    tokens = simulator.sign_in(EMAIL)["tokens"]
    account = Account("0123456789ab", tokens["account_id"], "user", EMAIL, "plus", NOW)
    return account, tokens["access_token"]


@pytest.fixture
def signed_in(simulator):
    return sign_in(simulator)


@asynccontextmanager
async def open_endpoint(backend_url, **settings):
    upstream = UpstreamSettings(backend_url=backend_url, **settings)
    async with open_client(upstream, proxies=Proxies(), tls=ssl.create_default_context()) as http:
        yield AccountEndpoint(http, lambda: upstream, clock)


@pytest.fixture
async def base(simulator, nursery):
    return await nursery.start(serve_simulator, simulator)


SPARK = MeteredLimit("spark", frozenset({"gpt-5.5"}))
BODY = {
    "model": "gpt-5.5",
    "instructions": "Be brief.",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "stream": True,
    "store": False,
}


async def ask_for_a_reply(endpoint, signed_in):
    account, token = signed_in
    fields = {"authorization": f"Bearer {token}", "chatgpt-account-id": account.chatgpt_account_id}
    fields |= {"version": endpoint.settings().client_version}
    return await endpoint.http.post(f"{endpoint.settings().backend_url}/codex/responses", json=BODY, headers=fields)


@pytest.mark.parametrize(
    ("options", "used", "status", "active"),
    [
        (Options(), {"slot": "secondary", "percent": 12}, 200, "codex"),
        (Options(), {"slot": "secondary", "percent": 100}, 429, "codex"),
        (Options(metered_limits=(SPARK,)), {"slot": "primary", "percent": 100, "limit": SPARK.feature}, 429, "spark"),
        (Options(credits=Credits(balance="9")), {"slot": "primary", "percent": 100}, 200, "codex"),
    ],
)
async def test_usage_headers_and_events_tell_the_same(nursery, options, used, status, active):
    simulator = Simulator(clock=clock, options=options)
    signed_in = sign_in(simulator)
    simulator.set_used(EMAIL, **used)
    base = await nursery.start(serve_simulator, simulator)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        usage = parse_usage(await endpoint.fetch_usage(*signed_in), NOW)
        reply = await ask_for_a_reply(endpoint, signed_in)
    told = parse_headers(reply.headers, NOW)
    assert (reply.status_code, told.active_limit) == (status, active)
    assert set(told.windows) == set(usage.windows)
    assert told.credits.can_pay is usage.credits.can_pay is (options.credits is not None)
    main_is_full = any(window.used_percent == 100 for window in usage.of_limit(None))
    assert usage.allowed is (options.credits is not None or not main_is_full)
    if status == 200:
        events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        event = next(event for event in events if event["type"] == "codex.rate_limits")
        assert parse_event(event, NOW).windows == usage.of_limit(None)


async def test_a_failing_usage_endpoint(simulator, signed_in, base):
    simulator.fail_usage(503)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(Overloaded, match="can't be read now"):
            await endpoint.fetch_usage(*signed_in)


async def test_we_say_who_we_are(simulator, signed_in, base):
    async with open_endpoint(f"{base}/backend-api/", client_version="0.169.0") as endpoint:
        await endpoint.fetch_usage(*signed_in)
    (request,) = simulator.requests
    assert (request.method, request.path) == ("GET", "/backend-api/wham/usage")
    assert request.headers["user-agent"].startswith(f"codexd/{__version__} ")
    assert request.headers["originator"] == "codexd"
    assert request.headers["version"] == "0.169.0"
    assert request.headers["chatgpt-account-id"] == signed_in[0].chatgpt_account_id


@pytest.mark.parametrize(("version", "is_listed"), [("0.169.0", True), ("0.123.0", False)])
async def test_the_models_are_those_of_our_client_version(signed_in, base, version, is_listed):
    async with open_endpoint(f"{base}/backend-api", client_version=version) as endpoint:
        models = await endpoint.fetch_models(*signed_in)
        assert models.etag
        assert await endpoint.fetch_models(*signed_in, models.etag) is None
        assert await endpoint.fetch_models(*signed_in, 'W/"another"') == models
    assert ("gpt-5.5" in [model["slug"] for model in models.models]) is is_listed


async def test_a_refused_token(simulator, signed_in, base):
    simulator.oauth.revoke_access(EMAIL)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        for ask in (endpoint.fetch_usage, endpoint.fetch_models):
            with pytest.raises(TokenRejected) as caught:
                await ask(*signed_in)
            assert signed_in[1] not in str(caught.value)


async def test_a_backend_that_is_not_there(signed_in):
    async with open_endpoint("http://127.0.0.1:9/backend-api") as endpoint:
        with pytest.raises(UpstreamFailed, match=r"127\.0\.0\.1 can't be reached"):
            await endpoint.fetch_usage(*signed_in)


# -- backends that a simulator is too well-behaved to be ------------------------------------------


DEEP = b'{"models":[{"slug":"a","x":' + b"[" * 900 + b"]" * 900 + b"}]}"


async def serve_answer(status, body, seen, headers, *, task_status):
    """One canned answer for every connection; None as body: none at all."""

    async def answer(stream):
        async with stream:
            seen.append(await stream.receive_some(65536))
            if body is None:
                await trio.sleep_forever()
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields = {"content-length": len(content), "connection": "close", **headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            await stream.send_all(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(answer, listeners)


@pytest.fixture
def answering(nursery):
    async def start(status, body, **headers):
        seen = []
        port = await nursery.start(serve_answer, status, body, seen, headers)
        return f"http://127.0.0.1:{port}", seen

    return start


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("/backend-api", b"/backend-api/wham/usage"),
        ("/proxy/backend-api/", b"/proxy/backend-api/wham/usage"),
        ("", b"/api/codex/usage"),
        ("/", b"/api/codex/usage"),
    ],
)
async def test_the_path_goes_by_the_base(signed_in, answering, prefix, path):
    base, seen = await answering(200, {"plan_type": "plus"})
    async with open_endpoint(base + prefix) as endpoint:
        assert await endpoint.fetch_usage(*signed_in) == {"plan_type": "plus"}
    assert seen[0].split(b" ")[1] == path


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Sign in</html>"),
        (200, b""),
        (200, []),
        (302, b""),
        (403, b"<html>Just a moment</html>"),
        (404, b""),
        (500, {"error": {"message": "boom", "code": "server_error"}}),
    ],
)
async def test_what_is_no_usage_document_is_an_error(signed_in, answering, status, body):
    base, _ = await answering(status, body)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamError) as caught:
            await endpoint.fetch_usage(*signed_in)
    assert caught.value.status == status
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize("document", [{}, {"models": None}, {"models": {"slug": "x"}}])
async def test_what_is_no_list_of_models_is_an_error(signed_in, answering, document):
    base, _ = await answering(200, document)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamFailed, match="list of models"):
            await endpoint.fetch_models(*signed_in)


async def test_odd_entries_among_the_models_are_left_out(signed_in, answering):
    base, _ = await answering(200, {"models": [None, "x", {"slug": "gpt-5.5"}]})
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        assert await endpoint.fetch_models(*signed_in) == ModelList([{"slug": "gpt-5.5"}], None)


async def test_unchanged_where_nothing_was_known_is_an_error(signed_in, answering):
    base, _ = await answering(304, b"")
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamError):
            await endpoint.fetch_models(*signed_in)


async def test_silence_ends(signed_in, answering, monkeypatch):
    monkeypatch.setattr(account_module, "TIMEOUT_S", 0.05)
    base, _ = await answering(200, None)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamTimeout, match="in time"):
            await endpoint.fetch_usage(*signed_in)


@pytest.mark.parametrize("etag", ["\u00e9", "x" * 300, ""])
async def test_an_etag_that_could_not_be_sent_back_is_none(signed_in, answering, etag):
    base, _ = await answering(200, b'{"models":[{"slug":"gpt-5.5"}]}', etag=etag)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        assert await endpoint.fetch_models(*signed_in) == ModelList([{"slug": "gpt-5.5"}], None)


@pytest.mark.parametrize("body", [b'{"models":[]}', b'{"models":[{"slug":""},{"slug":5},{"slug":"a\\n"}]}', DEEP])
async def test_a_list_that_names_no_model_is_an_error(signed_in, answering, body):
    base, _ = await answering(200, body)
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamFailed):
            await endpoint.fetch_models(*signed_in)


async def test_an_answer_without_end_is_not_read_to_it(signed_in, answering, monkeypatch):
    monkeypatch.setattr(bounds, "ANSWER_BYTES", 1000)
    base, _ = await answering(200, {"plan_type": "x" * 1000})
    async with open_endpoint(f"{base}/backend-api") as endpoint:
        with pytest.raises(UpstreamFailed, match="larger than"):
            await endpoint.fetch_usage(*signed_in)
