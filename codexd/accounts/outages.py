"""What keeps tokens from being refreshed, and when it is tried again: exponential back-off with a cap and jitter. Pure.

The sign-in server has one back-off for all who ask it. An account has its own for answers that concern it alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from attrs import define

from codexd.errors import LoginNotSavable, RefreshUnavailable
from codexd.translation.wire_errors import say_until

FIRST_S, MAX_S = 5.0, 60.0
"""The wait after the first failure, which doubles with each further one, and its bound: a request that needs a token
is refused for as long, so codexd must soon notice that the server works again."""

MAX_RETRY_AFTER_S = 3600.0
"""A longer ``Retry-After`` is shortened to this."""

PROBE_S = 30.0
"""How long one caller tries out whether the server works again before the next one may: ``server.TIMEOUT_S``."""

BY_HAND_S = 5.0
"""A user who asks for it may try earlier, but not again within this time. The same holds for requests on a full disk;
the user may try that at any time."""

JITTER = 0.2
LONG_WAIT_S = 120
"""A wait of at least this is shown in minutes, with the time of day."""


def back_off_s(failures: int) -> float:
    """How long to wait after this number of failures in a row, without jitter."""
    return min(MAX_S, FIRST_S * 2.0 ** min(failures - 1, 10))


@define(eq=False)
class BackOff:
    """``failures``: how many in a row. ``retry_at``: until when not to ask; ``problem``: why the last attempt failed.

    ``jitter`` returns a number from -1 to 1. Times are in seconds since the epoch.
    """

    jitter: Callable[[], float]
    failures: int = 0
    retry_at: float = 0.0
    problem: str = ""
    _tried_at: float = 0.0
    _is_probing: bool = False

    def refuses(self, now: float, *, by_hand: bool = False) -> bool:
        """Whether not to ask now. If the clock was set back to before the last attempt, that one doesn't count."""
        until = min(self.retry_at, self._tried_at + BY_HAND_S) if by_hand else self.retry_at
        return self._tried_at <= now < until

    def begin(self, now: float) -> None:
        """Note that the server is being asked. If it failed before, others wait until the outcome is known."""
        if self.failures:
            self._is_probing, self._tried_at, self.retry_at = True, now, max(self.retry_at, now + PROBE_S)

    def note_failure(self, problem: str, now: float, retry_after_s: float | None = None) -> None:
        """Note that an attempt failed. If it began before an earlier one had failed, both count as one."""
        asked_s = min(retry_after_s or 0.0, MAX_RETRY_AFTER_S)
        self.problem = problem
        if self.refuses(now) and not self._is_probing:
            self.retry_at = max(self.retry_at, now + asked_s)
            return
        self.failures += 1
        wait_s = back_off_s(self.failures) * (1 + JITTER * self.jitter())
        self.retry_at, self._tried_at, self._is_probing = now + max(wait_s, asked_s), now, False

    def note_success(self) -> None:
        """Note that the server works."""
        self.failures, self.retry_at, self.problem, self._is_probing = 0, 0.0, "", False


class RefreshOutages:
    """The accounts whose tokens can't be refreshed now. The part that asks the sign-in server updates ``server``."""

    def __init__(self, server: BackOff, make_back_off: Callable[[], BackOff]) -> None:
        self._server = server
        self._make_back_off = make_back_off
        self._refused: dict[str, BackOff] = {}
        """By account id, because of answers of a server that works."""
        self._unsavable: dict[str, BackOff] = {}
        """By account id, because of the disk."""

    def find(self, account_id: str) -> BackOff | None:
        """Why the last attempt for the account failed, and when the next one is; None if it did not fail."""
        if self._server.failures:
            return self._server
        return self._refused.get(account_id) or self._unsavable.get(account_id)

    def retry_at(self, account_id: str, now: float) -> float | None:
        """When to try again without being asked to; None if that is possible now."""
        failing = (self._server, self._refused.get(account_id), self._unsavable.get(account_id))
        return max((each.retry_at for each in failing if each and each.refuses(now)), default=None)

    def begin(self, account_id: str, now: float, *, by_hand: bool) -> None:
        """Begin an attempt, unless it comes too early.

        Raises:
            RefreshUnavailable: says when the next attempt is; ``LoginNotSavable`` if the disk is the reason.
        """
        for failing in (self._server, self._refused.get(account_id)):
            if failing is not None and failing.refuses(now, by_hand=by_hand):
                raise RefreshUnavailable(_say_retry(failing, now))
        unsavable = self._unsavable.get(account_id)
        if unsavable is not None and not by_hand and unsavable.refuses(now, by_hand=True):
            raise LoginNotSavable(unsavable.problem)
        for failing in (self._refused.get(account_id), unsavable):
            if failing is not None:
                failing.begin(now)

    def note_failure(self, account_id: str, error: RefreshUnavailable, now: float) -> RefreshUnavailable:
        """Note what an attempt raised; return the error with the time of the next attempt added."""
        if isinstance(error, LoginNotSavable):
            self._unsavable.setdefault(account_id, self._make_back_off()).note_failure(str(error), now)
            return error
        failing = self._server
        if not failing.failures:
            failing = self._refused.setdefault(account_id, self._make_back_off())
            failing.note_failure(str(error), now)
        return RefreshUnavailable(_say_retry(failing, now))

    def note_success(self, account_id: str) -> None:
        """Note that the server decided about the account's login."""
        self._refused.pop(account_id, None)
        self._unsavable.pop(account_id, None)


def _say_retry(failing: BackOff, now: float) -> str:
    left_s = math.ceil(max(1.0, failing.retry_at - now))
    when = f"in {left_s} s" if left_s < LONG_WAIT_S else say_until(failing.retry_at, now)
    return f"{failing.problem} codexd tries again {when}."
