"""Which account: the one that serves a request, and the one that a user means by a name. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNeedsLogin, AccountNotFound, NoAccount


def choose_account(active: Account | None, accounts: Sequence[Account]) -> Account:
    """The account that serves the next request: in personal mode the active one, and no other.

    Raises:
        NoAccount: none is signed in, or none is active.
        AccountNeedsLogin: the active one's login is dead.
    """
    if active is None and accounts:
        raise NoAccount("No account is active. Choose one with `codexctl accounts switch`.")
    if active is None:
        raise NoAccount("No account is signed in. Run `codex login`, then `codexctl accounts import`.")
    if active.needs_login is not None:
        raise needs_login(active, active.needs_login)
    return active


def needs_login(account: Account, reason: str) -> AccountNeedsLogin:
    """``reason`` is whole sentences that end with what to do."""
    return AccountNeedsLogin(f"The account {account.label} needs a new login. {reason}")


def find_account(accounts: Sequence[Account], name: str) -> Account:
    """The account whose id or e-mail is ``name``, or the only one whose id or e-mail begins with it.

    Raises:
        AccountNotFound: lists the accounts there are.
        AccountAmbiguous: lists the candidates; two workspaces of one person share an e-mail, never an id.
    """
    wanted = name.strip().casefold()
    found = (
        [account for account in accounts if account.id == wanted]
        or [account for account in accounts if account.email and account.email.casefold() == wanted]
        or [account for account in accounts if wanted and _begins_with(account, wanted)]
    )
    if not found:
        known = ", ".join(account.label for account in accounts) or "none is signed in"
        raise AccountNotFound(f"There is no account {name!r}. Known accounts: {known}.")
    if len(found) > 1:
        candidates = ", ".join(f"{account.id} ({account.label})" for account in found)
        raise AccountAmbiguous(f"{name!r} means more than one account: {candidates}. Give the id.")
    return found[0]


def _begins_with(account: Account, wanted: str) -> bool:
    return account.id.startswith(wanted) or account.email.casefold().startswith(wanted)
