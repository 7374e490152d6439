"""Which account serves a request: the active one, or one of several once the user has opted in to rotation. Pure."""

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
    "No account is signed in. Run `codexctl accounts add`; `codexctl accounts import` takes the Codex CLI's login."
)


def choose_account(active: Account | None, accounts: Sequence[Account]) -> Account:
    """The account that serves the next request: in personal mode the active one, and no other.

    Raises:
        NoAccount: none is signed in, or none is active.
        AccountDisabled: the active one is out of use.
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
"""A limit that ends sooner is waited for: another account would have to read the whole conversation again."""

LIMIT_ERRORS = (UsageLimitReached, RateLimited)

WHY: Mapping[type[CodexdError], str] = {
    UsageLimitReached: "usage limit reached",
    RateLimited: "too many requests",
    FollowedLoginStale: "its followed login is out of date",
    AccountNeedsLogin: "needs a new login",
    PlanRefused: "its plan was refused",
    WorkspaceRefused: "its workspace was refused",
    ModelRefused: "does not serve the model",
}
"""The errors that concern one account, so that another may do better, each in a few words."""

OWN_ERRORS = tuple(WHY)


class Strategy(Enum):
    """The setting ``rotation.strategy``: which account a new session is put on."""

    STICKY = "sticky"
    ROUND_ROBIN = "round-robin"
    MOST_REMAINING = "most-remaining"


@frozen
class Candidate:
    """An account, and what its limits say about the model that the request would go to.

    ``opens_at`` is when its cooldown ends, in seconds since the epoch, or None; ``limited_model`` is set when the
    cooldown holds for one model alone. ``left_percent`` is of its tightest window; unknown counts as all.
    """

    account: Account
    opens_at: float | None = None
    limited_model: str | None = None
    left_percent: float = 100.0

    @property
    def is_usable(self) -> bool:
        return not self.account.disabled and self.account.needs_login is None

    def wait_s(self, now: float) -> float:
        return 0.0 if self.opens_at is None else max(0.0, self.opens_at - now)


@define
class History:
    """What one request has been through. By account id: each is tried once, and waited for once."""

    failed: dict[str, CodexdError] = field(factory=dict)
    """What each account failed with, the last one last."""
    waited: set[str] = field(factory=set)
    """The accounts whose short limit was waited for."""


@frozen
class Choice:
    """The account, the reason in a few words, and how long to wait for it first."""

    account: Account
    reason: str
    wait_s: float = 0.0


@frozen
class Rotation:
    """What a choice depends on: the ids of three accounts.

    The session is on ``kept``, a session was last put on ``last``, and the user chose ``active``.
    """

    strategy: Strategy
    kept: str | None = None
    last: str | None = None
    active: str | None = None

    def choose(self, candidates: Sequence[Candidate], history: History, now: float) -> Choice:
        """The account that serves the request.

        Raises:
            AllAccountsLimited: says when each account opens; ``resets_at`` is the earliest.
            CodexdError: what the last account failed with, or why none can be used at all.
        """
        options = [
            (wait_s, other.account)
            for other in candidates
            if other.is_usable and other.account.id not in history.failed
            if (wait_s := other.wait_s(now)) <= (0.0 if other.account.id in history.waited else SHORT_LIMIT_S)
        ]
        for wait_s, account in options:
            if account.id == self.kept:
                return Choice(account, "session keeps it", wait_s)
        open_now = {account.id for wait_s, account in options if wait_s == 0.0}
        if open_now:
            return self._place([other for other in self._in_turn(candidates) if other.account.id in open_now])
        if options:
            wait_s, account = min(options, key=lambda option: option[0])
            return Choice(account, "opens first", wait_s)
        raise _refuse(candidates, history, now)

    def _in_turn(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, beginning with the one whose turn it is."""
        ids = [candidate.account.id for candidate in candidates]
        at = self.last if self.last in ids else self.active
        start = ids.index(at) if at in ids else 0
        if self.strategy is Strategy.ROUND_ROBIN and self.last in ids:
            start += 1
        return [*candidates[start:], *candidates[:start]]

    def _place(self, open_now: Sequence[Candidate]) -> Choice:
        """The open account, out of those in turn, for a new session or one that can't stay where it is."""
        match self.strategy:
            case Strategy.STICKY:
                return Choice(open_now[0].account, "sticky")
            case Strategy.ROUND_ROBIN:
                return Choice(open_now[0].account, "round-robin")
            case Strategy.MOST_REMAINING:
                return Choice(max(open_now, key=lambda candidate: candidate.left_percent).account, "most remaining")


def say_why(error: CodexdError) -> str:
    """Why an account failed, in a few words."""
    return next((WHY[kind] for kind in type(error).__mro__ if kind in WHY), error.kind.replace("_", " "))


def explain(choice: Choice, candidates: Sequence[Candidate], history: History) -> Choice:
    """The choice, with the account that failed before it as the reason, if one did."""
    if not history.failed:
        return choice
    account_id, error = list(history.failed.items())[-1]
    label = next((other.account.label for other in candidates if other.account.id == account_id), account_id)
    return attrs.evolve(choice, reason=f"tried after {label}: {say_why(error)}")


def _refuse(candidates: Sequence[Candidate], history: History, now: float) -> CodexdError:
    """Why no account can serve the request: first what passes by itself, then what the user has to mend."""
    states = "; ".join(f"{other.account.label} {_say_state(other, history, now)}" for other in candidates)
    limited = [opens_at for other in candidates if (opens_at := _find_opening(other, history)) is not None]
    if limited:
        return AllAccountsLimited(f"No account can serve this now: {states}.", resets_at=min(limited))
    if history.failed:
        return list(history.failed.values())[-1]
    if any(not other.account.disabled for other in candidates):
        return AccountNeedsLogin(f"No account can be used: {states}. {SIGN_IN}")
    if candidates:
        return AccountDisabled("Every account is disabled. Run `codexctl accounts enable NAME`.")
    return NoAccount(NO_ACCOUNT)


def _find_opening(candidate: Candidate, history: History) -> float | None:
    """When the account opens by itself, if only its limit stands in the way."""
    failure = history.failed.get(candidate.account.id)
    by_limit = candidate.is_usable and (failure is None or isinstance(failure, LIMIT_ERRORS))
    return candidate.opens_at if by_limit else None


def _say_state(candidate: Candidate, history: History, now: float) -> str:
    if candidate.account.disabled:
        return "is disabled"
    if candidate.account.needs_login is not None:
        return WHY[AccountNeedsLogin]
    opens_at = _find_opening(candidate, history)
    if opens_at is None:
        return f"was tried ({say_why(history.failed[candidate.account.id])})"
    model = f" for {candidate.limited_model}" if candidate.limited_model else ""
    return f"opens{model} {say_until(opens_at, now)}"
