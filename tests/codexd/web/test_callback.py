"""The browser's way back, over real sockets on a free port."""

import errno
import re
import socket
from functools import partial

import httpx
import pytest
import trio

from codexd.accounts.model import Account
from codexd.errors import LoginFailed
from codexd.web import callback
from codexd.web.callback import bind_loopback, serve_callback
from codexd.web.server import bind

ANN = Account("a1", "ws-1", "user-1", "ann@example.com", "plus", 0.0)


class Visit:
    """A listener, and what it was told. ``answer`` is what its receiver gives, or raises."""

    def __init__(self):
        self.queries = []
        self.answer = (ANN, True)
        self.stop = trio.Event()
        self.port = 0
        self.cancelled = []

    async def receive(self, query):
        self.queries.append(dict(query))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def ask(self, path="/auth/callback?code=ac_secret&state=s", method="GET", **headers):
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            return await client.request(method, f"http://localhost:{self.port}{path}", headers=headers)

    def is_free(self):
        try:
            bind("127.0.0.1", self.port).close()
        except OSError:
            return False
        return True


@pytest.fixture
async def visit(nursery):
    visit = Visit()
    listener = bind("127.0.0.1", 0)
    visit.port = listener.getsockname()[1]
    listener.close()
    await nursery.start(
        partial(
            serve_callback, visit.port, visit.receive, cancel=visit.cancelled.append, stop=visit.stop, simulated=True
        )
    )
    return visit


async def test_a_signed_in_account(visit):
    response = await visit.ask("/auth/callback?code=ac_secret&state=s%201&code=other&empty=")
    assert visit.queries == [{"code": "ac_secret", "state": "s 1"}]
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Signed in as ann@example.com</h1>" in response.text
    assert "plus plan" in response.text
    assert "You can close this page." in response.text
    assert "Simulated:" not in response.text  # the account is not
    assert "ac_secret" not in response.text


async def test_what_keeps_the_code_from_leaking(visit):
    response = await visit.ask()
    headers = response.headers
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    [nonce] = re.findall(r"^'nonce-([A-Za-z0-9_-]{22})'$", policy["script-src"])
    assert re.findall(r"<script[^>]*>(.*?)</script>", response.text) == [
        'history.replaceState(null, "", location.pathname)'
    ]
    assert response.text.count(f'nonce="{nonce}"') == 2
    assert not re.search(r"(src|href)=\"(?!data:,)", response.text)
    assert nonce not in (await visit.ask()).text


async def test_a_failure_says_what_to_do(visit):
    visit.answer = LoginFailed("It was <denied>. Run `codexctl accounts add`.")
    response = await visit.ask()
    assert response.status_code == 400
    assert "<p>It was &lt;denied&gt;. Run <code>codexctl accounts add</code>.</p>" in response.text
    assert "Simulated:" in response.text
    assert "ac_secret" not in response.text


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/", "GET", {}, 404),
        ("/auth/callback/x?code=c&state=s", "GET", {}, 404),
        ("/success", "GET", {}, 404),
        ("/auth/callback?code=c&state=s", "POST", {}, 405),
        ("/auth/callback?code=c&state=s", "HEAD", {}, 405),
        ("/auth/callback?code=c&state=s", "GET", {"host": "evil.example.com"}, 403),
        ("/auth/callback?code=c&state=s", "GET", {"host": "localhost"}, 403),
        ("/auth/callback?code=c&state=s", "GET", {"host": "localhost:1"}, 403),
        ("/auth/callback?code=c&state=s", "GET", {"host": "localhost.evil.example.com:{port}"}, 403),
        ("/cancel", "POST", {}, 405),
        ("/cancel", "GET", {"host": "evil.example.com"}, 403),
        ("/cancel", "GET", {"sec-fetch-site": "cross-site"}, 403),
        ("/cancel", "GET", {"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_everything_else_is_refused(visit, path, method, headers, status):
    headers = {name: value.format(port=visit.port) for name, value in headers.items()}
    response = await visit.ask(path, method, **headers)
    assert response.status_code == status
    assert visit.queries == []
    assert visit.cancelled == []


async def test_another_program_may_cancel(visit):
    response = await visit.ask("/cancel", host=f"127.0.0.1:{visit.port}")
    assert response.status_code == 200
    assert "The sign-in was cancelled." in response.text
    assert visit.cancelled == [visit.port]


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LocalHost:{port}"])
async def test_the_names_of_this_machine(visit, host):
    assert (await visit.ask(host=host.format(port=visit.port))).status_code == 200


async def test_only_loopback_is_listened_on(visit):
    with socket.socket() as other:
        other.settimeout(1)
        assert other.connect_ex(("127.0.0.2", visit.port)) != 0


async def test_the_port_is_free_after_the_stop_and_the_last_page_still_arrives(visit, nursery):
    received = trio.Event()
    answer = visit.receive

    async def receive_and_stop(query):
        visit.stop.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert visit.is_free()
        received.set()
        return await answer(query)

    visit.receive = receive_and_stop
    listener = bind("127.0.0.1", 0)
    visit.port = listener.getsockname()[1]
    listener.close()
    async with trio.open_nursery() as own:
        await own.start(
            partial(serve_callback, visit.port, visit.receive, cancel=visit.cancelled.append, stop=visit.stop)
        )
        response = await visit.ask()
    assert response.status_code == 200
    assert received.is_set()


@pytest.mark.parametrize(("host", "named"), [("127.0.0.1", "127.0.0.1"), ("::1", r"\[::1\]"), ("::", "")])
def test_a_port_that_another_program_uses_on_either_loopback_address(host, named):
    with bind(host, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"in use: '{named}.*:{port}'"):
            bind_loopback(port)
    for listener in bind_loopback(port):
        listener.close()


@pytest.mark.parametrize("missing", ["127.0.0.1", "::1"])
def test_a_machine_without_one_of_the_families(monkeypatch, missing):
    def bind_others(host, port):
        if host == missing:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return bind(host, port)

    monkeypatch.setattr(callback, "bind", bind_others)
    [listener] = bind_loopback(0)
    listener.close()
    monkeypatch.setattr(callback, "bind", lambda _host, port: bind_others(missing, port))
    with pytest.raises(OSError, match="localhost:1"):
        bind_loopback(1)


@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
async def test_both_are_listened_on(visit, family):
    async with await trio.open_tcp_stream(family, visit.port) as stream:
        await stream.send_all(f"GET /nothing HTTP/1.1\r\nHost: localhost:{visit.port}\r\n\r\n".encode())
        assert (await stream.receive_some(1024)).startswith(b"HTTP/1.1 404")
