"""Which account serves a request: the active one or, if the user has opted in to rotation, one of several. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import attrs
from attrs import define, field, frozen

from codexd.accounts.login import SIGN_IN, needs_login
from codexd.accounts.model import Account
from codexd.errors import (
    AccountDisabled,
    AccountNeedsLogin,
    AllAccountsLimited,
    CodexdError,
    FollowedLoginStale,
    ModelRefused,
    NoAccount,
    PlanRefused,
    RateLimited,
    UsageLimitReached,
    WorkspaceRefused,
)
from codexd.translation.wire_errors import say_until

NO_ACCOUNT = (
    "No account is signed in. Run `codexctl accounts add`, or `codexctl accounts import` to use the Codex CLI's login."
)


def choose_account(active: Account | None, accounts: Sequence[Account]) -> Account:
    """The account that serves the next request without rotation: always the active one.

    Raises:
        NoAccount: no account is signed in, or none is active.
        AccountDisabled: the user disabled the active account.
        AccountNeedsLogin: its login is dead.
    """
    if active is None:
        raise NoAccount("No account is active. Choose one with `codexctl accounts switch`." if accounts else NO_ACCOUNT)
    if active.disabled:
        raise AccountDisabled(
            f"The account {active.label} is disabled. Run `codexctl accounts enable {active.name}`, or choose another "
            "with `codexctl accounts switch`."
        )
    if active.needs_login is not None:
        raise needs_login(active, active.needs_login)
    return active


# -- rotation ---------------------------------------------------------------------------------------

SHORT_LIMIT_S = 5.0
"""A request waits for limits that end sooner: another account would have to read the whole conversation again."""

LIMIT_ERRORS = (UsageLimitReached, RateLimited)

ACCOUNT_FAILURES: Mapping[type[CodexdError], str] = {
    UsageLimitReached: "usage limit reached",
    RateLimited: "too many requests",
    FollowedLoginStale: "its followed login is out of date",
    AccountNeedsLogin: "needs a new login",
    PlanRefused: "its plan was refused",
    WorkspaceRefused: "its workspace was refused",
    ModelRefused: "does not serve the model",
}
"""The errors that concern one account, so that another may succeed, each with a short description."""

PER_ACCOUNT_ERRORS = tuple(ACCOUNT_FAILURES)


class Strategy(Enum):
    """The setting ``rotation.strategy``: which account a new session gets."""

    STICKY = "sticky"
    ROUND_ROBIN = "round-robin"
    MOST_REMAINING = "most-remaining"


@frozen
class Candidate:
    """An account, and the state of its limits for the model that the request would use.

    ``available_at`` is when its cooldown ends, in seconds since the epoch, or None; ``limited_model`` is set if the
    cooldown applies to one model only. ``left_percent`` is what is left of its tightest window; 100 if unknown.
    """

    account: Account
    available_at: float | None = None
    limited_model: str | None = None
    left_percent: float = 100.0

    @property
    def is_usable(self) -> bool:
        return not self.account.disabled and self.account.needs_login is None

    def wait_s(self, now: float) -> float:
        return 0.0 if self.available_at is None else max(0.0, self.available_at - now)


@define
class History:
    """What one request has been through, by account id: it tries each account once, and waits for each once."""

    failed: dict[str, CodexdError] = field(factory=dict)
    """The error of each failed account, the latest last."""
    waited: set[str] = field(factory=set)
    """The accounts for which the request waited until a short limit ended."""


@frozen
class Choice:
    """The account, a short reason for it, and how long to wait before it is used."""

    account: Account
    reason: str
    wait_s: float = 0.0


@frozen
class Rotation:
    """What a choice depends on, with three account ids.

    The session uses ``kept``, the latest new session was given ``last``, and the user's active account is ``active``.
    """

    strategy: Strategy
    kept: str | None = None
    last: str | None = None
    active: str | None = None

    def choose(self, candidates: Sequence[Candidate], history: History, now: float) -> Choice:
        """The account that serves the request.

        Raises:
            AllAccountsLimited: says when each account is available again; ``resets_at`` is the earliest time.
            CodexdError: the last account's error, or why no account can be used at all.
        """
        options = [
            (wait_s, other.account)
            for other in candidates
            if other.is_usable and other.account.id not in history.failed
            if (wait_s := other.wait_s(now)) <= (0.0 if other.account.id in history.waited else SHORT_LIMIT_S)
        ]
        for wait_s, account in options:
            if account.id == self.kept:
                return Choice(account, "used by this session", wait_s)
        available = {account.id for wait_s, account in options if wait_s == 0.0}
        if available:
            return self._apply_strategy([each for each in self._in_order(candidates) if each.account.id in available])
        if options:
            wait_s, account = min(options, key=lambda option: option[0])
            return Choice(account, "available first", wait_s)
        raise _refuse(candidates, history, now)

    def _in_order(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, starting with the one whose turn it is."""
        ids = [candidate.account.id for candidate in candidates]
        at = self.last if self.last in ids else self.active
        start = ids.index(at) if at in ids else 0
        if self.strategy is Strategy.ROUND_ROBIN and self.last in ids:
            start += 1
        return [*candidates[start:], *candidates[:start]]

    def _apply_strategy(self, available: Sequence[Candidate]) -> Choice:
        """One of the ``available`` accounts, in their order, for a new session or one that has to move."""
        match self.strategy:
            case Strategy.STICKY:
                return Choice(available[0].account, "sticky")
            case Strategy.ROUND_ROBIN:
                return Choice(available[0].account, "round-robin")
            case Strategy.MOST_REMAINING:
                return Choice(max(available, key=lambda candidate: candidate.left_percent).account, "most remaining")


def describe_failure(error: CodexdError) -> str:
    """A short description of an account's error."""
    return next(
        (ACCOUNT_FAILURES[kind] for kind in type(error).__mro__ if kind in ACCOUNT_FAILURES),
        error.kind.replace("_", " "),
    )


def add_failure(choice: Choice, candidates: Sequence[Candidate], history: History) -> Choice:
    """The choice; if another account failed before it, that becomes the reason."""
    if not history.failed:
        return choice
    account_id, error = list(history.failed.items())[-1]
    label = next((other.account.label for other in candidates if other.account.id == account_id), account_id)
    return attrs.evolve(choice, reason=f"tried after {label}: {describe_failure(error)}")


def _refuse(candidates: Sequence[Candidate], history: History, now: float) -> CodexdError:
    """Why no account can serve the request: first what passes by itself, then what the user has to fix."""
    states = "; ".join(f"{other.account.label} {_describe_state(other, history, now)}" for other in candidates)
    limited = [available_at for other in candidates if (available_at := _find_available_at(other, history)) is not None]
    if limited:
        return AllAccountsLimited(f"No account can serve this request now: {states}.", resets_at=min(limited))
    if history.failed:
        return list(history.failed.values())[-1]
    if any(not other.account.disabled for other in candidates):
        return AccountNeedsLogin(f"No account can be used: {states}. {SIGN_IN}")
    if candidates:
        return AccountDisabled("Every account is disabled. Run `codexctl accounts enable NAME`.")
    return NoAccount(NO_ACCOUNT)


def _find_available_at(candidate: Candidate, history: History) -> float | None:
    """When the account is available again, if nothing but its limit prevents its use."""
    failure = history.failed.get(candidate.account.id)
    by_limit = candidate.is_usable and (failure is None or isinstance(failure, LIMIT_ERRORS))
    return candidate.available_at if by_limit else None


def _describe_state(candidate: Candidate, history: History, now: float) -> str:
    if candidate.account.disabled:
        return "is disabled"
    if candidate.account.needs_login is not None:
        return ACCOUNT_FAILURES[AccountNeedsLogin]
    available_at = _find_available_at(candidate, history)
    if available_at is None:
        return f"was tried ({describe_failure(history.failed[candidate.account.id])})"
    model = f" for {candidate.limited_model}" if candidate.limited_model else ""
    return f"is available again{model} {say_until(available_at, now)}"
