"""What the store holds in memory, and what of it is not on disk yet: the last readable logins, the list of accounts.

A login from a refresh comes only once. If it can't be written, it is used from memory, and written once that is
possible again: the caller of ``load`` and ``save`` tries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import attrs
from attrs import field, frozen

from codexd import bounds, jsontext
from codexd.accounts.model import Account
from codexd.accounts.store.accounts_file import AccountsFile, Book
from codexd.accounts.store.lock import StoreLock
from codexd.accounts.store.login_file import (
    FILE_NAME,
    Login,
    delete_login,
    read_followed,
    read_login,
    write_login,
)
from codexd.accounts.store.recovery import delete_folders
from codexd.errors import FileUnreadable, Restarting
from codexd.files import ReservedSpace, explain, make_private_folder

log = logging.getLogger("codexd.accounts")

UNSAVED = (
    "The new login of {label} exists in memory only. {problem} codexd keeps trying to save it. If codexd stops before "
    "that, the login is lost, and you have to sign in again."
)


@frozen
class _Unsaved:
    """Why a login is not on disk, for the user. ``retired`` is the refresh token of the file that it must replace."""

    retired: str | None = field(repr=False)
    problem: str


class HeldLogins:
    """The last readable login of each account, in memory, and why its file can't be read or written now.

    The accounts' folders are in ``accounts_dir``.
    """

    def __init__(self, accounts_dir: Path, lock: StoreLock) -> None:
        self._accounts_dir = accounts_dir
        self._lock = lock
        self._logins: dict[str, Login] = {}
        self._problems: dict[str, str] = {}
        self._unsaved: dict[str, _Unsaved] = {}

    def folder(self, account_id: str) -> Path:
        return self._accounts_dir / account_id

    def find(self, account_id: str) -> Login | None:
        """The login as last read or saved."""
        return self._logins.get(account_id)

    def find_problem(self, account_id: str) -> str | None:
        """Why the account's file could not be read the last time."""
        return self._problems.get(account_id)

    def find_unsaved(self, account_id: str) -> str | None:
        """What is at stake if the login is not on disk, why, and what to do, in full sentences; None if it is."""
        unsaved = self._unsaved.get(account_id)
        return unsaved.problem if unsaved else None

    def unusable_reason(self, account: Account) -> str | None:
        """Why the account has no usable tokens, or None.

        A followed file is half written while its owner rotates the tokens, and may hold another account for a while:
        the login that was read before is used until its tokens expire.
        """
        if account.followed is not None and account.id in self._logins:
            return None
        return self.find_problem(account.id)

    def load(self, account: Account) -> None:
        """Read the account's file. If it can't be read, remember why and keep the login as last read.

        A login that is not on disk yet is written instead, unless another program has written its own login there.
        """
        try:
            if account.followed is None:
                login = read_login(self.folder(account.id), account.id)
            else:
                login = read_followed(Path(account.followed), account.id)
        except FileUnreadable as error:
            if account.id in self._unsaved:
                self.save(account, self._logins[account.id])
            else:
                self._problems[account.id] = str(error)
            return
        known = self.find(account.id)
        if known and account.id in self._unsaved and self._is_behind(login, known, account.id):
            self.save(account, known)
            return
        if known and known.tokens.access_token == login.tokens.access_token:
            # The expiry of an opaque token is known only from the reply that brought it, not from the file.
            login = attrs.evolve(login, tokens=attrs.evolve(login.tokens, expires_at=known.tokens.expires_at))
        self.hold(account.id, login)

    def _is_behind(self, found: Login, held: Login, account_id: str) -> bool:
        """Whether the file still has the tokens that the unsaved login has replaced."""
        ours = (self._unsaved[account_id].retired, held.tokens.refresh_token)
        return found.auth_json != held.auth_json and found.tokens.refresh_token in ours

    def hold(self, account_id: str, login: Login) -> None:
        """Hold a login that is on disk."""
        self._logins[account_id] = login
        self._problems.pop(account_id, None)
        self._unsaved.pop(account_id, None)

    def save(self, account: Account, login: Login, space: ReservedSpace | None = None) -> None:
        """Write a login that comes only once. It is held even if it can't be written now (``find_unsaved``)."""
        before, unsaved = self.find(account.id), self._unsaved.get(account.id)
        try:
            self.write(account.id, login, space)
        except OSError as error:
            problem = UNSAVED.format(label=account.label, problem=explain(error, self.folder(account.id)))
            if unsaved is None:
                log.error("%s", problem)  # noqa: TRY400 - the disk's error, not a bug: a traceback adds nothing
                unsaved = _Unsaved(before.tokens.refresh_token if before else None, problem)
            self.hold(account.id, login)
            self._unsaved[account.id] = attrs.evolve(unsaved, problem=problem)
        else:
            self.hold(account.id, login)
            if unsaved is not None:
                log.info("the login is saved now", extra={"fields": {"account": account.label}})

    def retry(self, accounts: Iterable[Account]) -> None:
        """Try again to write the logins that are not on disk."""
        for account in accounts:
            if account.id in self._unsaved:
                self.load(account)

    def forget(self, account_id: str) -> None:
        self._logins.pop(account_id, None)
        self._problems.pop(account_id, None)
        self._unsaved.pop(account_id, None)

    def reserve(self, account_id: str | None) -> ReservedSpace:
        """Room for the account's next login; None: for that of an account which is not known yet.

        Raises:
            OSError: it could not be written now.
        """
        folder = self.folder(account_id) if account_id else self._accounts_dir
        login = self.find(account_id) if account_id else None
        known_bytes = len(jsontext.dumps(login.auth_json)) if login else 0
        make_private_folder(folder)
        return ReservedSpace(folder / FILE_NAME, bounds.SAVED_LOGIN_BYTES + known_bytes)

    def write(self, account_id: str, login: Login, space: ReservedSpace | None = None) -> None:
        """Write the login into the account's folder.

        Raises:
            Restarting
            OSError: it could not be written.
        """
        self._lock.check_writable()
        write_login(self.folder(account_id), account_id, login, space)

    def delete(self, account: Account) -> None:
        """Delete codexd's own login of the account. If that fails now, the next start does it.

        Raises:
            Restarting
        """
        self._lock.check_writable()
        try:
            delete_login(self.folder(account.id), account.id)
        except OSError as error:
            log.warning("a login of %s could not be deleted: %s", account.label, error.strerror)


class HeldBook:
    """The list of accounts, and the folders of removed accounts, to be deleted once ``file`` no longer lists them."""

    def __init__(self, file: AccountsFile, book: Book, removed: tuple[Path, ...], lock: StoreLock) -> None:
        self._file = file
        self._lock = lock
        self.book = self._saved = book
        self._removed = removed
        self.problem: str | None = None
        """Why the list is not on disk, in full sentences."""

    def commit(self, book: Book) -> None:
        """Write ``book``, and hold it.

        Raises:
            Restarting
            OSError: it could not be written; nothing has changed.
        """
        self._lock.check_writable()
        self._file.write(book)
        self.book = self._saved = book
        self._removed = delete_folders(self._removed)
        if self.problem is not None:
            log.info("%s can be written again", self._file.path)
        self.problem = None

    def commit_if_possible(self, book: Book) -> None:
        """For facts that apply even if they can't be written now; the next write includes them."""
        try:
            self.commit(book)
        except Restarting:
            self.book = book
        except OSError as error:
            self.book = book
            if self.problem is None:
                log.warning("accounts.json could not be written: %s", error.strerror)
            self.problem = (
                f"The list of accounts can't be saved. {explain(error)} The latest changes are in memory only."
            )

    def add_removed(self, folder: Path) -> None:
        """Delete ``folder`` after the next commit."""
        self._removed += (folder,)

    def save(self) -> None:
        """Write what is not on disk yet, if possible."""
        if self.book != self._saved or self.problem is not None:
            self.commit_if_possible(self.book)
