"""Keeping the account files intact across crashes: recovery at the start, and the removal of a folder.

Recovery: temporary files that a killed process left behind are deleted, because they may hold tokens; interrupted
removals are finished; a folder with a readable login is an account even if ``accounts.json`` does not list it. If
``accounts.json`` can't be used, the accounts come from its previous copy, which is one write behind, and the folders.

Removal: the folder is renamed to ``.removed-<id>``, and this single step decides it; then ``accounts.json`` is written
without the account; then the folder is deleted. If the process dies in between, the next start does the rest.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from attrs import frozen

from codexd.accounts.model import Account
from codexd.accounts.store.accounts_file import ACCOUNT_ID, AccountsFile, Book, make_account
from codexd.accounts.store.login_file import FILE_NAME, delete_login, read_login
from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, make_private_folder, narrow_file, sync_folder, unused_name

log = logging.getLogger("codexd.accounts")

STATE_FILES = ("accounts.json", "accounts.json.previous", "limits.json")
"""The files that ``write_atomic`` writes into the state folder."""

NO_ACTIVE = "codexd does not know which account was active, so none is. Choose one with `codexctl accounts switch`."
_REMOVED = re.compile(r"\.removed-([0-9a-f]{12})(\.[0-9]+)?")


@frozen
class Recovered:
    """What was found at the start.

    ``strays``: by id, why an unlisted folder can't be adopted. ``removed``: folders to delete once ``accounts.json``
    has been written. ``active_problem``: why no account is active, if that was not the user's choice.
    """

    book: Book
    strays: Mapping[str, str]
    removed: tuple[Path, ...]
    active_problem: str | None


def recover(state_dir: Path, accounts_file: AccountsFile) -> Recovered:
    """Find the accounts, and clean up after an interrupted process.

    Raises:
        OSError: the folder can't be read.
    """
    accounts_dir = state_dir / "accounts"
    _tidy(state_dir, STATE_FILES)
    _tidy(accounts_dir, (FILE_NAME,))
    removed = _find_removed(accounts_dir)
    folders = {path.name: path for path in accounts_dir.iterdir() if ACCOUNT_ID.fullmatch(path.name) and path.is_dir()}
    for folder in folders.values():
        _tidy(folder, (FILE_NAME,))
    listed, is_current = accounts_file.book, accounts_file.is_current
    accounts = [account for account in listed.accounts if not _is_gone(account, folders, removed, is_current)]
    if is_current:
        _finish_following(accounts, folders)
    else:
        accounts = [_prefer_own(account, folders) for account in accounts]
    adopted, strays = _adopt_unlisted(folders, {account.id for account in accounts})
    accounts += adopted
    active, problem = _find_active(listed, accounts, is_current)
    return Recovered(attrs.evolve(listed, active=active, accounts=tuple(accounts)), strays, tuple(removed), problem)


def _tidy(folder: Path, names: tuple[str, ...]) -> None:
    """Delete temporary files, and take away other users' access to the rest."""
    try:
        make_private_folder(folder)
        for name in names:
            delete_leftovers(folder, name)
            for path in folder.glob(f"{name}*"):
                narrow_file(path)
    except OSError as error:
        log.warning("%s could not be tidied: %s", folder, error.strerror)


def _is_gone(account: Account, folders: Mapping[str, Path], removed: Mapping[Path, str], list_is_current: bool) -> bool:
    """Whether the account has no folder because it was being removed, or was removed in a lost ``accounts.json``."""
    if account.followed is not None or account.id in folders:
        return False
    return account.id in removed.values() or not list_is_current


def _finish_following(accounts: list[Account], folders: Mapping[str, Path]) -> None:
    """Delete codexd's own login of each followed account, which a process that died had not deleted yet."""
    for account in accounts:
        if account.followed is not None and account.id in folders:
            try:
                delete_login(folders[account.id], account.id)
            except OSError as error:
                log.warning("codexd's own login of a followed account could not be deleted: %s", error.strerror)


def _prefer_own(account: Account, folders: Mapping[str, Path]) -> Account:
    """Stop following if codexd has its own login: the previous copy may not know that the user has signed in here."""
    if account.followed is None or account.id not in folders or not (folders[account.id] / FILE_NAME).is_file():
        return account
    return attrs.evolve(account, followed=None)


def _adopt_unlisted(folders: Mapping[str, Path], listed: set[str]) -> tuple[list[Account], dict[str, str]]:
    """The accounts in unlisted folders, oldest first, and by id, why a folder holds none."""
    adopted, strays = [], {}
    for account_id, folder in folders.items():
        if account_id in listed:
            continue
        try:
            if not any(folder.iterdir()):
                folder.rmdir()
                continue
            adopted.append(make_account(read_login(folder, account_id), now=(folder / FILE_NAME).stat().st_mtime))
        except FileUnreadable as error:
            strays[account_id] = str(error)
        except OSError as error:
            strays[account_id] = f"{folder} can't be read: {error.strerror}. Check who owns it."
    for account in adopted:
        log.info("adopted an account that was not listed yet", extra={"fields": {"account": account.label}})
    return sorted(adopted, key=lambda account: account.added_at), strays


def _find_active(listed: Book, accounts: list[Account], list_is_current: bool) -> tuple[str | None, str | None]:
    """The active account's id; if it is not known, None and the problem in full sentences."""
    ids = [account.id for account in accounts]
    if listed.active in ids:
        return listed.active, None
    if not listed.accounts and len(ids) == 1:  # the first account becomes active, even if the process died adding it
        return ids[0], None
    is_chosen = list_is_current and listed.accounts and not _names_unknown(listed)
    return None, NO_ACTIVE if ids and not is_chosen else None


def _names_unknown(book: Book) -> bool:
    return book.active is not None and book.find(book.active) is None


# -- removal --------------------------------------------------------------------------------------


def retire_folder(folder: Path) -> Path | None:
    """Durably take the account's folder out of use; return its new path, or None if there is no folder.

    Raises:
        OSError: it could not be renamed; nothing has changed.
    """
    if not folder.is_dir():
        return None
    removed = unused_name(folder.with_name(f".removed-{folder.name}"))
    folder.rename(removed)
    sync_folder(folder.parent)
    return removed


def _find_removed(accounts_dir: Path) -> dict[Path, str]:
    """The folders of removed accounts that have not been deleted yet, and the id of each account."""
    found = ((path, _REMOVED.fullmatch(path.name)) for path in sorted(accounts_dir.iterdir()))
    return {path: match[1] for path, match in found if match}


def delete_folders(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Delete the folders; return the ones that could not be deleted, to try again later."""
    left = []
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            log.warning("the folder %s of a removed account could not be deleted: %s", folder, error.strerror)
            left.append(folder)
    return tuple(left)
