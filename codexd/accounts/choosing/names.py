"""The account that a user means by a name. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNotFound


def find_account(accounts: Sequence[Account], name: str) -> Account:
    """The account whose id, workspace id or e-mail is ``name``, or the only one of which one begins with it.

    Raises:
        AccountNotFound: lists the accounts there are.
        AccountAmbiguous: lists the candidates; one person's workspaces share an e-mail, one workspace's people its id.
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
        raise AccountAmbiguous(f"{name!r} means more than one account: {candidates}. Give the id.")
    return found[0]


def _names(account: Account) -> tuple[str, ...]:
    names = (account.id, account.chatgpt_account_id.casefold(), account.email.casefold())
    return tuple(name for name in names if name)


def _describe(account: Account) -> str:
    return f"{account.id} ({account.label}, plan {account.plan}, workspace {account.chatgpt_account_id})"
