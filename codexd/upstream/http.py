"""HTTP to a provider: the client, whole answers, and answers that are read as they arrive."""

from __future__ import annotations

import logging
import math
import os
import platform
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Protocol

import httpx
import trio
from attrs import define, frozen

from codexd import __version__, bounds
from codexd.errors import (
    BackendSilent,
    SettingInvalid,
    UpstreamFailed,
)
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.connection import to_unreachable
from codexd.upstream.pool import make_transport
from codexd.upstream.proxies import ProxiedTransport, Proxies, Proxy

log = logging.getLogger("codexd.upstream")

USER_AGENT = f"codexd/{__version__} ({platform.system()}; {platform.machine()})"

_PAGES = ("text/html", "application/xhtml+xml")
_ERROR_BODY_S = 10.0


def open_client(
    settings: UpstreamSettings,
    *,
    proxies: Proxies,
    tls: ssl.SSLContext,
    keeps_connections: bool = True,
    max_connections: int = bounds.CLIENTS,
) -> httpx.AsyncClient:
    """An HTTP client. ``tls`` is made once for the whole daemon, because it costs 20 ms and some megabytes.

    HTTP/1.1 only: the backend keeps generating for a cancelled HTTP/2 stream, and several of them lock the connection.
    No read timeout: reasoning may be silent for minutes, and ``EventSource`` has its own idle timeout.
    Without ``keeps_connections`` each request opens a new connection: if a refresh token is sent into one that died
    while the machine slept, nobody knows whether it has been used.
    No cookies: one account's would go out with another's requests, and Cloudflare blocks a replayed ``__cf_bm``.
    """
    limits = httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=min(bounds.KEPT_CONNECTIONS, max_connections) if keeps_connections else 0,
        keepalive_expiry=60.0,
    )

    def connect(proxy: Proxy | None) -> httpx.AsyncHTTPTransport:
        through = None
        if proxy is not None:
            through = httpx.Proxy(proxy.url, ssl_context=tls if proxy.url.scheme == "https" else None)
        return make_transport(tls, limits, through)

    client = httpx.AsyncClient(
        transport=ProxiedTransport(proxies, connect),
        timeout=make_timeout(settings),
        trust_env=False,
        headers={"user-agent": USER_AGENT, "originator": "codexd"},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return client


def make_tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    """How servers are verified: by the system's certificates, or those that ``SSL_CERT_FILE`` and ``_DIR`` name.

    OpenSSL ignores what it can't read there, and then no connection works, for a reason that nobody sees.

    Raises:
        SettingInvalid: names the variable whose value can't be used.
    """
    file, folders = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    try:
        if file:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError as error:
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingInvalid(
            f"SSL_CERT_FILE = {file!r} (environment): can't be used ({reason}). Set it to a file of PEM certificates, "
            "or unset it."
        ) from None
    if folders and not any(os.access(folder, os.R_OK | os.X_OK) for folder in filter(Path.is_dir, _split(folders))):
        raise SettingInvalid(
            f"SSL_CERT_DIR = {folders!r} (environment): not a readable folder. Set it to a folder of certificates, or "
            "unset it."
        )
    try:
        return ssl.create_default_context()
    except OSError as error:
        raise SettingInvalid(
            f"SSLKEYLOGFILE = {environ.get('SSLKEYLOGFILE')!r} (environment): can't be written ({error.strerror}). "
            "Unset it."
        ) from None


def _split(folders: str) -> Iterator[Path]:
    return map(Path, folders.split(os.pathsep))


def make_timeout(settings: UpstreamSettings) -> httpx.Timeout:
    """The timeout for all of the daemon's HTTP clients."""
    return httpx.Timeout(connect=settings.connect_timeout, read=None, write=60.0, pool=15.0)


# -- whole answers ----------------------------------------------------------------------------------


@frozen
class Answer:
    """A whole answer. ``path`` is the requested path."""

    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes


async def fetch(
    http: httpx.AsyncClient, request: httpx.Request, *, timeout_s: float, max_bytes: int, name: str
) -> Answer:
    """The answer to ``request``, whatever its status.

    Raises:
        UpstreamTimeout: it did not come within ``timeout_s``.
        UpstreamFailed: the connection failed, or the answer is larger than ``max_bytes``.
    """
    try:
        with trio.fail_after(timeout_s):
            return await _read_whole(http, request, max_bytes, name)
    except (trio.TooSlowError, httpx.HTTPError) as error:
        raise to_unreachable(error, request, name) from None


async def _read_whole(http: httpx.AsyncClient, request: httpx.Request, max_bytes: int, name: str) -> Answer:
    response = await http.send(request, stream=True)
    chunks = response.aiter_bytes()
    body = bytearray()
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) > max_bytes:
                raise UpstreamFailed(f"the answer of {name} to {request.url.path} is larger than {max_bytes} bytes")
    finally:
        await _close(response, chunks)
    return Answer(request.url.path, response.status_code, response.headers, bytes(body))


# -- streams ----------------------------------------------------------------------------------------


class Progress(Protocol):
    """Is notified of the progress of a request."""

    def note_connected(self) -> None:
        """A new connection is established; not called for a reused one."""

    def note_sent(self) -> None:
        """The whole request has been sent."""

    def note_headers(self, status: int, headers: Mapping[str, str]) -> None: ...


@frozen
class OpenAnswer:
    """An answer whose headers have arrived, and the chunks of its body as they arrive.

    ``begins_by`` is the deadline of its first chunk, on trio's clock.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    begins_by: float = math.inf

    @property
    def is_json(self) -> bool:
        """Whether it is one document rather than a stream of events."""
        return "application/json" in self.headers.get("content-type", "")

    def check_stream(self, name: str) -> None:
        """Refuse what can't be a stream of events, such as the page of a proxy or of a hotel's network.

        Raises:
            UpstreamFailed: says what came instead.
        """
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        found = "a web page" if content_type in _PAGES else "compressed data" if encoding != "identity" else ""
        if self.status == 200 and found and not self.is_json:
            raise UpstreamFailed(
                f"{name} answered with {found} instead of a stream of events. Check what stands between it and this "
                "machine, such as a proxy",
                status=200,
            )

    async def read_error_body(self) -> bytes:
        """The body of a refusal, as far as it is needed and arrives in time."""
        body = bytearray()
        with trio.move_on_after(_ERROR_BODY_S):
            try:
                async for chunk in self.chunks:
                    body += chunk
                    if len(body) > bounds.ERROR_BYTES:
                        break
            except httpx.HTTPError:
                pass  # the status has to suffice
        return bytes(body)


@frozen
class AnswerTimeouts:
    """How long to wait: ``first_s`` for the first bytes of an answer once the request is sent, then ``idle_s``."""

    idle_s: float
    first_s: float = math.inf

    @classmethod
    def of(cls, settings: UpstreamSettings) -> AnswerTimeouts:
        return cls(settings.idle_timeout, settings.first_event_timeout)

    def describe_silence(self, name: str) -> BackendSilent:
        return BackendSilent(f"{name} has sent nothing for {self.first_s:g} s (setting upstream.first_event_timeout)")


@asynccontextmanager
async def open_answer(
    http: httpx.AsyncClient, request: httpx.Request, progress: Progress, *, timeouts: AnswerTimeouts, name: str
) -> AsyncIterator[OpenAnswer]:
    """Send ``request`` and yield the answer once its headers are there; leaving the context closes the connection.

    Raises:
        UpstreamTimeout: the request could not be sent in time.
        BackendSilent: no headers came in time.
        UpstreamFailed: the connection failed before that.
    """
    waiting = trio.CancelScope(deadline=trio.current_time() + timeouts.idle_s)
    sending = _Sending(progress, request.url.scheme, waiting, timeouts.first_s)
    request.extensions["trace"] = sending.trace
    try:
        with waiting:
            response = await http.send(request, stream=True)
    except httpx.HTTPError as error:
        raise to_unreachable(error, request, name) from None
    if waiting.cancelled_caught:
        raise timeouts.describe_silence(name) if sending.is_sent else to_unreachable(trio.TooSlowError(), request, name)
    chunks = response.aiter_raw()
    try:
        progress.note_headers(response.status_code, response.headers)
        yield OpenAnswer(response.status_code, response.headers, chunks, waiting.deadline)
    finally:
        await _close(response, chunks)


@define
class _Sending:
    """Follows a request on its way out: the wait for the answer starts when all of it has been sent."""

    progress: Progress
    scheme: str
    waiting: trio.CancelScope
    first_s: float
    is_sent: bool = False

    async def trace(self, event: str, _: Any) -> None:
        """Called by httpcore at each step of a request. Source: https://www.encode.io/httpcore/extensions/."""
        if event == ("connection.start_tls.complete" if self.scheme == "https" else "connection.connect_tcp.complete"):
            self.progress.note_connected()
        elif event == "http11.send_request_body.complete":
            self.is_sent = True
            self.waiting.deadline = trio.current_time() + self.first_s
            self.progress.note_sent()


async def _close(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Close the connection, then exhaust ``chunks``.

    httpx reads through a chain of generators, and an unfinished one would be left to the garbage collector.
    """
    with trio.CancelScope(shield=True):
        await response.aclose()
        try:
            async for _ in chunks:
                pass
        except (httpx.HTTPError, httpx.StreamError):
            pass
