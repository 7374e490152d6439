"""What goes wrong on the way to a provider, in words that need no knowledge of the HTTP library."""

from __future__ import annotations

import logging
import os
import ssl

import httpx
import trio

from codexd.errors import ProxyFailed, StreamBroken, UpstreamError, UpstreamFailed, UpstreamTimeout
from codexd.upstream.proxies import EXTENSION, find_rejected, list_causes

log = logging.getLogger("codexd.upstream")


def to_unreachable(error: httpx.HTTPError | trio.TooSlowError, request: httpx.Request, name: str) -> UpstreamError:
    """The error for the user if ``request`` got no answer; ``name`` is the provider's name in errors."""
    proxy = request.extensions.get(EXTENSION)
    peer = f"{name} at {request.url.host}"
    if isinstance(error, trio.TooSlowError | httpx.TimeoutException):
        return UpstreamTimeout(f"{peer} did not answer in time{f' through the proxy {proxy}' if proxy else ''}")
    if proxy:
        return ProxyFailed(f"{peer} can't be reached through the proxy {proxy}: {_describe(error)}")
    return UpstreamFailed(f"{peer} can't be reached: {_describe(error)}")


def to_broken(error: httpx.HTTPError, name: str) -> StreamBroken:
    """The error for the user if the connection broke during the answer."""
    described = _describe(error)
    words = "it was closed" if isinstance(error, httpx.RemoteProtocolError) else described
    return StreamBroken(f"the connection to {name} broke during the answer: {words}", status=200)


def _describe(error: httpx.HTTPError) -> str:
    """What happened, in words that need no knowledge of the library, whose own go to the log.

    Those of a ``LocalProtocolError`` stay out even of the log: they may quote a header, and so a token.
    """
    if isinstance(error, httpx.ProxyError) and str(error):  # the words of the proxy
        return str(error)
    if rejected := find_rejected(error):
        return rejected
    if isinstance(error, httpx.LocalProtocolError):
        return "the request could not be sent"
    log.debug("%s: %s", type(error).__name__, error)
    cause = next((each for each in list_causes(error) if isinstance(each, OSError) and each.errno is not None), None)
    match cause:
        case ssl.SSLError():
            return "the TLS handshake failed"
        case trio.socket.gaierror():
            return "its name can't be resolved"
        case ConnectionRefusedError():
            return "the connection was refused"
        case ConnectionResetError() | BrokenPipeError():
            return "the connection was reset"
        case OSError(errno=int() as number):
            return os.strerror(number).lower()
    return next(words for kind, words in _WORDS if isinstance(error, kind))


_WORDS: tuple[tuple[type[httpx.HTTPError], str], ...] = (
    (httpx.TimeoutException, "it did not answer in time"),
    (httpx.ProxyError, "the proxy refused the connection"),
    (httpx.RemoteProtocolError, "the connection was closed, or the answer is not HTTP"),
    (httpx.ConnectError, "no connection could be made"),
    (httpx.HTTPError, "the connection was lost"),
)
