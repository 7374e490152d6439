"""Which proxy a request goes through, and what is said about one that can't be used."""

from __future__ import annotations

import ssl
import time

import httpcore
import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.refresh import make_back_off
from codexd.accounts.sign_in.server import SignInServer, TokenEndpoint
from codexd.errors import ProxyFailed, RefreshUnavailable, SettingInvalid, UpstreamFailed, UpstreamTimeout
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.http import fetch, open_client
from codexd.upstream.proxies import ProxiedTransport, Proxies

BACKEND = "https://chatgpt.com/backend-api"
CORPORATE = "http://proxy.corp:3128"


def find(url, **environ):
    proxy = Proxies.of(environ).find(httpx.URL(url))
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": CORPORATE}, "proxy.corp:3128 (HTTPS_PROXY)"),
        ({"https_proxy": " proxy.corp "}, "proxy.corp:80 (https_proxy)"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"}, "lower:2 (https_proxy)"),
        ({"HTTP_PROXY": CORPORATE}, None),
        ({"ALL_PROXY": "socks5://127.0.0.1"}, "127.0.0.1:1080 (ALL_PROXY)"),
        ({"ALL_PROXY": "socks5h://[::1]:9050"}, "[::1]:9050 (ALL_PROXY)"),
        ({"ALL_PROXY": "socks5://a:1", "HTTPS_PROXY": "https://b"}, "b:443 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "http://user:secret@proxy.corp:3128"}, "proxy.corp:3128 (HTTPS_PROXY)"),
    ],
)
def test_the_environment_names_the_proxy(environ, found):
    assert find(BACKEND, **environ) == found


@pytest.mark.parametrize(
    ("excepted", "url", "direct"),
    [
        ("localhost,[::1]", BACKEND, False),
        ("chatgpt.com", BACKEND, True),
        (".chatgpt.com", "https://ab.chatgpt.com", True),
        ("*.ChatGPT.com", "https://ab.chatgpt.com", True),
        ("gpt.com", BACKEND, False),
        ("chatgpt.com:443", BACKEND, False),  # httpx drops the default port of a URL, and so does curl's match
        ("chatgpt.com:8443", "https://chatgpt.com:8443/x", True),
        ("chatgpt.com:8443", BACKEND, False),
        ("*", BACKEND, True),
        ("a.b, *", BACKEND, True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("fd00::/8", "https://[fd00::1]", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", True),
        ("http://chatgpt.com", BACKEND, True),
        ("foo:bar:baz,[::,%%,chatgpt.com", BACKEND, True),
    ],
)
def test_no_proxy(excepted, url, direct):
    assert (find(url, HTTPS_PROXY=CORPORATE, NO_PROXY=excepted) is None) == direct
    assert (find(url, HTTPS_PROXY=CORPORATE, no_proxy=excepted, NO_PROXY="other") is None) == direct


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081", "http://127.9.9.9", "http://[::1]:1", "http://localhost:8081"]
)
def test_loopback_is_reached_without_a_proxy(url):
    assert find(url, ALL_PROXY=CORPORATE, HTTP_PROXY=CORPORATE) is None


@pytest.mark.parametrize(
    "value",
    [
        *("foo:bar:baz", "socks4://127.0.0.1:9", "ftp://x:1", "://x", "http://", "http://:8080", "http://[::1"),
        *("http://a b", "http://\udcff:1", "http://proxy:99999", "http://user:secret@proxy:port"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy", "HTTP_PROXY"])
def test_a_value_that_is_no_proxy_is_said_with_its_variable(name, value):
    with pytest.raises(SettingInvalid) as caught:
        Proxies.of({name: value})
    said = str(caught.value)
    assert said.startswith(name)
    assert "socks5://" in said
    assert "secret" not in said
    assert said.isprintable()


@given(st.text(), st.text())
def test_any_value_is_a_proxy_or_a_refused_setting(proxy, excepted):
    try:
        Proxies.of({"HTTPS_PROXY": proxy, "NO_PROXY": excepted}).find(httpx.URL(BACKEND))
    except SettingInvalid as refused:
        assert str(refused).startswith("HTTPS_PROXY")


# -- over sockets -----------------------------------------------------------------------------------

LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""httpcore leaves the socket of a SOCKS proxy that fails to the garbage collector."""


@pytest.fixture
async def listen(nursery):
    """Starts a server; gives its port."""

    async def start(handle):
        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        return listeners[0].socket.getsockname()[1]

    return start


async def ask(proxy, url="http://backend.example/x", timeout_s=5.0):
    proxies = Proxies.of({"ALL_PROXY": proxy})
    async with open_client(UpstreamSettings(), proxies=proxies, tls=ssl.create_default_context()) as http:
        return await fetch(http, http.build_request("GET", url), timeout_s=timeout_s, max_bytes=100, name="the backend")


def answering(status, seen):
    async def handle(stream):
        async with stream:
            seen.append(await stream.receive_some(65536))
            await stream.send_all(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode())

    return handle


async def test_a_request_goes_through_the_proxy(listen):
    seen = []
    port = await listen(answering("200 OK", seen))
    assert (await ask(f"http://127.0.0.1:{port}")).body == b"{}"
    assert seen[0].startswith(b"GET http://backend.example/x HTTP/1.1")


async def test_socks(listen):
    asked = []

    async def socks(stream):
        await stream.receive_some(1024)
        await stream.send_all(b"\x05\x00")
        asked.append(await stream.receive_some(1024))
        await stream.send_all(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await answering("200 OK", asked)(stream)

    port = await listen(socks)
    assert (await ask(f"socks5h://127.0.0.1:{port}")).body == b"{}"
    assert b"backend.example" in asked[0]


@pytest.mark.parametrize("url", ["http://backend.example/x", "https://backend.example/x"])
async def test_a_proxy_that_wants_a_password(listen, url):
    port = await listen(answering("407 Proxy Authentication Required", []))
    with pytest.raises(ProxyFailed) as caught:
        await ask(f"http://user:secret@127.0.0.1:{port}", url)
    assert str(caught.value) == (
        f"the backend at backend.example can't be reached through the proxy 127.0.0.1:{port} (ALL_PROXY): "
        "407 Proxy Authentication Required"
    )


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_does_not_run(scheme):
    with pytest.raises(ProxyFailed, match=r"through the proxy 127\.0\.0\.1:9 \(ALL_PROXY\)"):
        await ask(f"{scheme}://127.0.0.1:9")


@LEFT_OPEN
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_says_nothing(listen, scheme):
    async def stall(stream):
        async with stream:
            while await stream.receive_some(1024):
                pass

    port = await listen(stall)
    with pytest.raises(UpstreamTimeout, match=rf"through the proxy 127\.0\.0\.1:{port} \(ALL_PROXY\)"):
        await ask(f"{scheme}://127.0.0.1:{port}", "https://backend.example", timeout_s=0.1)


@LEFT_OPEN
@pytest.mark.parametrize("answer", [b"\x05\xff", b"HTTP/1.1 200 OK\r\n\r\n", b""])
async def test_a_socks_proxy_that_answers_otherwise(listen, answer):
    async def refuse(stream):
        async with stream:
            await stream.receive_some(1024)
            await stream.send_all(answer)

    port = await listen(refuse)
    with pytest.raises(ProxyFailed, match="ALL_PROXY"):
        await ask(f"socks5://127.0.0.1:{port}")


def fail_handshake(_request):
    rejected = ssl.SSLCertVerificationError(1, "certificate verify failed")
    rejected.verify_message = "self-signed certificate in certificate chain"
    try:
        raise trio.BrokenResourceError from rejected
    except trio.BrokenResourceError as error:
        raise httpx.ConnectError("") from error


@pytest.mark.parametrize(
    ("environ", "kind", "where"),
    [
        ({}, UpstreamFailed, "can't be reached: its certificate"),
        ({"ALL_PROXY": "proxy.corp:1"}, ProxyFailed, "through the proxy proxy.corp:1 (ALL_PROXY): its certificate"),
    ],
)
async def test_a_certificate_of_a_company_is_said_with_what_to_set(environ, kind, where):
    transport = ProxiedTransport(Proxies.of(environ), lambda _proxy: httpx.MockTransport(fail_handshake))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(kind) as caught:
            await fetch(http, http.build_request("GET", BACKEND), timeout_s=5, max_bytes=100, name="the backend")
        with pytest.raises(RefreshUnavailable, match=r"is not trusted .self-signed .* SSL_CERT_FILE"):
            await make_endpoint(http).refresh("rt_secret")
    assert where in str(caught.value)
    assert "SSL_CERT_FILE" in str(caught.value)


def make_endpoint(http):
    return TokenEndpoint(SignInServer(http, "https://auth.example.com", make_back_off(), time.time))


async def test_the_sign_in_server_is_asked_through_the_proxy():
    proxies = Proxies.of({"HTTPS_PROXY": "http://127.0.0.1:9"})
    async with open_client(UpstreamSettings(), proxies=proxies, tls=ssl.create_default_context()) as http:
        with pytest.raises(
            RefreshUnavailable, match=r"proxy 127\.0\.0\.1:9 \(HTTPS_PROXY\) \(the connection was refused\)"
        ):
            await make_endpoint(http).refresh("rt_secret")


class Steps(list):
    async def note(self, event, info):
        self.append(event)


def sending(method):
    return ("http11.send_request_headers.started", {"request": httpcore.Request(method, BACKEND)})


WAY_TO_PROXY = [("connection.connect_tcp.complete", {}), ("connection.start_tls.complete", {})]
REQUEST_SENT = [sending(b"POST"), ("http11.send_request_body.complete", {})]


@pytest.mark.parametrize(
    ("url", "events", "expected"),
    [
        (
            BACKEND,
            [
                *WAY_TO_PROXY,
                sending(b"CONNECT"),
                ("http11.send_request_body.complete", {}),
                ("http11.receive_response_headers.complete", {}),
                ("proxy.start_tls.complete", {}),
                *REQUEST_SENT,
            ],
            ["connection.start_tls.complete", *(event for event, _ in REQUEST_SENT)],
        ),
        (BACKEND, REQUEST_SENT, [event for event, _ in REQUEST_SENT]),
        (
            BACKEND,
            [("socks.connect_tcp.complete", {}), ("socks.start_tls.complete", {}), *REQUEST_SENT],
            ["connection.connect_tcp.complete", "connection.start_tls.complete", *(event for event, _ in REQUEST_SENT)],
        ),
        (
            "http://backend.example",
            [WAY_TO_PROXY[0], *REQUEST_SENT],
            [WAY_TO_PROXY[0][0], *(event for event, _ in REQUEST_SENT)],
        ),
    ],
)
async def test_the_steps_of_a_request_are_those_without_a_proxy(url, events, expected):
    steps = Steps()

    async def answer(request):
        for event, info in events:
            await request.extensions["trace"](event, info)
        return httpx.Response(200)

    transport = ProxiedTransport(Proxies.of({"ALL_PROXY": "proxy.corp:1"}), lambda _proxy: httpx.MockTransport(answer))
    async with httpx.AsyncClient(transport=transport) as http:
        await http.get(url, extensions={"trace": steps.note})
    assert steps == expected
