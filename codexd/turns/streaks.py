"""The same failure time after time: what a single request can't see. Pure."""

from __future__ import annotations

from attrs import field, frozen

from codexd import bounds


@frozen
class Streak:
    """Failures in a row: how many, when the first one was, and the last, in seconds since the epoch."""

    count: int
    since: float
    last: float


@frozen
class Streaks:
    """The running streaks, each under the key of a session or an account.

    A streak ends with a success, or if nothing has failed for ``lasts_s``.
    """

    lasts_s: float
    _running: dict[str, Streak] = field(factory=dict)

    def add(self, key: str, now: float) -> Streak:
        """Note a failure of ``key``; return the streak that it belongs to."""
        before = self._running.pop(key, None)
        if before is None or not 0 <= now - before.last <= self.lasts_s:
            before = Streak(0, now, now)
        streak = self._running[key] = Streak(before.count + 1, before.since, now)
        if len(self._running) > bounds.STREAKS:
            del self._running[next(iter(self._running))]
        return streak

    def end(self, key: str) -> None:
        """Note a success of ``key``."""
        self._running.pop(key, None)
