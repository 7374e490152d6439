"""Finding the account that a user names. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNotFound


def find_account(accounts: Sequence[Account], name: str) -> Account:
    """The account with this id, workspace id or email address, or the only one for which one of these begins with it.

    Raises:
        AccountNotFound: lists the known accounts.
        AccountAmbiguous: lists the candidates: workspaces share a person's email address, members a workspace's id.
    """
    wanted = name.strip().casefold()
    found = (
        [account for account in accounts if account.id == wanted]
        or [account for account in accounts if wanted in _names(account)]
        or [account for account in accounts if wanted and any(each.startswith(wanted) for each in _names(account))]
    )
    if not found:
        known = ", ".join(account.label for account in accounts) or "none is signed in"
        raise AccountNotFound(f"There is no account {name!r}. Known accounts: {known}.")
    if len(found) > 1:
        candidates = "; ".join(_describe(account) for account in found)
        raise AccountAmbiguous(f"{name!r} matches more than one account: {candidates}. Use the id.")
    return found[0]


def _names(account: Account) -> tuple[str, ...]:
    names = (account.id, account.chatgpt_account_id.casefold(), account.email.casefold())
    return tuple(name for name in names if name)


def _describe(account: Account) -> str:
    return f"{account.id} ({account.label}, plan {account.plan}, workspace {account.chatgpt_account_id})"
