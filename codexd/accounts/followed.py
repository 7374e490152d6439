"""Followed logins: another program's ``auth.json``, which that program alone refreshes.

A second program that trades in a refresh token kills the login for both, so codexd only reads. The Codex CLI truncates
its file and writes it in place: for a moment it holds half a login.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from codexd.accounts.model import Account, Tokens
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, FollowedLoginStale
from codexd.translation.wire_errors import say_duration

READ_FOR_S = 1.0
"""How long a file that can't be read may still be one that is being written."""

READ_EVERY_S = 0.01
ADVICE = "Run any `codex` command there, which refreshes it, or sign in here with `codexctl accounts add`."


async def read_followed_token(
    store: AccountStore, account_id: str, *, rejected: str | None, clock: Callable[[], float]
) -> str:
    """The access token that the followed file holds now; ``rejected`` is one that the backend has just refused.

    Raises:
        AccountNotFound
        FollowedLoginStale: its owner has to refresh it first; the login itself may be well.
        AccountNeedsLogin: the file can't be read, or holds another account.
    """
    account = store.get(account_id)
    tokens = await _read_patiently(store, account_id, rejected=rejected, clock=clock)
    if tokens.access_token == rejected:
        raise FollowedLoginStale(f"The backend refused the access token of {account.label}. {_say_owner(account)}")
    past_s = clock() - tokens.expires_at
    if past_s >= 0:
        raise FollowedLoginStale(
            f"The access token of {account.label} ended {say_duration(past_s)} ago. {_say_owner(account)}"
        )
    return tokens.access_token


async def _read_patiently(
    store: AccountStore, account_id: str, *, rejected: str | None, clock: Callable[[], float]
) -> Tokens:
    """The file's tokens; when it stays unreadable those last read, if they still serve."""
    give_up_at = trio.current_time() + READ_FOR_S
    while True:
        try:
            return store.reload(account_id)
        except AccountNeedsLogin:
            if trio.current_time() >= give_up_at:
                tokens = store.tokens(account_id)
                if tokens.access_token == rejected or tokens.expires_at <= clock():
                    raise
                return tokens
        await trio.sleep(READ_EVERY_S)


def _say_owner(account: Account) -> str:
    return f"codexd only reads this login from {account.followed}. {ADVICE}"
