"""What goes wrong on the way to a provider, one sentence for each."""

import ssl

import httpx
import pytest
import trio

from codexd import bounds
from codexd.errors import (
    BackendSilent,
    SettingInvalid,
    UpstreamFailed,
    UpstreamTimeout,
)
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.codex import ResponsesReader
from codexd.upstream.event_source import EventSource
from codexd.upstream.http import (
    USER_AGENT,
    AnswerTimeouts,
    fetch,
    make_tls,
    open_answer,
    open_client,
)
from codexd.upstream.proxies import Proxies

REQUEST = httpx.Request("GET", "https://chatgpt.com/backend-api/wham/usage")
NAME = "the backend"
ROOT_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUfVZOOToVLBvMLwyUVXwREuvbj6QwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZXhhbXBsZTAgFw0yNjExMzAyMTE2MDNaGA8yMTI2MTEwNjIx
MTYwM1owEjEQMA4GA1UEAwwHZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABMHyvFn1XcGiPzqbFr3m3IIZmXZbQmEsyXjy/+rG5rRDL4pUVWhq47oI5JtT
5BibjBZMxIfgSs84IiqhCCt85g6jUzBRMB0GA1UdDgQWBBRfSQ9gZAyyObuuwFFb
tfT2FoJsgjAfBgNVHSMEGDAWgBRfSQ9gZAyyObuuwFFbtfT2FoJsgjAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQD3tnaQTd7tdnnl0zqKdePYUlsh
X8jGmgH0sBJj4FfbYwIgZgylcTHmXshDczdtUijK9D2rBpo44o2pytB5rhilkjI=
-----END CERTIFICATE-----
"""


class Progress:
    def __init__(self):
        self.steps = []

    def note_connected(self):
        self.steps.append("connected")

    def note_sent(self):
        self.steps.append("sent")

    def note_headers(self, status, headers):
        self.steps.append(status)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("value", ["/nowhere/at/all", ssl.__file__, "a\udcffb"])
def test_certificates_that_can_not_be_read_are_said_with_their_variable(name, value):
    with pytest.raises(SettingInvalid) as caught:
        make_tls({name: value})
    assert str(caught.value).startswith(f"{name} = ")
    assert str(caught.value).isprintable()


def test_certificates_of_a_company(tmp_path, monkeypatch):
    file = tmp_path / "ca.pem"
    file.write_text(ROOT_CERTIFICATE)
    for name, value in {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": f"/nowhere:{tmp_path}"}.items():
        monkeypatch.setenv(name, value)
        assert make_tls({name: value}).verify_mode is ssl.CERT_REQUIRED


def test_a_key_log_that_can_not_be_written(monkeypatch):
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")
    with pytest.raises(SettingInvalid, match="SSLKEYLOGFILE"):
        make_tls({"SSLKEYLOGFILE": "/nowhere/keys"})


@pytest.fixture
async def http():
    async with open_client(UpstreamSettings(), proxies=Proxies(), tls=ssl.create_default_context()) as client:
        yield client


@pytest.fixture
async def serve(nursery):
    """Starts a server that reads a request, sends ``parts`` and then waits or hangs up; gives its URL."""

    async def start(*parts, hangs=False):
        async def handle(stream):
            async with stream:
                await stream.receive_some(65536)
                try:
                    for part in parts:
                        await stream.send_all(part)
                    if hangs:
                        await trio.sleep_forever()
                except trio.BrokenResourceError:
                    pass  # the client had enough

        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        return f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    return start


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def test_a_whole_answer(http, serve):
    url = await serve(HEAD + b"content-length: 2\r\n\r\n{}")
    request = http.build_request("GET", f"{url}/x")
    assert (request.headers["originator"], request.headers["user-agent"]) == ("codexd", USER_AGENT)
    answer = await fetch(http, request, timeout_s=5.0, max_bytes=10, name=NAME)
    assert (answer.path, answer.status, answer.body) == ("/x", 200, b"{}")


async def test_an_answer_that_is_too_large_or_cut(http, serve):
    url = await serve(HEAD + b"content-length: 20\r\n\r\n" + b"x" * 20)
    with pytest.raises(UpstreamFailed, match="larger than 10 bytes"):
        await fetch(http, http.build_request("GET", url), timeout_s=5.0, max_bytes=10, name=NAME)
    url = await serve(HEAD + b"content-length: 20\r\n\r\nx")
    with pytest.raises(UpstreamFailed, match="can't be reached"):
        await fetch(http, http.build_request("GET", url), timeout_s=5.0, max_bytes=100, name=NAME)


async def test_an_answer_that_does_not_come(http, serve):
    url = await serve(hangs=True)
    with pytest.raises(UpstreamTimeout, match=r"the backend at 127\.0\.0\.1 did not answer in time"):
        await fetch(http, http.build_request("GET", url), timeout_s=0.05, max_bytes=100, name=NAME)


async def test_an_open_answer_tells_how_far_it_has_come(http, serve):
    url, progress = await serve(HEAD + b"content-length: 3\r\n\r\n", b"abc"), Progress()
    request = http.build_request("POST", url, content=b"{}")
    async with open_answer(http, request, progress, timeouts=AnswerTimeouts(5.0), name=NAME) as answer:
        assert (answer.status, answer.is_json) == (200, True)
        assert await answer.read_error_body() == b"abc"
    assert progress.steps == ["connected", "sent", 200]


async def test_of_a_huge_refusal_no_more_is_read_than_needed(http, serve):
    url = await serve(HEAD + b"content-length: 99999999\r\n\r\n", *[b"x" * 65536] * 20, hangs=True)
    request = http.build_request("POST", url)
    async with open_answer(http, request, Progress(), timeouts=AnswerTimeouts(5.0), name=NAME) as answer:
        assert bounds.ERROR_BYTES < len(await answer.read_error_body()) < bounds.ERROR_BYTES + 200_000


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((), "the connection was closed, or the answer is not HTTP"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "the connection was closed, or the answer is not HTTP"),
    ],
)
async def test_what_the_library_says_is_not_shown(http, serve, parts, words):
    url = await serve(*parts)
    with pytest.raises(UpstreamFailed) as refused:
        await fetch(http, http.build_request("GET", url), timeout_s=5.0, max_bytes=10, name=NAME)
    assert str(refused.value) == f"the backend at 127.0.0.1 can't be reached: {words}"


async def test_a_refused_connection_is_called_that(http):
    with pytest.raises(UpstreamFailed, match=r"the connection was refused$"):
        await fetch(http, http.build_request("GET", "http://127.0.0.1:1"), timeout_s=5.0, max_bytes=10, name=NAME)


async def test_a_cookie_is_not_sent_back(http, nursery):
    seen = []

    async def handle(stream):
        async with stream:
            seen.append(await stream.receive_some(65536))
            await stream.send_all(HEAD + b"set-cookie: __cf_bm=abc; path=/\r\nconnection: close\r\n\r\n{}")

    listeners = await nursery.start(trio.serve_tcp, handle, 0)
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    for _ in range(2):
        await fetch(http, http.build_request("GET", url), timeout_s=5.0, max_bytes=10, name=NAME)
    assert len(seen) == 2
    assert not any(b"cookie" in request.lower() for request in seen)


async def test_a_backend_that_does_not_even_send_headers_is_silent(http, serve):
    url = await serve(hangs=True)
    request, progress = http.build_request("POST", url, content=b"{}"), Progress()
    with pytest.raises(BackendSilent, match=r"^the backend has sent nothing for 0\.05 s"):
        async with open_answer(http, request, progress, timeouts=AnswerTimeouts(60.0, 0.05), name=NAME):
            pass
    assert progress.steps == ["connected", "sent"]


async def test_the_wait_for_the_first_bytes_goes_on_after_the_headers(http, serve):
    url, timeouts = await serve(HEAD + b"\r\n", hangs=True), AnswerTimeouts(60.0, 0.05)
    request = http.build_request("POST", url, content=b"{}")
    with pytest.raises(BackendSilent, match=r"upstream.first_event_timeout"):
        async with open_answer(http, request, Progress(), timeouts=timeouts, name=NAME) as answer:
            source = EventSource(answer.chunks, timeouts, ResponsesReader(), name=NAME, begins_by=answer.begins_by)
            with source.watched():
                await source.receive_events()
