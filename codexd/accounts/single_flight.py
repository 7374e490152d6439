"""One call at a time for each key: later callers wait for the call under way and share its outcome."""

from __future__ import annotations

import copy
from collections.abc import Awaitable
from typing import Generic, TypeVar

import trio
from attrs import Factory, define

from codexd.errors import CodexdError

T = TypeVar("T")


@define(eq=False)
class _Flight(Generic[T]):
    """A call under way. ``outcome`` stays None if its caller is cancelled or a bug ends it."""

    done: trio.Event = Factory(trio.Event)
    outcome: T | CodexdError | None = None

    def result(self) -> T | None:
        """Each waiter gets its own copy of an exception: a shared one would collect all their tracebacks."""
        if isinstance(self.outcome, CodexdError):
            raise copy.copy(self.outcome)
        return self.outcome


class SingleFlight(Generic[T]):
    """The calls under way, by key. A call may return anything but None."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    def is_under_way(self, key: str) -> bool:
        return key in self._flights

    async def join(self, key: str) -> T | None:
        """Wait for the call under way; return its result, or None if it is broken off.

        Raises:
            CodexdError: what the call raises.
        """
        flight = self._flights[key]
        await flight.done.wait()
        return flight.result()

    async def run(self, key: str, call: Awaitable[T]) -> T:
        """Await ``call``, so that others can join it. No other call may be under way for ``key``.

        Raises:
            CodexdError: what the call raises.
        """
        flight = self._flights[key] = _Flight[T]()
        try:
            result = flight.outcome = await call
        except CodexdError as error:
            flight.outcome = error
            raise
        finally:
            del self._flights[key]
            flight.done.set()
        return result
