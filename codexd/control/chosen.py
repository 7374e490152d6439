"""Which accounts the params of a method mean."""

from __future__ import annotations

from codexd.accounts.model import Account
from codexd.control.method import Control
from codexd.errors import NoAccount


def choose_one(control: Control, name: str | None) -> Account:
    """The account of that name; without one, the active account.

    Raises:
        AccountNotFound, AccountAmbiguous
        NoAccount: no name, and none is active.
    """
    if name is not None:
        return control.store.find(name)
    active = control.store.active
    if active is None:
        raise NoAccount("No account is active. Name one, or choose one with `codexctl accounts switch`.")
    return active


def choose_accounts(control: Control, name: str | None, *, every: bool) -> tuple[Account, ...]:
    """All accounts, or the one that ``choose_one`` gives."""
    return control.store.accounts if every else (choose_one(control, name),)
