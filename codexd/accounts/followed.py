"""Followed logins: they belong to another program, which alone refreshes them.

If two programs refreshed a login, it would die for both, so codexd only reads the file again. The Codex CLI rewrites
its file in place, so for a moment it holds half a login.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from codexd.accounts.model import Tokens
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, FollowedLoginStale
from codexd.translation.wire_errors import say_duration

RETRY_FOR_S = 1.0
"""For how long an unreadable file is retried: it may be half written."""

RETRY_EVERY_S = 0.01
STALE_ADVICE = "Run any `codex` command there, which refreshes it, or sign in here with `codexctl accounts add`."


async def read_followed_token(
    store: AccountStore, account_id: str, rejected: str | None, clock: Callable[[], float]
) -> str:
    """The access token in the followed file, if it can be used. ``rejected`` is one that the backend has refused.

    Raises:
        AccountNotFound
        FollowedLoginStale: its owner has to refresh it; the login itself may be fine.
        AccountNeedsLogin: the file can't be read, or holds another account.
    """
    account = store.get(account_id)
    tokens = await _reload_patiently(store, account_id, rejected, clock)
    owner = f"codexd only reads this login from {account.followed}. {STALE_ADVICE}"
    if tokens.access_token == rejected:
        raise FollowedLoginStale(f"The backend refused the access token of {account.label}. {owner}")
    expired_for_s = clock() - tokens.expires_at
    if expired_for_s >= 0:
        raise FollowedLoginStale(
            f"The access token of {account.label} expired {say_duration(expired_for_s)} ago. {owner}"
        )
    return tokens.access_token


async def _reload_patiently(
    store: AccountStore, account_id: str, rejected: str | None, clock: Callable[[], float]
) -> Tokens:
    """The tokens in the file. If it stays unreadable, the tokens last read, as long as they are usable."""
    with trio.move_on_after(RETRY_FOR_S):
        while True:
            try:
                return store.reload(account_id)
            except AccountNeedsLogin:
                await trio.sleep(RETRY_EVERY_S)
    tokens = store.tokens(account_id)
    is_usable = tokens.access_token != rejected and tokens.expires_at > clock()
    return tokens if is_usable else store.reload(account_id)
