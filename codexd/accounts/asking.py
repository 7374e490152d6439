"""A question to the backend about an account, with its access token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.store import AccountStore
from codexd.errors import TokenRejected

Answer = TypeVar("Answer")


async def ask_backend(
    store: AccountStore,
    refresher: Refresher,
    account_id: str,
    question: Callable[[Account, str], Awaitable[Answer]],
) -> Answer:
    """The answer to ``question``, which is given the account and its token; a refused token is refreshed once.

    Raises:
        AccountError: there is no such account (any more), or no token for it.
        UpstreamError: the backend refused, or gave no usable answer.
    """
    token = await refresher.fresh_token(account_id)
    try:
        answer = await question(store.get(account_id), token)
    except TokenRejected:
        token = await refresher.fresh_token(account_id, rejected=token)
        answer = await question(store.get(account_id), token)
    store.get(account_id)  # it may have been removed meanwhile
    return answer
