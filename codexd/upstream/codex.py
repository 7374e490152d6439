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
from codexd.translation.backend import EventParser
from codexd.translation.backend_errors import read_http_error
from codexd.translation.models.catalogue import read_version
from codexd.translation.sse import Decoder
from codexd.upstream.event_source import Event, EventSource
from codexd.upstream.http import AnswerTimeouts, Progress, open_answer

NAME = "the backend"
"""Its name in errors."""

PATH = "/codex/responses"


class ResponsesReader:
    """Reads the Responses events of an answer."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._parser = EventParser()

    def receive_data(self, data: bytes) -> list[Event]:
        return self._parse(self._decoder.receive_data(data))

    def receive_eof(self) -> list[Event]:
        return self._parse(self._decoder.receive_eof())

    def _parse(self, frames: list[bytes]) -> list[Event]:
        return [event for frame in frames for event in self._parser.parse(frame)]


@frozen
class CodexBackend:
    """``settings`` returns the current settings, ``clock`` seconds since the epoch."""

    http: httpx.AsyncClient
    settings: Callable[[], UpstreamSettings]
    clock: Callable[[], float]

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

        ``headers`` are sent in addition to codexd's own and never replace them, except for a ``version`` that is newer.
        ``on_headers`` gets the headers of every answer, even of a refusal: they report the rate limits.

        Raises:
            UpstreamError: the backend refused, or could not be reached.
        """
        request = self.http.build_request(
            "POST",
            f"{self.settings().backend_url.rstrip('/')}{PATH}",
            content=jsontext.dumps(body),
            headers={**headers, **self._headers(account, token, headers.get("version", ""))},
        )
        timeouts = AnswerTimeouts.of(self.settings())
        async with open_answer(self.http, request, progress, timeouts=timeouts, name=NAME) as answer:
            on_headers(answer.headers)
            answer.check_stream(NAME)
            if answer.status != 200 or answer.is_json:
                refusal = await answer.read_error_body()
                raise read_http_error(answer.status, answer.headers, refusal, self.clock())
            yield EventSource(answer.chunks, timeouts, ResponsesReader(), name=NAME, begins_by=answer.begins_by)

    def _headers(self, account: Account, token: str, callers_version: str) -> dict[str, str]:
        return {
            "authorization": f"Bearer {token}",
            "chatgpt-account-id": account.chatgpt_account_id,
            "content-type": "application/json",
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "version": max(self.settings().client_version, callers_version, key=read_version),
        }
