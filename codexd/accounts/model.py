"""The values that the account modules exchange, and the state of an account. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Limits

EXPIRING_S = 300.0
"""A token with no more than this left is shown as expiring, as is any that can't be refreshed."""


@frozen
class Account:
    """One login: a user in a workspace. Its tokens are kept separately (``Tokens``).

    ``added_at`` and ``last_used_at`` are seconds since the epoch. ``needs_login`` says why the login is dead and what
    the user can do about it, or is None; ``dead_login`` is the fingerprint of a refresh token that no longer works.
    ``withdrawn`` says why the refresh token no longer works, while the access token still does until it expires.
    ``disabled``: the user took the account out of use. ``followed`` is the path of another program's ``auth.json``,
    which codexd reads instead of its own file and never refreshes; ``imported_from`` is the path of the file that the
    login was copied from. ``mark`` tells it apart from other accounts of the same email; it is not kept in the file.
    """

    id: str
    chatgpt_account_id: str
    user_id: str
    email: str
    plan: str
    added_at: float
    last_used_at: float | None = None
    needs_login: str | None = None
    simulated: bool = False
    disabled: bool = False
    followed: str | None = None
    imported_from: str | None = None
    dead_login: str | None = None
    withdrawn: str | None = None
    mark: str = field(default="", eq=False)
    refusal: str | None = None
    """Why the backend refuses its tokens although they can be refreshed. Only in memory: it may be over at any time."""

    @property
    def label(self) -> str:
        """The account's name in errors and logs, marked if the account is simulated."""
        return f"{self.name} (simulated)" if self.simulated else self.name

    @property
    def name(self) -> str:
        """Short, and distinct among the accounts of a store: the email, with the workspace where several share it."""
        if not self.email:
            return self.id
        return f"{self.email}/{self.mark}" if self.mark else self.email


@frozen
class Tokens:
    """The secrets of one login. ``expires_at``: when the access token expires, seconds since the epoch."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    id_token: str | None = field(repr=False)
    expires_at: float


@frozen
class RefreshReply:
    """What the token endpoint returned; any field may be missing. ``expires_in``: seconds."""

    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None


class RefreshReason(Enum):
    """Why a token is refreshed, in the sign-in server's words."""

    PROACTIVE = "proactive_expiry"
    """It is about to expire, or the user asked."""
    UNAUTHORIZED = "unauthorized_recovery"
    """The backend refused it."""


class AddOutcome(Enum):
    """What ``AccountStore.add`` did with a login. ``KEPT``: the account already had a newer one."""

    ADDED = "added"
    UPDATED = "updated"
    KEPT = "kept"


class AccountState(Enum):
    """The ``state`` of an account on the control socket."""

    OK = "ok"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    NEEDS_LOGIN = "needs_login"
    LIMITED = "limited"
    DISABLED = "disabled"


def account_state(
    account: Account, tokens: Tokens | None, limits: Limits, cooldown: Cooldown | None, now: float
) -> AccountState:
    """The state to show: first the user's own choice, then what the user must fix, then what passes by itself.

    ``tokens`` is None if the account's file can't be read. ``cooldown`` is the cooldown of the whole account, if any:
    during a cooldown for a single model the account still serves others.
    """
    if account.disabled:
        return AccountState.DISABLED
    if account.needs_login is not None or account.refusal is not None or tokens is None:
        return AccountState.NEEDS_LOGIN
    if limits.is_used_up(now) or (cooldown is not None and not cooldown.is_over(now)):
        return AccountState.LIMITED
    if tokens.expires_at <= now:
        return AccountState.EXPIRED
    if tokens.expires_at <= now + EXPIRING_S or account.withdrawn is not None:
        return AccountState.EXPIRING
    return AccountState.OK
