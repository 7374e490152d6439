"""What goes wrong on the way to a provider, in words that need no knowledge of the HTTP library."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator

import httpx
import trio

from codexd.descriptors import ADVICE, is_exhausted
from codexd.errors import ProxyFailed, StreamBroken, UpstreamError, UpstreamFailed, UpstreamTimeout

log = logging.getLogger("codexd.upstream")

MAX_PROXY_CHARS = 200
"""Of the reason that a proxy gives."""

PROXY, FAILURE = "proxy", "failure"
"""The extensions of an ``httpx.Request`` for errors: its proxy, and what went wrong. The sign-in reads them as well."""


def to_unreachable(error: httpx.HTTPError | trio.TooSlowError, request: httpx.Request, name: str) -> UpstreamError:
    """The error for the user if ``request`` got no answer; ``name`` is the provider's name in errors."""
    proxy = request.extensions.get(PROXY)
    peer = f"{name} at {request.url.host}"
    if isinstance(error, trio.TooSlowError | httpx.TimeoutException):
        return UpstreamTimeout(f"{peer} did not answer in time{f' through the proxy {proxy}' if proxy else ''}")
    if is_exhausted(error):
        return UpstreamFailed(f"codexd has no file descriptor left to connect to {name}. {ADVICE}")
    failure = request.extensions.get(FAILURE) or describe(error)
    if proxy:
        return ProxyFailed(f"{peer} can't be reached through the proxy {proxy}: {failure}")
    return UpstreamFailed(f"{peer} can't be reached: {failure}")


def to_broken(error: httpx.HTTPError, name: str) -> StreamBroken:
    """The error for the user if the connection broke during the answer."""
    failure = "it was closed" if isinstance(error, httpx.RemoteProtocolError) else describe(error)
    return StreamBroken(f"the connection to {name} broke during the answer: {failure}", status=200)


def describe(error: httpx.HTTPError) -> str:
    """What happened, as the end of a sentence.

    The library's own words stay out of errors and of the log: they quote what could not be parsed, and so a token or
    somebody's answer.
    """
    if isinstance(error, httpx.ProxyError) and str(error):  # the words of the proxy
        return "".join(filter(str.isprintable, str(error)[:MAX_PROXY_CHARS]))
    causes = list(_list_causes(error))
    rejected = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if rejected is not None:
        return (
            f"its certificate is not trusted ({rejected.verify_message}). If your company inspects TLS, set "
            "SSL_CERT_FILE to a file that also has its CA, and restart codexd"
        )
    if isinstance(error, httpx.LocalProtocolError):
        return "the request could not be sent"
    log.debug("a request failed: %s", ", caused by ".join(type(each).__name__ for each in (error, *causes[1:])))
    match next((cause for cause in causes if isinstance(cause, OSError) and cause.errno is not None), None):
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
    return next(described for kind, described in _DESCRIPTIONS if isinstance(error, kind))


_DESCRIPTIONS: tuple[tuple[type[httpx.HTTPError], str], ...] = (
    (httpx.TimeoutException, "it did not answer in time"),
    (httpx.ProxyError, "the proxy refused the connection"),
    (httpx.RemoteProtocolError, "the connection was closed, or the answer is not HTTP"),
    (httpx.DecodingError, "its answer can't be decompressed"),
    (httpx.ConnectError, "no connection could be made"),
    (httpx.HTTPError, "the connection was lost"),
)


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, what it was raised from, and what that was raised from."""
    at: BaseException | None = error
    while at is not None:
        yield at
        if isinstance(at, BaseExceptionGroup):
            yield from _list_causes(at.exceptions[0])
        at = at.__cause__ or at.__context__
