"""The events of one answer, and how long to wait for them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
import trio

from codexd import bounds
from codexd.errors import StreamBroken, UpstreamTimeout
from codexd.translation.backend import TERMINAL
from codexd.upstream.connection import to_broken
from codexd.upstream.http import AnswerTimeouts

STANDSTILL_FACTOR = 4
"""How many times the idle timeout an answer may stand still while comments and keepalives arrive.

Reasoning sends nothing for minutes; with the default of 300 s, this leaves it 20 minutes.
"""
_NO_PROGRESS = frozenset({"response.created", "response.in_progress", "response.queued", "response.metadata"})
_TAIL_S = 0.2
"""How long to wait for the end of the body after the terminal event, so that the connection can be reused."""

Event = dict[str, Any]


class EventReader(Protocol):
    """Parses the bytes of an answer into Responses events."""

    def receive_data(self, data: bytes) -> list[Event]: ...

    def receive_eof(self) -> list[Event]: ...


class EventSource:
    """The events of one answer, as they arrive. ``name`` is the provider's name in errors.

    ``begins_by`` is the deadline of the first chunk, on trio's clock, if it has one of its own.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        timeouts: AnswerTimeouts,
        reader: EventReader,
        *,
        name: str,
        begins_by: float | None = None,
    ) -> None:
        self._chunks = chunks
        self._timeouts = timeouts
        self._idle_scope = trio.CancelScope(deadline=math.inf if begins_by is None else begins_by)
        self._rearm_at = -math.inf if begins_by is None else math.inf
        self._has_begun = begins_by is None
        self._has_progressed = True
        """Whether part of the answer has arrived since ``_stalls_at`` was set."""
        self._stalls_at = math.inf
        self._reader = reader
        self.name = name
        self._terminated = False
        self._received_bytes = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within this context, ``receive_events`` waits no longer than the idle timeout, and not forever for progress.

        Raises:
            BackendSilent: nothing at all arrived in time.
            UpstreamTimeout: nothing more arrived for that long, or nothing of the answer.
        """
        with self._idle_scope:
            yield
        if not self._idle_scope.cancelled_caught:
            return
        if not self._has_begun:
            raise self._timeouts.describe_silence(self.name)
        if trio.current_time() >= self._stalls_at:
            raise UpstreamTimeout(
                f"{self.name} kept the connection alive but sent nothing of the answer for "
                f"{_progress_s(self._timeouts):g} s ({STANDSTILL_FACTOR} times the setting upstream.idle_timeout)"
            )
        raise UpstreamTimeout(f"{self.name} was silent for {self._timeouts.idle_s:g} s (setting upstream.idle_timeout)")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Suspend the timeouts while a slow client is what the stream waits for."""
        self._idle_scope.deadline = math.inf
        yield
        self._rearm_at = -math.inf
        self._has_progressed = True

    async def receive_events(self) -> list[Event]:
        """The events of the next chunk, possibly none; call it within ``watched``.

        Raises:
            StreamBroken: the stream ended before a terminal event, or has more than ``bounds.STREAM_BYTES``.
        """
        self._rearm()
        chunk = await self._receive_chunk()
        if not self._has_begun:
            self._has_begun, self._rearm_at = True, -math.inf
        self._received_bytes += len(chunk or b"")
        if self._received_bytes > bounds.STREAM_BYTES:
            limit_mib = bounds.STREAM_BYTES // bounds.MIB
            raise StreamBroken(f"{self.name} sent more than {limit_mib} MB in one answer", status=200)
        events = self._reader.receive_eof() if chunk is None else self._reader.receive_data(chunk)
        self._terminated = any(event["type"] in TERMINAL for event in events)
        if not self._has_progressed:
            self._has_progressed = any(map(_is_progress, events))
        if chunk is None and not self._terminated:
            raise StreamBroken(f"{self.name} closed the stream before the end of the answer", status=200)
        return events

    @property
    def terminated(self) -> bool:
        return self._terminated

    async def read_tail(self) -> None:
        """Read what follows the terminal event, and ignore failures."""
        with trio.move_on_after(_TAIL_S):
            try:
                async for _ in self._chunks:
                    pass
            except httpx.HTTPError:
                pass

    def _rearm(self) -> None:
        """Move the deadline, but not for every chunk: that costs more than parsing an event."""
        now = trio.current_time()
        if now >= self._rearm_at:
            grace_s = min(1.0, self._timeouts.idle_s / 10)
            self._rearm_at = now + grace_s
            if self._has_progressed:
                self._has_progressed = False
                self._stalls_at = now + _progress_s(self._timeouts) + grace_s
            self._idle_scope.deadline = min(now + self._timeouts.idle_s + grace_s, self._stalls_at)

    async def _receive_chunk(self) -> bytes | None:
        try:
            return await anext(self._chunks, None)
        except httpx.HTTPError as error:
            raise to_broken(error, self.name) from None


def _is_progress(event: Event) -> bool:
    """Whether ``event`` is about the answer itself. A provider may send all others to keep the connection alive."""
    kind: str = event["type"]
    return kind.startswith("response.") and kind not in _NO_PROGRESS


def _progress_s(timeouts: AnswerTimeouts) -> float:
    return timeouts.idle_s * STANDSTILL_FACTOR
