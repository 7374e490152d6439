"""Following requests: the newest state of each that a reader has yet to see."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol, Self

import trio

from codexd.api.records import RequestEvent
from codexd.record.info import to_info
from codexd.record.timeline import RequestRecord

FOLLOWER_REQUESTS = 2000
"""Of so many requests a follower may have news unread before it misses the oldest: twice what is kept."""

PROGRESS_S = 1.0
"""A running request is told again this often, if its answer has grown."""


class Requests(Protocol):
    """What is followed: ``requests.RequestLog``."""

    @property
    def live(self) -> Iterable[RequestRecord]: ...

    def forget(self, follower: RequestFollower) -> None: ...


class RequestFollower:
    """An async iterator of requests as they stand and of how many were missed; it ends after :meth:`close`.

    A request waits here once, however much happens to it meanwhile: a reader that falls behind gets fewer events,
    each as new as can be. The growth of an answer is looked at from here, so that it costs the answer nothing.
    """

    def __init__(
        self, requests: Requests, first: Iterable[RequestRecord], *, capacity: int = FOLLOWER_REQUESTS
    ) -> None:
        self._requests = requests
        self._capacity = capacity
        self._waiting = {record.id: record for record in first}
        self._told_tokens: dict[str, int | None] = {}
        self._missed = 0
        self._closed = False
        self._news = trio.Event()
        self._look_at = trio.current_time() + PROGRESS_S

    def offer(self, record: RequestRecord) -> None:
        """There is news of ``record``. Never waits."""
        if record.id not in self._waiting and len(self._waiting) >= self._capacity:
            del self._waiting[next(iter(self._waiting))]
            self._missed += 1
        self._waiting[record.id] = record
        self._news.set()

    def close(self) -> None:
        """End the iteration; what still waits is dropped. May be called again."""
        self._requests.forget(self)
        self._closed = True
        self._news.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> RequestFollower:
        return self

    async def __anext__(self) -> RequestEvent:
        while not self._closed:
            self._offer_grown()
            if (event := self._next_event()) is not None:
                return event
            with trio.move_on_at(self._look_at if any(self._requests.live) else math.inf):
                await self._news.wait()
        raise StopAsyncIteration

    def _next_event(self) -> RequestEvent | None:
        if self._missed:
            missed, self._missed = self._missed, 0
            return RequestEvent(missed=missed)
        if self._waiting:
            record = self._waiting.pop(next(iter(self._waiting)))
            return RequestEvent(to_info(record))
        self._news = trio.Event()
        return None

    def _offer_grown(self) -> None:
        """Offer those whose answer has grown, every now and then."""
        now = trio.current_time()
        if now < self._look_at:
            return
        self._look_at = now + PROGRESS_S
        tokens = {record.id: record.output_tokens for record in self._requests.live}
        for record in self._requests.live:
            if tokens[record.id] != self._told_tokens.get(record.id):
                self.offer(record)
        self._told_tokens = tokens
