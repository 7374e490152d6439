"""Whether a request could be served now, by which account, and if not, why. Pure.

The answer for people; the choice for a request itself is made in ``choose``.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from codexd.accounts.model import Account, AccountState
from codexd.api.daemon import Serving

ADD_ACCOUNT = "Run `codexctl accounts add`, or `codexctl accounts import` to use the Codex CLI's login."
CHOOSE_ACCOUNT = "Choose one: `codexctl accounts switch NAME`."


@frozen
class Standing:
    """How an account stands now.

    ``until``: when its limit ends, or when a failing refresh is tried again, in seconds since the epoch. ``problem``:
    which limit was hit, or why its expired access token can't be refreshed.
    """

    account: Account
    state: AccountState
    until: float | None = None
    problem: str | None = None

    @property
    def is_usable(self) -> bool:
        """An expired access token is refreshed by the next request."""
        if self.state is AccountState.EXPIRED:
            return self.problem is None
        return self.state in (AccountState.OK, AccountState.EXPIRING)


def find_serving(standings: Sequence[Standing], active: str | None, *, rotates: bool, kilo: bool) -> Serving:
    """What would become of a request.

    Args:
        standings: all accounts.
        active: the id of the active account.
        rotates: whether other accounts may serve, too.
        kilo: whether the model name kilo leads to its own provider.
    """
    ordered = sorted(standings, key=lambda each: each.account.id != active)
    first = next((each for each in ordered if each.account.id == active), None)
    usable = [each for each in ordered if each.is_usable]
    server = next(iter(usable), None) if rotates else first
    if server is not None and server.is_usable:
        answer = _answer(server, usable, possible=True, reason=None)
        passed = first if first is not server else None
        return evolve(answer, reason=describe(passed), until=passed.until) if passed else answer
    refusal = _refuse(ordered, first, usable, rotates=rotates)
    return evolve(refusal, possible=True, state="kilo_only") if kilo else refusal


def describe(standing: Standing) -> str:
    """Why the account can't serve a request, without an end to the sentence."""
    name = standing.account.label
    match standing.state:
        case AccountState.DISABLED:
            return f"{name} is disabled"
        case AccountState.NEEDS_LOGIN:
            return f"{name} needs a new login"
        case AccountState.LIMITED:
            return f"{name} is limited ({standing.problem})" if standing.problem else f"{name} is limited"
        case AccountState.EXPIRED:
            return f"the access token of {name} has expired and can't be refreshed"
    return f"{name} is not the active account"


def _refuse(
    ordered: Sequence[Standing], first: Standing | None, usable: Sequence[Standing], *, rotates: bool
) -> Serving:
    if not ordered:
        return Serving(False, "no_account", None, "no account is signed in", None, ADD_ACCOUNT, ())
    if rotates:
        return _refuse_rotation(ordered)
    if first is None:
        others = tuple(each.account.name for each in usable)
        return Serving(False, "no_active_account", None, "no account is active", None, CHOOSE_ACCOUNT, others)
    return _answer(first, usable, possible=False, reason=describe(first))


def _refuse_rotation(ordered: Sequence[Standing]) -> Serving:
    """Names every account; ``until`` is when the first of them is available again."""
    limited = [each for each in ordered if each.until is not None and each.state is AccountState.LIMITED]
    chosen = min(limited, key=lambda each: each.until or 0.0) if limited else ordered[0]
    return _answer(chosen, (), possible=False, reason=", ".join(describe(each) for each in ordered))


def _answer(standing: Standing, usable: Sequence[Standing], *, possible: bool, reason: str | None) -> Serving:
    others = tuple(each.account.name for each in usable if each is not standing)
    return Serving(
        possible=possible,
        state=standing.state.value,
        account=standing.account.name,
        reason=reason,
        until=standing.until,
        advice=None if possible else _advise(standing, others),
        others=others,
    )


def _advise(standing: Standing, others: Sequence[str]) -> str | None:
    """What the user can do about it, in full sentences."""
    name = standing.account.name
    switch = f"Switch to another account: `codexctl accounts switch {others[0]}`." if others else None
    own: str | None = None
    match standing.state:
        case AccountState.DISABLED:
            own = f"Enable it: `codexctl accounts enable {name}`."
        case AccountState.NEEDS_LOGIN:
            own = standing.account.needs_login or "Sign in again: `codexctl accounts add`."
        case AccountState.EXPIRED:
            own = standing.problem
        case AccountState.LIMITED if not others:
            own = "Show the limits: `codexctl quota`."
    return " ".join(filter(None, (own, switch))) or None
