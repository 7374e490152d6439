"""Each account's rate-limit windows, as the replies of the backend last told them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio
from attrs import Factory, define, frozen

from codexd.accounts.limits import Observation, Window

log = logging.getLogger("codexd.limits")

QUEUE_LENGTH = 256
THRESHOLDS = (80, 100)
"""Percent of a window at which the log says so, once."""


@frozen
class _Tracked:
    window: Window
    told: int
    """The highest threshold that the log has told of in this period of the window."""


@define
class _Limits:
    windows: dict[str, _Tracked] = Factory(dict)
    fetched_at: float | None = None


class LimitTracker:
    """Takes observations from the streams without holding them up. ``clock`` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._send, self._receive = trio.open_memory_channel[tuple[str, Observation]](QUEUE_LENGTH)
        self._accounts: dict[str, _Limits] = {}
        self.dropped = 0
        """Observations lost because the queue was full; the next reply tells the same again."""

    def observe(self, account_id: str, observation: Observation) -> None:
        """Hand over what a reply said. Never blocks."""
        try:
            self._send.send_nowait((account_id, observation))
        except trio.WouldBlock:
            self.dropped += 1

    async def run(self) -> None:
        """Fold the observations in, until cancelled. May be run again: the queue outlives it."""
        while True:
            account_id, observation = await self._receive.receive()
            self._fold(account_id, observation)

    def windows(self, account_id: str) -> tuple[Window, ...]:
        """The windows known and not yet reset, shortest first; those of metered limits last."""
        limits, now = self._accounts.get(account_id, _Limits()), self._clock()
        windows = [tracked.window for tracked in limits.windows.values() if tracked.window.resets_at > now]
        return tuple(sorted(windows, key=lambda window: (window.limit or "", window.window_s)))

    def fetched_at(self, account_id: str) -> float | None:
        """When the last reply that told anything came, seconds since the epoch."""
        return self._accounts.get(account_id, _Limits()).fetched_at

    def _fold(self, account_id: str, observation: Observation) -> None:
        limits, now = self._accounts.setdefault(account_id, _Limits()), self._clock()
        limits.fetched_at = observation.at
        for window in observation.windows:
            told = _told_before(limits.windows.get(window.name), window)
            limits.windows[window.name] = _Tracked(window, max(told, _tell(account_id, window, told)))
        limits.windows = {name: kept for name, kept in limits.windows.items() if kept.window.resets_at > now}


def _told_before(known: _Tracked | None, window: Window) -> int:
    """What the log has told of this period. A reset that moves on by half a window or more begins a new one."""
    if known is None or window.resets_at - known.window.resets_at >= window.window_s / 2:
        return 0
    return known.told


def _tell(account_id: str, window: Window, told: int) -> int:
    """Log the highest threshold that the window has newly crossed; gives it, or 0."""
    crossed = max((step for step in THRESHOLDS if told < step <= window.used_percent), default=0)
    if crossed:
        fields = {"account": account_id, "window": window.name, "resets_at": window.resets_at}
        words = "is used up" if crossed == 100 else f"is {window.used_percent:.0f} % used"
        log.warning("the %s window %s", window.name, words, extra={"fields": fields})
    return crossed
