"""The accounts on disk: ``accounts.json`` and one folder with an ``auth.json`` per account.

State is decided synchronously: check, write the file, set. An unreadable file is never overwritten. An unreadable
``accounts.json`` is reconstructed (``recovery``) and kept aside at the first write; an account without a readable
``auth.json`` stays listed with ``needs_login`` until the file is fixed or the user signs in again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Self

import attrs

from codexd.accounts.choosing.names import find_account, find_mark
from codexd.accounts.login import fingerprint, identity_of_reply, needs_login, read_last_refresh
from codexd.accounts.model import Account, AddOutcome, RefreshReply, Tokens
from codexd.accounts.store.accounts_file import AccountsFile, Book, make_account, read_changes, read_profile
from codexd.accounts.store.held import HeldBook, HeldLogins
from codexd.accounts.store.lock import Hold, StoreLock
from codexd.accounts.store.login_file import Login, mark_simulated, parse_login, renew_login
from codexd.accounts.store.recovery import recover, retire_folder
from codexd.errors import AccountNeedsLogin, AccountNotFound, FileUnreadable, LoginFileInvalid
from codexd.files import ReservedSpace, explain, make_private_folder

log = logging.getLogger("codexd.accounts")

TOUCH_INTERVAL_S = 60.0
"""``last_used_at`` is written at most this often: a durable write for each request would block the streams."""


class AccountStore(AbstractContextManager["AccountStore"]):
    """All accounts of one daemon. Make it with ``open``; only one process at a time can."""

    def __init__(self, state_dir: Path, lock: StoreLock) -> None:
        self.lock = lock
        self._accounts_dir = state_dir / "accounts"
        self._touch_saved_at = 0.0
        self._refusals: dict[str, str | None] = {}
        self._read_files()

    def _read_files(self) -> None:
        state_dir = self._accounts_dir.parent
        file = AccountsFile(state_dir / "accounts.json")
        recovered = recover(state_dir, file)
        self._file = file
        self._list = HeldBook(self._file, recovered.book, recovered.removed, self.lock)
        self._strays = dict(recovered.strays)
        self._active_problem = recovered.active_problem
        self._logins = HeldLogins(self._accounts_dir, self.lock)
        for account in self._book.accounts:
            self._logins.load(account)
            self._list.book = self._update_from_file(account)
        if (self._book != self._file.book or recovered.removed) and not self._file.is_unreadable:
            self._list.commit_if_possible(self._book)

    @classmethod
    def open(cls, state_dir: Path, lock: StoreLock | None = None) -> Self:
        """Open the accounts in ``state_dir``, which is created if missing. ``problems`` lists unreadable files.

        Without the ``lock`` of a predecessor, it is taken.

        Raises:
            AlreadyRunning: another daemon has them open.
            FileUnreadable: the folder itself can't be used.
        """
        with ExitStack() as undo:
            try:
                make_private_folder(state_dir)
                make_private_folder(state_dir / "accounts")
                lock = lock or StoreLock.take(state_dir)
                undo.callback(lock.close)
                store = cls(state_dir, lock)
            except OSError as error:
                raise FileUnreadable(explain(error, state_dir)) from None
            undo.pop_all()
        return store

    def close(self) -> None:
        """Write what is not on disk yet and release the lock. Calling it again does nothing."""
        if self.lock.hold is Hold.CLOSED:
            return
        self.save()
        for problem in self.unsaved_logins:
            log.error("codexd stops all the same: %s", problem)
        self.lock.close()

    def take_back(self) -> bool:
        """Go on without a successor, from what it has left on disk. Returns whether it could have written at all.

        Raises:
            OSError: the files can't be read. The accounts in memory stay.
        """
        was_lent = self.lock.take_back()
        if was_lent:
            self._read_files()
        return was_lent

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _book(self) -> Book:
        return self._list.book

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts, in the order they were added."""
        return tuple(self._with_login_state(account) for account in self._book.accounts)

    @property
    def active(self) -> Account | None:
        account = self._book.find(self._book.active) if self._book.active else None
        return self._with_login_state(account) if account else None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files, in full sentences for the user."""
        found = ((account.label, self._logins.find_problem(account.id)) for account in self.accounts)
        unreadable = (f"{label}: {problem}" for label, problem in found if problem)
        active_problem = None if self._book.active else self._active_problem
        listing = (self._file.problem, active_problem, self._list.problem)
        return tuple(filter(None, (*self.unsaved_logins, *listing, *self._strays.values(), *unreadable)))

    @property
    def unsaved_logins(self) -> tuple[str, ...]:
        """The logins that would be lost if codexd stopped now: which, why, and what to do, in full sentences."""
        return tuple(filter(None, (self._logins.find_unsaved(account.id) for account in self._book.accounts)))

    @property
    def is_saved(self) -> bool:
        """Whether nothing that should be on disk is in memory only because it could not be written."""
        return not self.unsaved_logins and self._list.problem is None

    def save(self) -> None:
        """Write what is not on disk yet, if possible."""
        self._logins.retry(self.accounts)
        self._list.save()

    def reserve(self, account_id: str | None) -> AbstractContextManager[ReservedSpace | None]:
        """Prove that a login can be saved, before the sign-in server issues it and retires the one on disk.

        A login that only memory has needs no proof: there is nothing to lose. None: the account is not known yet.

        Raises:
            AlreadyRunning: the lock's file was deleted, and another daemon uses the accounts by now.
            OSError: it could not be saved.
        """
        self.lock.renew(self._accounts_dir.parent)
        if account_id is not None and self._logins.find_unsaved(account_id):
            return nullcontext()
        return self._logins.reserve(account_id)

    def find(self, name: str) -> Account:
        """The account that ``name`` means: its label, email or id, or the beginning of one (``find_account``).

        Raises:
            AccountNotFound, AccountAmbiguous: list the accounts to choose from.
        """
        return find_account(self.accounts, name)

    def get(self, account_id: str) -> Account:
        """The account with this id in its current state.

        Raises:
            AccountNotFound
        """
        return self._with_login_state(self._find_entry(account_id))

    def tokens(self, account_id: str) -> Tokens:
        """The account's tokens as last read; they may have expired.

        Raises:
            AccountNotFound
            AccountNeedsLogin: its ``auth.json`` can't be read. If a followed file could be read before, the last
                readable tokens are returned instead.
        """
        account = self._find_entry(account_id)
        login = self._logins.find(account_id)
        reason = self._logins.unusable_reason(account)
        if login is None or reason:
            raise needs_login(account, reason or "")
        return login.tokens

    def reload(self, account_id: str) -> Tokens:
        """Read the account's file again: another program may have rotated the tokens.

        A dead login is revived if the file holds another refresh token.

        Raises:
            AccountNotFound
            AccountNeedsLogin: the file can't be read now; a followed file may only be half written.
        """
        account = self._find_entry(account_id)
        self._logins.load(account)
        problem, login = self._logins.find_problem(account_id), self._logins.find(account_id)
        if login is None or problem:
            raise needs_login(account, problem or "")
        book = self._update_from_file(account)
        if book != self._book:
            self._list.commit_if_possible(book)
        return login.tokens

    def add(
        self,
        auth_json: Mapping[str, Any],
        *,
        now: float,
        simulated: bool = False,
        followed: Path | None = None,
        imported_from: Path | None = None,
    ) -> tuple[Account, AddOutcome]:
        """Store a login; return its account and what was done. The account becomes active if no other account is.

        Args:
            auth_json: content of an ``auth.json``.
            now: seconds since the epoch.
            simulated: whether the simulator made the login.
            followed: another program's file that ``auth_json`` was read from; from now on it is read, not copied.
            imported_from: the file that the login was copied from; a newer login of the account is not replaced.

        Raises:
            LoginFileInvalid: ``auth_json`` is not a ChatGPT login, or ``followed`` is one of codexd's own files.
            Restarting: another process has the accounts by now. All other methods that write raise it, too.
            OSError: it could not be written; nothing has changed.
        """
        login = parse_login(mark_simulated(auth_json, simulated))
        account_id = login.identity.account_id
        known = self._book.find(account_id)
        if followed is not None:
            if followed.resolve().is_relative_to(self._accounts_dir.resolve()):
                raise LoginFileInvalid(f"{followed} is codexd's own file; no other program keeps it up to date.")
        elif imported_from is not None and known is not None and self._is_outdated(login, known):
            return self.get(account_id), AddOutcome.KEPT
        account = make_account(login, known=known, now=now, followed=followed, imported_from=imported_from)
        self._keep(account, login, is_listed_as_own=known is not None and known.followed is None)
        return self.get(account_id), AddOutcome.UPDATED if known else AddOutcome.ADDED

    def remove(self, account_id: str) -> Tokens | None:
        """Forget the account and delete its files; return its last tokens, to be revoked at the sign-in server.

        If it was the active account, no account is active. Returns None for a followed account, whose login belongs
        to another program.

        Raises:
            AccountNotFound
            OSError: it could not be written; the account is still there.
        """
        self.lock.check_writable()
        account = self._find_entry(account_id)
        if account.followed is None:
            self._logins.load(account)
        login = self._logins.find(account_id)
        removed = retire_folder(self._logins.folder(account_id))
        book = self._book.drop(account_id)
        if removed is not None:
            self._list.add_removed(removed)
        if removed is None or account.followed is not None:
            self._list.commit(book)
        else:  # the next start finds it removed even if accounts.json still lists it
            self._list.commit_if_possible(book)
        self._logins.forget(account_id)
        return login.tokens if login and account.followed is None else None

    def switch(self, account_id: str) -> Account:
        """Make the account the active one.

        Raises:
            AccountNotFound
            OSError: it could not be written.
        """
        account = self.get(account_id)
        self._list.commit(attrs.evolve(self._book, active=account_id))
        return account

    def set_disabled(self, account_id: str, disabled: bool) -> Account:
        """Take the account out of use, or put it back into use.

        Raises:
            AccountNotFound
            OSError: it could not be written.
        """
        self._find_entry(account_id)
        self._list.commit(self._book.change(account_id, disabled=disabled))
        return self.get(account_id)

    def save_tokens(
        self,
        account_id: str,
        reply: RefreshReply,
        *,
        now: float,
        retired: str | None = None,
        space: ReservedSpace | None = None,
    ) -> Tokens:
        """Write the tokens from a refresh to disk before returning them: the server has retired the old ones.

        If that fails in spite of ``space``, they are used from memory until it succeeds (``unsaved_logins``).

        ``retired`` is the refresh token that was used. If the account has another one by now (after a sign-in or an
        import), or follows another program's login, the reply is dropped and the current tokens stay.

        Raises:
            AccountNotFound
            AccountNeedsLogin: no login that the reply could belong to has been read yet.
        """
        account = self._find_entry(account_id)
        self._logins.load(account)
        login = self._logins.find(account_id)
        if login is None:
            raise needs_login(account, self._logins.find_problem(account_id) or "")
        came_too_late = account.followed is not None if retired is None else login.tokens.refresh_token != retired
        if came_too_late:
            log.info("dropped a refresh of a replaced login", extra={"fields": {"account": account.label}})
            return login.tokens
        login = renew_login(login, reply, now)
        self._logins.save(account, login, space)
        alive = {"needs_login": None, "withdrawn": None, "dead_login": None, "followed": None}
        book = self._book.change(account_id, **alive, **read_profile(account, identity_of_reply(reply)))
        if book != self._book:
            self._list.commit_if_possible(book)
        return login.tokens

    def mark_needs_login(self, account_id: str, reason: str, *, at_expiry: bool = False) -> None:
        """Remember that the login is dead; another refresh token in its file, whenever it is written, revives it.

        ``reason``: full sentences that say why and what to do. ``at_expiry``: the access token works until it expires.

        Raises:
            AccountNotFound
        """
        self._find_entry(account_id)
        login = self._logins.find(account_id)
        dead = {"dead_login": fingerprint(login.tokens.refresh_token) if login else None}
        marks = {"needs_login": None, "withdrawn": reason} if at_expiry else {"needs_login": reason, "withdrawn": None}
        self._list.commit_if_possible(self._book.change(account_id, **marks, **dead))

    def note_refusal(self, account_id: str, reason: str | None) -> None:
        """Remember why the backend refuses fresh tokens of the account; None once it serves a request."""
        self._refusals[account_id] = reason

    def touch(self, account_id: str, now: float) -> None:
        """Remember when the account was last used."""
        self._list.book = self._book.change(account_id, last_used_at=now)
        if abs(now - self._touch_saved_at) >= TOUCH_INTERVAL_S:
            self._touch_saved_at = now
            self._list.commit_if_possible(self._book)

    def _find_entry(self, account_id: str) -> Account:
        """The account as listed, regardless of the state of its ``auth.json``."""
        account = self._book.find(account_id)
        if account is None:
            raise AccountNotFound(f"There is no account {account_id}.")
        return self._with_mark(account)

    def _with_mark(self, account: Account) -> Account:
        return attrs.evolve(account, mark=find_mark(account, self._book.accounts))

    def _with_login_state(self, account: Account) -> Account:
        reason = self._logins.unusable_reason(account) or account.needs_login
        return attrs.evolve(self._with_mark(account), needs_login=reason, refusal=self._refusals.get(account.id))

    def _update_from_file(self, account: Account) -> Book:
        """The book, updated from the account's login as last read."""
        login = self._logins.find(account.id)
        return self._book.change(account.id, **read_changes(account, login)) if login else self._book

    def _is_outdated(self, login: Login, known: Account) -> bool:
        """Whether the account has a working login that was refreshed later than this one."""
        try:
            self.reload(known.id)
        except AccountNeedsLogin:
            return False
        own = self._logins.find(known.id)
        if own is None or self.get(known.id).needs_login is not None:
            return False
        return read_last_refresh(login.auth_json) < read_last_refresh(own.auth_json)

    def _keep(self, account: Account, login: Login, *, is_listed_as_own: bool) -> None:
        # The tokens first: the next start adopts an unlisted login, but a listed account without one would be dead.
        if account.followed is not None:
            self._list.commit(self._book.put(account))
            self._logins.delete(account)
        elif is_listed_as_own:
            # The old login is gone, so the new one stays even if accounts.json can't be written now.
            self._logins.write(account.id, login)
            self._list.commit_if_possible(self._book.put(account))
        else:
            self._logins.write(account.id, login)
            try:
                self._list.commit(self._book.put(account))
            except OSError:
                self._logins.delete(account)
                raise
        self._logins.hold(account.id, login)
        self._strays.pop(account.id, None)
        self.note_refusal(account.id, None)
