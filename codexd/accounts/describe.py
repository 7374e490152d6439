"""What state an account is in, in one word. Pure."""

from __future__ import annotations

from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Limits
from codexd.accounts.model import Account, AccountState, Tokens

EXPIRING_S = 300.0


def account_state(
    account: Account, tokens: Tokens | None, limits: Limits, cooldown: Cooldown | None, now: float
) -> AccountState:
    """The state to show.

    The user's own choice comes first, then what the user must mend, what waiting mends, and what mends itself.
    ``tokens`` is None when the account's file can't be read. ``cooldown`` is the whole account's, None when there is
    none: one for a single model leaves the account open.
    """
    if account.disabled:
        return AccountState.DISABLED
    if account.needs_login is not None or tokens is None:
        return AccountState.NEEDS_LOGIN
    if limits.is_used_up(now) or (cooldown is not None and not cooldown.is_over(now)):
        return AccountState.LIMITED
    if tokens.expires_at <= now:
        return AccountState.EXPIRED
    if tokens.expires_at <= now + EXPIRING_S:
        return AccountState.EXPIRING
    return AccountState.OK
