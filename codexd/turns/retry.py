"""Whether a failed attempt at a request is repeated, how differently, and after which wait. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from codexd.accounts.choosing.choose import LIMIT_ERRORS, OWN_ERRORS, SHORT_LIMIT_S
from codexd.errors import AccountNotFound, CodexdError, EmptyAnswer, ModelRefused, StaleReasoning, TokenRejected


class How(Enum):
    """What the next attempt does differently."""

    ASK_AGAIN = "ask again"
    """Nothing: the answer was empty."""
    FRESH_TOKEN = "fresh token"  # noqa: S105 - a name
    WITHOUT_REASONING = "without reasoning"
    """It leaves out the encrypted reasoning of earlier turns."""
    OTHER_MODEL = "other model"
    """It takes the next model of the list that the name leads to."""
    CHOOSE_AGAIN = "choose again"
    """The account was removed meanwhile."""
    AFTER_WAIT = "after wait"
    """It waits until the account's limit ends."""
    OTHER_ACCOUNT = "other account"


ONCE_A_REQUEST = frozenset({How.ASK_AGAIN, How.WITHOUT_REASONING})
"""What is not tried again on another account."""


@frozen
class Standing:
    """Where a request stands after a failed attempt.

    Args:
        has_begun: part of an answer has gone to the client, so that nothing can be taken back.
        tried: the retries so far that count for this account.
        opens_in_s: how long the limit of the account still holds, in seconds; None without accounts.
        rotates: whether the user has opted in to several accounts.
        has_other_model: whether the name leads to another model that this account was not refused.
        account_is_gone: whether the account was removed meanwhile.
    """

    has_begun: bool
    tried: frozenset[How] = frozenset()
    opens_in_s: float | None = None
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
    def words(self) -> str:
        """How the timeline of the request puts it."""
        return "with an account that is open" if self.changes_account else "at once"


@frozen
class GiveUp:
    """Report the error to the client."""


def decide(error: CodexdError, standing: Standing) -> Retry | GiveUp:
    """What follows on ``error``, with which an attempt failed. Each way is tried once."""
    tried = standing.tried
    match error:
        case EmptyAnswer() if How.ASK_AGAIN not in tried:
            return Retry(How.ASK_AGAIN)
        case _ if standing.has_begun:
            return GiveUp()
        case TokenRejected() if How.FRESH_TOKEN not in tried:
            return Retry(How.FRESH_TOKEN)
        case StaleReasoning() if How.WITHOUT_REASONING not in tried:
            return Retry(How.WITHOUT_REASONING)
        case ModelRefused() if standing.has_other_model:
            return Retry(How.OTHER_MODEL)
        case AccountNotFound() if standing.account_is_gone:
            return Retry(How.CHOOSE_AGAIN)
    if isinstance(error, LIMIT_ERRORS) and How.AFTER_WAIT not in tried and _is_short(standing.opens_in_s):
        return Retry(How.AFTER_WAIT, standing.opens_in_s or 0.0)
    if standing.rotates and isinstance(error, OWN_ERRORS):
        return Retry(How.OTHER_ACCOUNT)
    return GiveUp()


def _is_short(opens_in_s: float | None) -> bool:
    return opens_in_s is not None and opens_in_s <= SHORT_LIMIT_S
