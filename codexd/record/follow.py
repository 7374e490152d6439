"""Followers: queues of new items for readers that may be slow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, Generic, Self, TypeVar

import trio

Item = TypeVar("Item")
Event = TypeVar("Event")


class Follower(Generic[Item, Event]):
    """An async iterator of events that ends at :meth:`close` or at the end of its ``with`` block. Make it inside trio.

    Items are queued under a key, and a newer item replaces a queued one with the same key. ``first`` is queued from the
    start, and up to ``capacity`` more items may be. ``make_event`` makes an event from an item, or from the number of
    items that a slow reader has missed. ``on_close`` is called with this follower.
    """

    def __init__(
        self,
        first: Mapping[Any, Item],
        make_event: Callable[[Item | None, int | None], Event],
        on_close: Callable[[Any], None],
        *,
        capacity: int,
    ) -> None:
        self._waiting: OrderedDict[Hashable, Item] = OrderedDict(first)
        self._capacity = capacity + len(first)
        self._make_event = make_event
        self._on_close = on_close
        self._missed = 0
        self._closed = False
        # Reentrant: a destructor may log while this thread holds the lock.
        self._lock = threading.RLock()
        self._news = trio.Event()
        self._trio = trio.lowlevel.current_trio_token()

    def offer(self, key: Hashable, item: Item) -> None:
        """Queue ``item``, from any thread. Never waits: a full queue drops its oldest item."""
        with self._lock:
            if key not in self._waiting and len(self._waiting) >= self._capacity:
                self._waiting.popitem(last=False)
                self._missed += 1
            self._waiting[key] = item
        with suppress(trio.RunFinishedError):
            self._trio.run_sync_soon(self._wake, idempotent=True)

    def close(self) -> None:
        """End the iteration and drop queued items. Call it from the trio thread; further calls do nothing."""
        self._on_close(self)
        self._closed = True
        self._news.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._closed:
            if (event := self._next_event()) is not None:
                return event
            await self._wait()
        raise StopAsyncIteration

    def _next_event(self) -> Event | None:
        with self._lock:
            if self._missed:
                missed, self._missed = self._missed, 0
                return self._make_event(None, missed)
            if self._waiting:
                return self._make_event(self._waiting.popitem(last=False)[1], None)
            self._news = trio.Event()
            return None

    async def _wait(self) -> None:
        """Wait for a new item or the end."""
        await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
