"""The accounts on disk: ``accounts.json`` and one folder with an ``auth.json`` per account.

State is decided synchronously: check, write the file, set. A file that can't be read is never overwritten: without
a readable ``accounts.json`` the store does not open, and an account without a readable ``auth.json`` stays listed with
``needs_login`` until the file is mended or its owner imports the login again.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from codexd.accounts.accounts_file import Book, dump_book, parse_book
from codexd.accounts.choose import find_account, needs_login
from codexd.accounts.login import UNKNOWN_PLAN, apply_reply, expiry_of_reply, read_identity, read_tokens
from codexd.accounts.login_file import Login, read_login, read_private, write_login
from codexd.accounts.model import Account, RefreshReply, Tokens
from codexd.errors import AccountNotFound, AlreadyRunning, FileUnreadable, LoginFileInvalid
from codexd.files import make_private_folder, write_atomic

__all__ = ["Account", "AccountStore", "Tokens"]

log = logging.getLogger("codexd.accounts")

TOUCH_INTERVAL_S = 60.0
"""``last_used_at`` reaches the disk at most this often: a durable write a request would hold up the streams."""


class AccountStore:
    """Every account of one daemon. Made by ``open``; one process at a time has it open."""

    def __init__(self, state_dir: Path, lock: int) -> None:
        self._state_dir = state_dir
        self._lock: int | None = lock
        self._book, self._book_problems = _read_book(state_dir / "accounts.json")
        self._saved = self._book
        self._touch_saved_at = 0.0
        self._logins: dict[str, Login] = {}
        """The last readable login of each account."""
        self._unreadable: dict[str, str] = {}
        self._dead: dict[str, Tokens] = {}
        """The tokens with which an account died: other tokens in its file bring it back."""
        for account in self._book.accounts:
            self._load(account.id)
            if account.needs_login is not None and account.id in self._logins:
                self._dead[account.id] = self._logins[account.id].tokens

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """The accounts below ``state_dir``, which is made when missing.

        Raises:
            AlreadyRunning: another daemon has them open.
            FileUnreadable: ``accounts.json`` can't be read; it is left as it is.
        """
        make_private_folder(state_dir)
        make_private_folder(state_dir / "accounts")
        with ExitStack() as undo:
            lock = _take_lock(state_dir)
            undo.callback(os.close, lock)
            store = cls(state_dir, lock)
            undo.pop_all()
        return store

    def close(self) -> None:
        """Write what is not yet on disk, and let another daemon in. May be called again."""
        if self._lock is None:
            return
        if self._book != self._saved:
            self._commit_if_possible(self._book)
        os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts, in the order they were added."""
        return tuple(
            attrs.evolve(account, needs_login=self._unreadable.get(account.id, account.needs_login))
            for account in self._book.accounts
        )

    @property
    def active(self) -> Account | None:
        return next((account for account in self.accounts if account.id == self._book.active), None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the files, each as a sentence for the user."""
        unreadable = (
            f"{account.label}: {self._unreadable[account.id]}"
            for account in self._book.accounts
            if account.id in self._unreadable
        )
        return (*self._book_problems, *unreadable)

    def find(self, name: str) -> Account:
        """The account that a user means: its id, its e-mail, or a unique beginning of either.

        Raises:
            AccountNotFound, AccountAmbiguous: list the accounts to choose from.
        """
        return find_account(self.accounts, name)

    def get(self, account_id: str) -> Account:
        """The account of that id, as it is now.

        Raises:
            AccountNotFound
        """
        for account in self.accounts:
            if account.id == account_id:
                return account
        raise AccountNotFound(f"There is no account {account_id}.")

    def tokens(self, account_id: str) -> Tokens:
        """The account's tokens as last read; they may have expired.

        Raises:
            AccountNotFound
            AccountNeedsLogin: its ``auth.json`` can't be read.
        """
        account = self.get(account_id)
        if account_id in self._unreadable:
            raise needs_login(account, self._unreadable[account_id])
        return self._logins[account_id].tokens

    def reload(self, account_id: str) -> Tokens:
        """The account's tokens as its file has them now: another program may have rotated them.

        An account whose login was dead comes back when the file holds other tokens.

        Raises:
            AccountNotFound
            AccountNeedsLogin: the file can't be read.
        """
        self.get(account_id)
        self._load(account_id)
        tokens = self.tokens(account_id)
        account = self.get(account_id)
        if account.needs_login is not None and tokens != self._dead.get(account_id):
            log.info("the login file has changed, the account is back", extra={"fields": {"account": account.label}})
            self._commit_if_possible(self._changed(account_id, needs_login=None))
        return tokens

    def add(self, auth_json: Mapping[str, Any], *, now: float, simulated: bool = False) -> tuple[Account, bool]:
        """Keep a login; gives its account and whether that is a new one. The first account becomes the active one.

        Raises:
            LoginFileInvalid: ``auth_json`` holds no ChatGPT login.
            OSError: it could not be written.
        """
        login, identity = Login(dict(auth_json), read_tokens(auth_json)), read_identity(auth_json)
        known = next((account for account in self._book.accounts if account.id == identity.account_id), None)
        account = Account(
            id=identity.account_id,
            chatgpt_account_id=identity.chatgpt_account_id,
            user_id=identity.user_id,
            email=identity.email,
            plan=identity.plan,
            added_at=known.added_at if known else now,
            last_used_at=known.last_used_at if known else None,
            simulated=simulated,
        )
        # The tokens first: a folder that accounts.json does not list yet does no harm, the reverse is a dead account.
        self._keep_login(account.id, login)
        entries = {other.id: other for other in self._book.accounts} | {account.id: account}
        self._commit(attrs.evolve(self._book, accounts=tuple(entries.values()), active=self._book.active or account.id))
        return account, known is None

    def switch(self, account_id: str) -> Account:
        """Make the account the active one.

        Raises:
            AccountNotFound
            OSError: it could not be written.
        """
        account = self.get(account_id)
        self._commit(attrs.evolve(self._book, active=account_id))
        return account

    def save_tokens(self, account_id: str, reply: RefreshReply, *, now: float) -> Tokens:
        """Keep the tokens that a refresh gave, on disk before this returns: the server has retired the old ones.

        Raises:
            AccountNotFound
            AccountNeedsLogin: there never was a readable login that the reply could belong to.
            OSError: they could not be written.
        """
        account = self.get(account_id)
        self._load(account_id)
        if account_id not in self._logins:
            raise needs_login(account, self._unreadable[account_id])
        auth_json = apply_reply(self._logins[account_id].auth_json, reply, now)
        tokens = read_tokens(auth_json)
        expires_at = expiry_of_reply(reply, now)
        if expires_at is not None:
            tokens = attrs.evolve(tokens, expires_at=expires_at)
        self._keep_login(account_id, Login(auth_json, tokens))
        self._commit_if_possible(self._changed(account_id, needs_login=None, **_profile(account, reply)))
        return tokens

    def mark_needs_login(self, account_id: str, reason: str) -> None:
        """The login is dead; ``reason`` is sentences that say why and what to do. Other tokens in its file revive it.

        Raises:
            AccountNotFound
        """
        self.get(account_id)
        if account_id in self._logins:
            self._dead[account_id] = self._logins[account_id].tokens
        self._commit_if_possible(self._changed(account_id, needs_login=reason))

    def touch(self, account_id: str, now: float) -> None:
        """The account was used."""
        self._book = self._changed(account_id, last_used_at=now)
        if abs(now - self._touch_saved_at) >= TOUCH_INTERVAL_S:
            self._touch_saved_at = now
            self._commit_if_possible(self._book)

    def _folder(self, account_id: str) -> Path:
        return self._state_dir / "accounts" / account_id

    def _load(self, account_id: str) -> None:
        """Read the account's file; when it can't be read, remember why, and keep the login as last read."""
        try:
            login = read_login(self._folder(account_id), account_id)
        except FileUnreadable as error:
            self._unreadable[account_id] = str(error)
            return
        known = self._logins.get(account_id)
        if known and known.tokens.access_token == login.tokens.access_token:
            # An opaque token's end is known from the reply that brought it, not from the file.
            login = attrs.evolve(login, tokens=attrs.evolve(login.tokens, expires_at=known.tokens.expires_at))
        self._logins[account_id] = login
        self._unreadable.pop(account_id, None)

    def _keep_login(self, account_id: str, login: Login) -> None:
        write_login(self._folder(account_id), account_id, login)
        self._logins[account_id] = login
        self._unreadable.pop(account_id, None)

    def _changed(self, account_id: str, **changes: Any) -> Book:
        """The book with one account changed."""
        accounts = (
            attrs.evolve(account, **changes) if account.id == account_id else account for account in self._book.accounts
        )
        return attrs.evolve(self._book, accounts=tuple(accounts))

    def _commit(self, book: Book) -> None:
        write_atomic(self._state_dir / "accounts.json", dump_book(book))
        self._book = self._saved = book
        self._book_problems = ()

    def _commit_if_possible(self, book: Book) -> None:
        """For facts that hold whether or not they can be written now; the next write takes them along."""
        try:
            self._commit(book)
        except OSError as error:
            self._book = book
            log.warning("accounts.json could not be written: %s", error.strerror)


def _read_book(path: Path) -> tuple[Book, tuple[str, ...]]:
    """The accounts listed, and what is doubtful about them."""
    try:
        book = parse_book(read_private(path))
    except FileNotFoundError:
        return Book(), ()
    except OSError as error:
        raise FileUnreadable(f"{path} can't be read: {error.strerror}. Check who owns it.") from None
    except FileUnreadable as error:
        raise FileUnreadable(
            f"{path} can't be used: {error}. Nothing was changed; mend the file, or move it away and import the logins "
            "again with `codexctl accounts import`."
        ) from None
    if book.active is None or any(account.id == book.active for account in book.accounts):
        return book, ()
    problem = f"{path} names an active account that it does not list, so none is. Run `codexctl accounts switch`."
    return attrs.evolve(book, active=None), (problem,)


def _take_lock(state_dir: Path) -> int:
    """A descriptor that holds the lock until it is closed, or its process ends."""
    path = state_dir / "accounts.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FileUnreadable(f"{path} can't be opened: {error.strerror}. Check who owns it.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AlreadyRunning(
            f"Another codexd works in {state_dir}. Stop it with `codexctl stop`, or give this one its own --home."
        ) from None
    return lock


def _profile(account: Account, reply: RefreshReply) -> dict[str, str]:
    """The plan and e-mail that new tokens tell; the old ones may tell an older plan."""
    try:
        identity = read_identity({"tokens": {"id_token": reply.id_token, "access_token": reply.access_token}})
    except LoginFileInvalid:
        return {}
    plan = account.plan if identity.plan == UNKNOWN_PLAN else identity.plan
    return {"plan": plan, "email": identity.email or account.email}
