"""What goes wrong on the way to a provider, one sentence for each."""

import ssl

import httpx
import pytest
import trio

from codexd.errors import ProxyFailed, StreamBroken, UpstreamFailed, UpstreamTimeout
from codexd.upstream.connection import PROXY, to_broken, to_unreachable

REQUEST = httpx.Request("GET", "https://chatgpt.com/backend-api/wham/usage")
NAME = "the backend"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (trio.TooSlowError(), UpstreamTimeout, "the backend at chatgpt.com did not answer in time"),
        (httpx.ConnectTimeout("slow"), UpstreamTimeout, "the backend at chatgpt.com did not answer in time"),
        (httpx.PoolTimeout("slow"), UpstreamTimeout, "the backend at chatgpt.com did not answer in time"),
        (
            httpx.ConnectError("refused"),
            UpstreamFailed,
            "the backend at chatgpt.com can't be reached: no connection could be made",
        ),
        (httpx.ReadError(""), UpstreamFailed, "the backend at chatgpt.com can't be reached: the connection was lost"),
        (
            httpx.LocalProtocolError("Illegal header value b'Bearer tok_secret'"),
            UpstreamFailed,
            "the backend at chatgpt.com can't be reached: the request could not be sent",
        ),
    ],
)
def test_no_answer(error, kind, words):
    found = to_unreachable(error, REQUEST, NAME)
    assert (type(found), str(found)) == (kind, words)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (trio.TooSlowError(), UpstreamTimeout, "did not answer in time through the proxy 127.0.0.1:9 (HTTPS_PROXY)"),
        (
            httpx.ConnectError("refused"),
            ProxyFailed,
            "can't be reached through the proxy 127.0.0.1:9 (HTTPS_PROXY): no connection could be made",
        ),
        (
            httpx.ProxyError("407 Proxy Authentication Required"),
            ProxyFailed,
            "can't be reached through the proxy 127.0.0.1:9 (HTTPS_PROXY): 407 Proxy Authentication Required",
        ),
    ],
)
def test_no_answer_through_a_proxy(error, kind, words):
    request = httpx.Request("GET", REQUEST.url, extensions={PROXY: "127.0.0.1:9 (HTTPS_PROXY)"})
    found = to_unreachable(error, request, NAME)
    assert (type(found), str(found)) == (kind, f"the backend at chatgpt.com {words}")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.RemoteProtocolError("peer closed connection without sending complete message body"), "it was closed"),
        (httpx.ReadError("aclose"), "the connection was lost"),
    ],
)
def test_a_connection_that_breaks_during_the_answer(error, words):
    found = to_broken(error, NAME)
    assert isinstance(found, StreamBroken)
    assert str(found) == f"the connection to the backend broke during the answer: {words}"


def test_an_untrusted_certificate_is_called_that():
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error.__cause__ = ExceptionGroup("all attempts failed", [cause])
    words = "the backend at chatgpt.com can't be reached: its certificate is not trusted (self-signed certificate). "
    assert str(to_unreachable(error, REQUEST, NAME)).startswith(f"{words}If your company inspects TLS")


@pytest.mark.parametrize(
    "error",
    [
        httpx.RemoteProtocolError("illegal status line: bytearray(b'PROMPT')"),
        httpx.LocalProtocolError("Illegal header value b'PROMPT'"),
        httpx.DecodingError("PROMPT"),
        httpx.ReadError("PROMPT"),
        httpx.ConnectError("PROMPT"),
        httpx.ProxyError(f"502 {'x' * 300}PROMPT"),
    ],
)
def test_what_a_peer_sent_is_in_no_error_and_not_in_the_log(error, caplog):
    caplog.set_level("DEBUG", "codexd")
    words = str(to_unreachable(error, REQUEST, NAME)) + str(to_broken(error, NAME))
    assert "PROMPT" not in words + caplog.text
