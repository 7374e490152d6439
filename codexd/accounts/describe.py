"""What state an account is in, in one word. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexd.accounts.limits import Window
from codexd.accounts.model import Account, AccountState, Tokens

EXPIRING_S = 300.0


def account_state(account: Account, tokens: Tokens | None, windows: Sequence[Window], now: float) -> AccountState:
    """The state to show. What the user must mend stands before what waiting mends, and that before what mends itself.

    ``tokens`` is None when the account's file can't be read.
    """
    if account.needs_login is not None or tokens is None:
        return AccountState.NEEDS_LOGIN
    if any(window.is_used_up(now) for window in windows):
        return AccountState.LIMITED
    if tokens.expires_at <= now:
        return AccountState.EXPIRED
    if tokens.expires_at <= now + EXPIRING_S:
        return AccountState.EXPIRING
    return AccountState.OK
