"""The Codex backend over HTTP: one request out, a stream of Responses events in.

Source: codex-backend.md section 2. We say who we are: ``originator`` and ``User-Agent`` are ``codexd``.
"""

from __future__ import annotations

import math
import platform
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Protocol

import httpx
import trio
from attrs import frozen

from codexd import __version__, jsontext
from codexd.accounts.model import Account
from codexd.errors import StreamBroken, UpstreamFailed, UpstreamTimeout
from codexd.settings.schema import UpstreamSettings
from codexd.translation.backend import TERMINAL, parse_event, read_http_error
from codexd.translation.sse import Decoder

USER_AGENT = f"codexd/{__version__} ({platform.system()}; {platform.machine()})"

MAX_ERROR_BYTES = 256 * 1024
_ERROR_BODY_S = 10.0
_TAIL_S = 0.2
"""After the terminal event, the wait for the end of the body, so that the connection can be used again."""

Event = dict[str, Any]


@frozen
class Endpoint:
    """Where model requests go. An answer that is one document takes longer to begin than a stream."""

    path: str
    streams: bool = True
    patience: float = 1.0
    """By how much the idle timeout is longer."""


RESPONSES = Endpoint("/codex/responses")
COMPACT = Endpoint("/codex/responses/compact", streams=False, patience=4.0)


class DocumentDecoder:
    """An answer that is one document, as the one event of a stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def receive_data(self, data: bytes) -> list[bytes]:
        self._parts.append(data)
        return []

    def receive_eof(self) -> list[bytes]:
        return [b'{"type":"response.completed","response":%b}' % b"".join(self._parts)]


def open_client(
    settings: UpstreamSettings, *, trust_env: bool = True, tls: ssl.SSLContext, keeps_connections: bool = True
) -> httpx.AsyncClient:
    """An HTTP client; ``tls`` is made once for the whole daemon, which takes 20 ms and some megabytes.

    HTTP/1.1 only: a cancelled HTTP/2 stream goes on generating, and some of them lock the connection.
    No read timeout: reasoning is silent for minutes, and ``EventSource`` has a clock of its own.
    Without ``keeps_connections`` each request has a fresh one: a refresh token that is sent into a connection which
    died while the machine slept may be used up, or may not.
    """
    return httpx.AsyncClient(
        http2=False,
        verify=tls,
        timeout=make_timeout(settings),
        limits=httpx.Limits(
            max_connections=1000, max_keepalive_connections=20 if keeps_connections else 0, keepalive_expiry=60.0
        ),
        trust_env=trust_env,
        headers={"user-agent": USER_AGENT, "originator": "codexd"},
    )


def make_timeout(settings: UpstreamSettings) -> httpx.Timeout:
    """That of the daemon's HTTP clients."""
    return httpx.Timeout(connect=settings.connect_timeout, read=None, write=60.0, pool=15.0)


class EventReader(Protocol):
    """Makes Responses events of the bytes of an answer."""

    def receive_data(self, data: bytes) -> list[Event]: ...

    def receive_eof(self) -> list[Event]: ...


class ResponsesReader:
    """Of an answer that consists of Responses events, in the frames that ``decoder`` finds."""

    def __init__(self, decoder: Decoder | DocumentDecoder) -> None:
        self._decoder = decoder

    def receive_data(self, data: bytes) -> list[Event]:
        return _parse(self._decoder.receive_data(data))

    def receive_eof(self) -> list[Event]:
        return _parse(self._decoder.receive_eof())


def _parse(frames: list[bytes]) -> list[Event]:
    return [event for frame in frames if (event := parse_event(frame)) is not None]


class EventSource:
    """The events of one response, as they arrive. ``name`` is what errors call the provider."""

    def __init__(
        self, chunks: AsyncIterator[bytes], idle_timeout_s: float, reader: EventReader, *, name: str = "the backend"
    ) -> None:
        self._chunks = chunks
        self._idle_timeout_s = idle_timeout_s
        self._idle_scope = trio.CancelScope()
        self._rearm_at = -math.inf
        self._reader = reader
        self._name = name
        self._terminated = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While entered, ``receive_events`` waits no longer than the idle timeout.

        Raises:
            UpstreamTimeout: not one byte came for so long.
        """
        with self._idle_scope:
            yield
        if self._idle_scope.cancelled_caught:
            raise UpstreamTimeout(
                f"{self._name} was silent for {self._idle_timeout_s:g} s (setting upstream.idle_timeout)"
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the idle clock: it is the client that upstream waits for."""
        self._idle_scope.deadline = math.inf
        yield
        self._rearm_at = -math.inf

    async def receive_events(self) -> list[Event]:
        """The events of the next chunk, maybe none; only within ``watched``.

        Raises:
            StreamBroken: the stream ended before a terminal event.
        """
        self._rearm()
        chunk = await self._receive_chunk()
        events = self._reader.receive_eof() if chunk is None else self._reader.receive_data(chunk)
        self._terminated = any(event["type"] in TERMINAL for event in events)
        if chunk is None and not self._terminated:
            raise StreamBroken(f"{self._name} closed the stream before the end of the answer", status=200)
        return events

    @property
    def terminated(self) -> bool:
        return self._terminated

    async def read_tail(self) -> None:
        """Read what follows the terminal event; whatever happens to it does not matter any more."""
        with trio.move_on_after(_TAIL_S):
            try:
                async for _ in self._chunks:
                    pass
            except httpx.HTTPError:
                pass

    def _rearm(self) -> None:
        """Move the deadline, but not for each of many chunks: that costs more than to parse an event."""
        now = trio.current_time()
        if now >= self._rearm_at:
            grace_s = min(1.0, self._idle_timeout_s / 10)
            self._rearm_at = now + grace_s
            self._idle_scope.deadline = now + self._idle_timeout_s + grace_s

    async def _receive_chunk(self) -> bytes | None:
        try:
            return await anext(self._chunks, None)
        except httpx.HTTPError as error:
            raise StreamBroken(
                f"the connection to {self._name} broke during the answer ({_name(error)})", status=200
            ) from None


class Progress(Protocol):
    """Who is told how far a request has come."""

    def note_connected(self) -> None:
        """A new connection stands; a kept one has none to tell of."""

    def note_sent(self) -> None:
        """The whole request has gone out."""

    def note_headers(self, status: int, headers: Mapping[str, str]) -> None: ...


@frozen
class CodexBackend:
    """``settings`` gives those that hold now, ``clock`` seconds since the epoch."""

    http: httpx.AsyncClient
    settings: Callable[[], UpstreamSettings]
    clock: Callable[[], float]
    endpoint: Endpoint = RESPONSES

    @asynccontextmanager
    async def respond(
        self,
        body: Mapping[str, Any],
        *,
        account: Account,
        token: str,
        headers: Mapping[str, str],
        on_headers: Callable[[Mapping[str, str]], None],
        progress: Progress,
    ) -> AsyncIterator[EventSource]:
        """Send ``body`` and give the events of the answer; leaving the context closes the connection.

        ``headers`` go out beside ours and replace none of them. ``on_headers`` is told the headers of any answer, those
        of a refusal too: they tell the rate limits.

        Raises:
            UpstreamError: the backend refused, or could not be reached.
        """
        request = self.http.build_request(
            "POST",
            f"{self.settings().backend_url.rstrip('/')}{self.endpoint.path}",
            content=jsontext.dumps(body),
            headers={**headers, **self._headers(account, token)},
        )
        response = await send(self.http, request, progress, self._idle_timeout_s)
        chunks = response.aiter_raw()
        try:
            progress.note_headers(response.status_code, response.headers)
            on_headers(response.headers)
            await self._check(response, chunks)
            decoder = Decoder() if self.endpoint.streams else DocumentDecoder()
            yield EventSource(chunks, self._idle_timeout_s, ResponsesReader(decoder))
        finally:
            await close(response, chunks)

    def _headers(self, account: Account, token: str) -> dict[str, str]:
        return {
            "authorization": f"Bearer {token}",
            "chatgpt-account-id": account.chatgpt_account_id,
            "content-type": "application/json",
            "accept": "text/event-stream" if self.endpoint.streams else "application/json",
            "accept-encoding": "identity",
            "version": self.settings().client_version,
        }

    @property
    def _idle_timeout_s(self) -> float:
        return self.settings().idle_timeout * self.endpoint.patience

    async def _check(self, response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
        streamed = "application/json" not in response.headers.get("content-type", "")
        if response.status_code == 200 and streamed == self.endpoint.streams:
            return
        body = await read_error_body(chunks)
        raise read_http_error(response.status_code, response.headers, body, self.clock())


async def send(
    http: httpx.AsyncClient, request: httpx.Request, progress: Progress, timeout_s: float, *, name: str = "the backend"
) -> httpx.Response:
    """The head of the answer to ``request``; ``close`` ends it.

    Raises:
        UpstreamError: there was none.
    """
    request.extensions["trace"] = partial(_trace, progress, request.url.scheme)
    host = request.url.host
    try:
        with trio.fail_after(timeout_s):
            return await http.send(request, stream=True)
    except (trio.TooSlowError, httpx.TimeoutException):
        raise UpstreamTimeout(f"{name} at {host} did not answer in time") from None
    except httpx.HTTPError as error:
        raise UpstreamFailed(f"{name} at {host} can't be reached ({_name(error)})") from None


@frozen
class Answer:
    """A whole one. ``path``: what was asked for."""

    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes


async def read_whole(http: httpx.AsyncClient, request: httpx.Request, most_bytes: int, *, name: str) -> Answer:
    """The answer to ``request``.

    Raises:
        UpstreamFailed: it has more than ``most_bytes``.
        httpx.HTTPError
    """
    response = await http.send(request, stream=True)
    chunks = response.aiter_bytes()
    body = bytearray()
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) > most_bytes:
                raise UpstreamFailed(f"what {name} answered to {request.url.path} is larger than {most_bytes} bytes")
    finally:
        await close(response, chunks)
    return Answer(request.url.path, response.status_code, response.headers, bytes(body))


async def read_error_body(chunks: AsyncIterator[bytes]) -> bytes:
    """As much of the body of a refusal as there is and is needed."""
    body = bytearray()
    with trio.move_on_after(_ERROR_BODY_S):
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_ERROR_BYTES:
                    break
        except httpx.HTTPError:
            pass  # the status alone has to do
    return bytes(body)


async def _trace(progress: Progress, scheme: str, event: str, _: Any) -> None:
    """Told by httpcore of all that it does for a request. Source: https://www.encode.io/httpcore/extensions/."""
    if event == ("connection.start_tls.complete" if scheme == "https" else "connection.connect_tcp.complete"):
        progress.note_connected()
    elif event == "http11.send_request_body.complete":
        progress.note_sent()


async def close(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Close the connection, then let ``chunks`` run into that end.

    httpx reads through a chain of generators; one that is dropped in the middle is left to the garbage collector.
    """
    with trio.CancelScope(shield=True):
        await response.aclose()
        try:
            async for _ in chunks:
                pass
        except (httpx.HTTPError, httpx.StreamError):
            pass


def _name(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
