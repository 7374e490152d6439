"""The values that the account modules hand to each other. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen


@frozen
class Account:
    """One login: a user in a workspace. Its tokens stand elsewhere (``Tokens``).

    ``added_at`` and ``last_used_at`` are seconds since the epoch. ``needs_login`` is None, or why the login is dead
    and what the user can do about it; ``dead_login`` is the fingerprint of the refresh token with which it died.
    ``disabled``: its user took it out of use. ``followed`` is the path of another program's ``auth.json`` that is read
    in place of our own and never refreshed by us; ``imported_from`` the one that the login was copied from.
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

    @property
    def label(self) -> str:
        """What a user knows the account by, in errors and logs; it says when the account is simulated."""
        return f"{self.name} (simulated)" if self.simulated else self.name

    @property
    def name(self) -> str:
        return self.email or self.id


@frozen
class Tokens:
    """The secrets of one login. ``expires_at``: when the access token ends, seconds since the epoch."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    id_token: str | None = field(repr=False)
    expires_at: float


@frozen
class RefreshReply:
    """What the token endpoint gave; it may leave out any of them. ``expires_in``: seconds."""

    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None


class AccountState(Enum):
    """The ``state`` of an account on the control socket."""

    OK = "ok"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    NEEDS_LOGIN = "needs_login"
    LIMITED = "limited"
    DISABLED = "disabled"
