"""``accounts.json``: the list of accounts, and which one is active. It contains no tokens.

Only one process uses it at a time (``lock``), and only through ``AccountsFile``, which keeps the previous version
in ``accounts.json.previous``. An unusable file is moved aside before the first write.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Self

import attrs
from attrs import frozen

from codexd import jsontext
from codexd.accounts.login import UNKNOWN_PLAN, Identity, fingerprint, is_header_text
from codexd.accounts.model import Account
from codexd.accounts.store.login_file import Login
from codexd.errors import FileUnreadable
from codexd.files import keep_aside, read_private, unused_name, write_atomic
from codexd.strict import load_versioned, structure

log = logging.getLogger("codexd.accounts")

VERSION = 1
LOCK_NAME = "accounts.lock"
ACCOUNT_ID = re.compile(r"[0-9a-f]{12}")


# -- the content ----------------------------------------------------------------------------------


@frozen
class Book:
    """The content of the file: the accounts in the order they were added, and the id of the active one."""

    version: int = VERSION
    active: str | None = None
    accounts: tuple[Account, ...] = ()

    def find(self, account_id: str) -> Account | None:
        return next((account for account in self.accounts if account.id == account_id), None)

    def put(self, account: Account) -> Self:
        """A copy with this account, in its old place or at the end. It becomes active if no other account is."""
        accounts = {other.id: other for other in self.accounts} | {account.id: account}
        return attrs.evolve(self, accounts=tuple(accounts.values()), active=self.active or account.id)

    def change(self, account_id: str, **changes: Any) -> Self:
        """A copy with these changes to one account; an unknown id changes nothing."""
        accounts = (
            attrs.evolve(account, **changes) if account.id == account_id else account for account in self.accounts
        )
        return attrs.evolve(self, accounts=tuple(accounts))

    def drop(self, account_id: str) -> Self:
        """A copy without this account. If it was the active one, none is active."""
        accounts = tuple(account for account in self.accounts if account.id != account_id)
        return attrs.evolve(self, accounts=accounts, active=None if self.active == account_id else self.active)


def parse_book(data: bytes) -> Book:
    """The content of the file.

    Raises:
        FileUnreadable: the reason only (not JSON, another version, a wrong type, a bad id); the caller adds the file.
    """
    raw = load_versioned(data, VERSION)
    if not isinstance(raw.get("accounts"), list):
        raise FileUnreadable('it has no "accounts" list')
    book = structure(raw, Book)
    _check_ids(book)
    return book


def dump_book(book: Book) -> bytes:
    in_memory_only = ("mark", "refusal")
    return jsontext.dumps(attrs.asdict(book, filter=lambda kept, _: kept.name not in in_memory_only)) + b"\n"


def _check_ids(book: Book) -> None:
    """An account id names a folder, so it must be well-formed and unique; a workspace id goes into a header."""
    for account in book.accounts:
        if not is_header_text(account.chatgpt_account_id):
            raise FileUnreadable(f"account {account.id} has an invalid chatgpt_account_id")
    ids = [account.id for account in book.accounts]
    for account_id in ids:
        if not ACCOUNT_ID.fullmatch(account_id):
            raise FileUnreadable(f"{account_id!r} is not an account id (12 hexadecimal digits)")
        if ids.count(account_id) > 1:
            raise FileUnreadable(f"it lists account id {account_id} twice")


def make_account(
    login: Login,
    *,
    known: Account | None = None,
    now: float,
    followed: Path | None = None,
    imported_from: Path | None = None,
) -> Account:
    """The entry for a new login. It keeps the user's choices for the ``known`` account, not its login's state."""
    identity = login.identity
    return Account(
        id=identity.account_id,
        chatgpt_account_id=identity.chatgpt_account_id,
        user_id=identity.user_id,
        email=identity.email,
        plan=identity.plan,
        added_at=known.added_at if known else now,
        last_used_at=known.last_used_at if known else None,
        simulated=login.is_simulated,
        disabled=known.disabled if known else False,
        followed=str(followed.absolute()) if followed else None,
        imported_from=str(imported_from.absolute()) if imported_from and not followed else None,
    )


def read_profile(account: Account, identity: Identity | None) -> dict[str, str]:
    """The plan and email address from new tokens; what they leave out stays unchanged."""
    if identity is None:
        return {}
    plan = account.plan if identity.plan == UNKNOWN_PLAN else identity.plan
    return {"plan": plan, "email": identity.email or account.email}


def read_changes(account: Account, login: Login) -> dict[str, Any]:
    """What the account's file changes in its entry: any refresh token other than the dead one revives the account."""
    changes: dict[str, Any] = {}
    if (account.needs_login or account.withdrawn) and fingerprint(login.tokens.refresh_token) != account.dead_login:
        log.info("the login file has changed; the login is revived", extra={"fields": {"account": account.label}})
        changes = {"needs_login": None, "withdrawn": None, "dead_login": None}
    if account.followed is not None:  # for codexd's own tokens, save_tokens does this
        changes |= read_profile(account, login.identity)
    return changes


# -- the file -------------------------------------------------------------------------------------


@frozen
class _Copy:
    """One file as found: with a book and its bytes if it is readable, with a problem if not, empty if it is missing."""

    book: Book | None = None
    data: bytes | None = None
    problem: str | None = None


class AccountsFile:
    """``accounts.json`` at ``path``. Only the process that holds the lock opens and writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous_path = path.with_name(f"{path.name}.previous")
        self._current = _read(path)
        self._previous = _read(self._previous_path)
        self._kept: Path | None = None
        self.book = self._current.book or self._previous.book or Book()
        """The file's content when it was opened, or the content of its previous copy if the file can't be used."""
        self.is_current = self._current.book is not None or self._current == self._previous == _Copy()
        """Whether ``book`` is complete. If not, it comes from the previous copy, which is one write behind."""
        self._opened_with = self._current
        self._source = "its previous copy and the accounts' folders" if self._previous.book else "their folders"

    @property
    def is_unreadable(self) -> bool:
        """Whether the file can't be used. It is left alone until there is something to write."""
        return self._current.problem is not None

    @property
    def problem(self) -> str | None:
        """What was wrong with the file when it was opened, in full sentences. Applies until the next start."""
        if self.is_current:
            return None
        if self._opened_with.problem is None:
            found = f"{self.path} is missing."
        elif self._kept is None:
            found = f"{self._opened_with.problem} It is left in place until a change moves it aside."
        else:
            found = f"{self._opened_with.problem} It is kept as {self._kept.name}."
        return f"{found} The accounts come from {self._source}; check them with `codexctl accounts`."

    def write(self, book: Book) -> None:
        """Replace the file durably. A readable file becomes the previous copy; an unusable one is moved aside.

        Raises:
            OSError: it could not be written; nothing is lost.
        """
        data = dump_book(book)
        if self.is_unreadable:
            self._kept = keep_aside(self.path)
            self._current = _Copy()
            log.warning("%s could not be used and is kept as %s", self.path, self._kept.name)
        self._keep_edited()
        if self._current.data not in (None, data):
            self._write_previous(self._current)
        write_atomic(self.path, data)
        self._current = _Copy(book, data)

    def _keep_edited(self) -> None:
        """If another program has changed the file, keep that version aside: it is not used."""
        try:
            found = read_private(self.path)
        except FileNotFoundError:
            return
        if found != self._current.data:
            kept = unused_name(self.path.with_name(f"{self.path.name}.edited"))
            self.path.rename(kept)
            log.warning("another program changed %s while codexd ran; its version is kept as %s", self.path, kept.name)

    def _write_previous(self, copy: _Copy) -> None:
        if self._previous.problem is not None:
            keep_aside(self._previous_path)
        write_atomic(self._previous_path, copy.data or b"")
        self._previous = copy


def _read(path: Path) -> _Copy:
    try:
        data = read_private(path)
        return _Copy(parse_book(data), data)
    except FileNotFoundError:
        return _Copy()
    except OSError as error:
        return _Copy(problem=f"{path} can't be read: {error.strerror}. Check who owns it.")
    except FileUnreadable as error:
        return _Copy(problem=f"{path} can't be used: {error}.")
