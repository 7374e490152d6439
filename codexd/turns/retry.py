"""Whether a failed attempt at a request is repeated, with what change, and after what wait. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from codexd import bounds
from codexd.accounts.choosing.choose import LIMIT_ERRORS, PER_ACCOUNT_ERRORS, SHORT_LIMIT_S
from codexd.errors import (
    AccountNotFound,
    CodexdError,
    EmptyAnswer,
    ModelRefused,
    StaleReasoning,
    TokenRejected,
    UpstreamBlocked,
)

BLOCKED_PAUSE_S = 1.0
"""Cloudflare lets through most requests that it has just blocked, but not at once."""


class How(Enum):
    """What the next attempt does differently."""

    ASK_AGAIN = "ask again"
    """It changes nothing: the answer was empty."""
    AFTER_PAUSE = "after pause"
    """It changes nothing: Cloudflare had blocked the request."""
    FRESH_TOKEN = "fresh token"  # noqa: S105 - a name
    WITHOUT_REASONING = "without reasoning"
    """It leaves out the encrypted reasoning of earlier turns."""
    OTHER_MODEL = "other model"
    """It uses the next model in the list that the name leads to."""
    CHOOSE_AGAIN = "choose again"
    """It chooses an account again: this one was removed in the meantime."""
    AFTER_WAIT = "after wait"
    """It waits until the account's limit ends."""
    OTHER_ACCOUNT = "other account"


ONCE_A_REQUEST = frozenset({How.ASK_AGAIN, How.AFTER_PAUSE, How.WITHOUT_REASONING})
"""Retries that are not repeated with another account."""


@frozen
class RetryContext:
    """The state of a request after a failed attempt.

    Args:
        has_begun: whether part of an answer has gone to the client, and can't be taken back.
        tried: the previous retries that count for this account.
        available_in_s: seconds until the limit of the account ends; None without accounts.
        rotates: whether the user has opted in to rotation.
        has_other_model: whether the name leads to another model that was not refused to this account.
        account_is_gone: whether the account was removed in the meantime.
    """

    has_begun: bool
    tried: frozenset[How] = frozenset()
    available_in_s: float | None = None
    rotates: bool = False
    has_other_model: bool = False
    account_is_gone: bool = False


@frozen
class Retry:
    """Try again, ``wait_s`` from now."""

    how: How
    wait_s: float = 0.0

    @property
    def changes_account(self) -> bool:
        """Whether the account as it is can't serve the request."""
        return self.how in (How.AFTER_WAIT, How.OTHER_ACCOUNT)

    @property
    def description(self) -> str:
        """How the request was tried again, for its timeline."""
        if self.wait_s:
            return f"{self.wait_s:.1f} s later"
        return "with another account" if self.how is How.OTHER_ACCOUNT else "at once"


@frozen
class GiveUp:
    """Report the error to the client."""


def decide(error: CodexdError, context: RetryContext) -> Retry | GiveUp:
    """What to do after an attempt has failed with ``error``. Each kind of retry happens once."""
    tried = context.tried
    match error:
        case EmptyAnswer() if How.ASK_AGAIN not in tried:
            return Retry(How.ASK_AGAIN)
        case _ if context.has_begun:
            return GiveUp()
        case UpstreamBlocked() if How.AFTER_PAUSE not in tried:
            return Retry(How.AFTER_PAUSE, BLOCKED_PAUSE_S)
        case TokenRejected() if How.FRESH_TOKEN not in tried:
            return Retry(How.FRESH_TOKEN)
        case StaleReasoning() if How.WITHOUT_REASONING not in tried:
            return Retry(How.WITHOUT_REASONING)
        case ModelRefused() if context.has_other_model:
            return Retry(How.OTHER_MODEL)
        case AccountNotFound() if context.account_is_gone:
            return Retry(How.CHOOSE_AGAIN)
    if isinstance(error, LIMIT_ERRORS) and How.AFTER_WAIT not in tried and _is_short(context.available_in_s):
        return Retry(How.AFTER_WAIT, context.available_in_s or 0.0)
    if context.rotates and isinstance(error, PER_ACCOUNT_ERRORS):
        return Retry(How.OTHER_ACCOUNT)
    return GiveUp()


def _is_short(available_in_s: float | None) -> bool:
    return available_in_s is not None and available_in_s <= SHORT_LIMIT_S


# -- the same failure time after time: what a single request can't see ------------------------------------------


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
