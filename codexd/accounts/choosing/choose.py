"""Which account serves a request in personal mode. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexd.accounts.model import Account
from codexd.errors import AccountDisabled, AccountNeedsLogin, NoAccount

NO_ACCOUNT = (
    "No account is signed in. Run `codexctl accounts add`; `codexctl accounts import` takes the Codex CLI's login."
)


def choose_account(active: Account | None, accounts: Sequence[Account]) -> Account:
    """The account that serves the next request: in personal mode the active one, and no other.

    Raises:
        NoAccount: none is signed in, or none is active.
        AccountDisabled: the active one is out of use.
        AccountNeedsLogin: its login is dead.
    """
    if active is None:
        raise NoAccount("No account is active. Choose one with `codexctl accounts switch`." if accounts else NO_ACCOUNT)
    if active.disabled:
        raise AccountDisabled(
            f"The account {active.label} is disabled. Run `codexctl accounts enable {active.name}`, or choose another "
            "with `codexctl accounts switch`."
        )
    if active.needs_login is not None:
        raise needs_login(active, active.needs_login)
    return active


def needs_login(account: Account, reason: str) -> AccountNeedsLogin:
    """``reason`` is whole sentences that end with what to do."""
    return AccountNeedsLogin(f"The account {account.label} needs a new login. {reason}")
