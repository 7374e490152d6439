"""The Codex backend over HTTP: one request out, a stream of Responses events in.

codexd identifies itself: ``originator`` and ``User-Agent`` are ``codexd``. The protocol is described in
``codexd/upstream/README.md``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from attrs import frozen

from codexd import jsontext
from codexd.accounts.model import Account
from codexd.settings.schema import UpstreamSettings
from codexd.translation.backend import parse_event, read_http_error
from codexd.translation.sse import Decoder
from codexd.upstream.http import Event, EventSource, Patience, Progress, open_answer

NAME = "the backend"
"""Its name in errors."""


@frozen
class Endpoint:
    """Where model requests go. ``idle_timeout_factor``: an answer that is one document takes longer to start."""

    path: str
    streams: bool = True
    idle_timeout_factor: float = 1.0


RESPONSES = Endpoint("/codex/responses")
COMPACT = Endpoint("/codex/responses/compact", streams=False, idle_timeout_factor=4.0)


class DocumentDecoder:
    """Presents an answer that is one document as a stream with one event."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def receive_data(self, data: bytes) -> list[bytes]:
        self._parts.append(data)
        return []

    def receive_eof(self) -> list[bytes]:
        return [b'{"type":"response.completed","response":%b}' % b"".join(self._parts)]


class ResponsesReader:
    """Reads the Responses events of an answer, in the frames that ``decoder`` finds."""

    def __init__(self, decoder: Decoder | DocumentDecoder) -> None:
        self._decoder = decoder

    def receive_data(self, data: bytes) -> list[Event]:
        return _parse(self._decoder.receive_data(data))

    def receive_eof(self) -> list[Event]:
        return _parse(self._decoder.receive_eof())


def _parse(frames: list[bytes]) -> list[Event]:
    return [event for frame in frames if (event := parse_event(frame)) is not None]


@frozen
class CodexBackend:
    """``settings`` returns the current settings, ``clock`` seconds since the epoch."""

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
        """Send ``body`` and yield the events of the answer; leaving the context closes the connection.

        ``headers`` are sent in addition to codexd's own and never replace them. ``on_headers`` gets the headers of
        every answer, even of a refusal: they report the rate limits.

        Raises:
            UpstreamError: the backend refused, or could not be reached.
        """
        request = self.http.build_request(
            "POST",
            f"{self.settings().backend_url.rstrip('/')}{self.endpoint.path}",
            content=jsontext.dumps(body),
            headers={**headers, **self._headers(account, token)},
        )
        async with open_answer(self.http, request, progress, patience=self._patience, name=NAME) as answer:
            on_headers(answer.headers)
            if answer.status != 200 or answer.is_json == self.endpoint.streams:
                refusal = await answer.read_error_body()
                raise read_http_error(answer.status, answer.headers, refusal, self.clock())
            reader = ResponsesReader(Decoder() if self.endpoint.streams else DocumentDecoder())
            yield EventSource(answer.chunks, self._patience, reader, name=NAME, begins_by=answer.begins_by)

    @property
    def _patience(self) -> Patience:
        """One document comes only when the answer is complete, so its first bytes are waited for much longer."""
        if self.endpoint.streams:
            return Patience.of(self.settings())
        longest_s = self.settings().idle_timeout * self.endpoint.idle_timeout_factor
        return Patience(longest_s, longest_s)

    def _headers(self, account: Account, token: str) -> dict[str, str]:
        return {
            "authorization": f"Bearer {token}",
            "chatgpt-account-id": account.chatgpt_account_id,
            "content-type": "application/json",
            "accept": "text/event-stream" if self.endpoint.streams else "application/json",
            "accept-encoding": "identity",
            "version": self.settings().client_version,
        }
