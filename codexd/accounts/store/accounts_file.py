"""The content of ``accounts.json``: which accounts there are and which is active. Holds no token. Pure."""

from __future__ import annotations

import re
from typing import Any, Self

import attrs
from attrs import frozen

from codexd import jsontext
from codexd.accounts.login import is_header_text
from codexd.accounts.model import Account
from codexd.accounts.store.strict import load_versioned, structure
from codexd.errors import FileUnreadable

VERSION = 1
_ID = re.compile(r"[0-9a-f]{12}")


@frozen
class Book:
    """The accounts in the order they were added, and the id of the active one."""

    version: int = VERSION
    active: str | None = None
    accounts: tuple[Account, ...] = ()

    def find(self, account_id: str) -> Account | None:
        return next((account for account in self.accounts if account.id == account_id), None)

    def put(self, account: Account) -> Self:
        """With the account as given, in its old place or at the end; it becomes the active one when none is."""
        accounts = {other.id: other for other in self.accounts} | {account.id: account}
        return attrs.evolve(self, accounts=tuple(accounts.values()), active=self.active or account.id)

    def change(self, account_id: str, **changes: Any) -> Self:
        """With changes in one account; one that is not listed changes nothing."""
        accounts = (
            attrs.evolve(account, **changes) if account.id == account_id else account for account in self.accounts
        )
        return attrs.evolve(self, accounts=tuple(accounts))

    def drop(self, account_id: str) -> Self:
        """Without the account; none is active when it was the one."""
        accounts = tuple(account for account in self.accounts if account.id != account_id)
        return attrs.evolve(self, accounts=accounts, active=None if self.active == account_id else self.active)


def parse_book(data: bytes) -> Book:
    """The accounts that the file lists.

    Raises:
        FileUnreadable: the reason only (not JSON, another version, a wrong type, a doubtful id); the caller, who
            knows the file, names it.
    """
    raw = load_versioned(data, VERSION)
    if not isinstance(raw.get("accounts"), list):
        raise FileUnreadable('it has no list "accounts"')
    book = structure(raw, Book)
    _check_ids(book)
    return book


def dump_book(book: Book) -> bytes:
    return jsontext.dumps(attrs.asdict(book)) + b"\n"


def _check_ids(book: Book) -> None:
    """An id names a folder: one of our own making, and each once. The workspace's goes into a header."""
    for account in book.accounts:
        if not is_header_text(account.chatgpt_account_id):
            raise FileUnreadable(f"account {account.id} has a chatgpt_account_id that is none")
    ids = [account.id for account in book.accounts]
    for account_id in ids:
        if not _ID.fullmatch(account_id):
            raise FileUnreadable(f"{account_id!r} is not an account id (12 hexadecimal digits)")
        if ids.count(account_id) > 1:
            raise FileUnreadable(f"account id {account_id} stands in it twice")
