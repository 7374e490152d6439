"""What a start makes of the files as the last process left them, however it ended.

Temporary files that a kill left behind are deleted, for they may hold tokens; removals that had begun are finished;
a folder with a good login that the list does not name is an account all the same. When the list itself can't be used,
the accounts come from its previous copy, which is one write behind, and from the folders.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import attrs
from attrs import frozen

from codexd.accounts.model import Account
from codexd.accounts.store.accounts_file import Book
from codexd.accounts.store.entries import make_account
from codexd.accounts.store.list_file import ListFile
from codexd.accounts.store.login_file import FILE_NAME, delete_login, read_login
from codexd.accounts.store.removal import find_removed
from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, make_private_folder, narrow_file

log = logging.getLogger("codexd.accounts")

STATE_FILES = ("accounts.json", "accounts.json.previous", "limits.json")
"""What ``write_atomic`` writes into the state folder."""

NO_ACTIVE = "Which account was the active one is not known, so none is. Choose one with `codexctl accounts switch`."
_ID = re.compile(r"[0-9a-f]{12}")


@frozen
class Recovered:
    """What was found.

    ``strays``: by id, why a folder that is not listed can't be adopted. ``removed``: folders left to delete once the
    list is written. ``active_problem``: why none is active, when the user did not choose so.
    """

    book: Book
    strays: Mapping[str, str]
    removed: tuple[Path, ...]
    active_problem: str | None


def recover(state_dir: Path, list_file: ListFile) -> Recovered:
    """The accounts that there are.

    Raises:
        OSError: the folder can't be read.
    """
    accounts_dir = state_dir / "accounts"
    _tidy(state_dir, STATE_FILES)
    removed = find_removed(accounts_dir)
    folders = {path.name: path for path in accounts_dir.iterdir() if _ID.fullmatch(path.name) and path.is_dir()}
    for folder in folders.values():
        _tidy(folder, (FILE_NAME,))
    listed = list_file.book
    accounts = [account for account in listed.accounts if not _is_gone(account, folders, removed, list_file.is_current)]
    if list_file.is_current:
        _finish_following(accounts, folders)
    else:
        accounts = [_prefer_own(account, folders) for account in accounts]
    adopted, strays = _look_at_unlisted(folders, {account.id for account in accounts})
    accounts += adopted
    active, problem = _find_active(listed, accounts, list_file.is_current)
    return Recovered(attrs.evolve(listed, active=active, accounts=tuple(accounts)), strays, tuple(removed), problem)


def _tidy(folder: Path, names: tuple[str, ...]) -> None:
    """Leave no temporary file, and nothing that others can read."""
    try:
        make_private_folder(folder)
        for name in names:
            delete_leftovers(folder, name)
            for path in folder.glob(f"{name}*"):
                narrow_file(path)
    except OSError as error:
        log.warning("%s could not be tidied: %s", folder, error)


def _is_gone(account: Account, folders: Mapping[str, Path], removed: Mapping[Path, str], list_is_current: bool) -> bool:
    """Whether its removal had begun, or was in the list that can't be used any more: the folder tells."""
    if account.followed is not None or account.id in folders:
        return False
    return account.id in removed.values() or not list_is_current


def _finish_following(accounts: list[Account], folders: Mapping[str, Path]) -> None:
    """A login of our own beside a followed one would be a second owner: it was to be deleted when the process died."""
    for account in accounts:
        if account.followed is not None and account.id in folders:
            try:
                delete_login(folders[account.id], account.id)
            except OSError as error:
                log.warning("a login that is followed instead could not be deleted: %s", error)


def _prefer_own(account: Account, folders: Mapping[str, Path]) -> Account:
    """The previous copy may not know yet that the user has signed in here instead of following."""
    if account.followed is None or account.id not in folders or not (folders[account.id] / FILE_NAME).is_file():
        return account
    return attrs.evolve(account, followed=None)


def _look_at_unlisted(folders: Mapping[str, Path], listed: set[str]) -> tuple[list[Account], dict[str, str]]:
    """The accounts of the folders that are not listed, oldest first, and by id why one has none."""
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
        log.info("an account that was not listed yet is taken in", extra={"fields": {"account": account.label}})
    return sorted(adopted, key=lambda account: account.added_at), strays


def _find_active(listed: Book, accounts: list[Account], list_is_current: bool) -> tuple[str | None, str | None]:
    """The active account and, when that can't be told, the sentence that says so."""
    ids = [account.id for account in accounts]
    if listed.active in ids:
        return listed.active, None
    if not listed.accounts and len(ids) == 1:  # the first account becomes active, also when its process died over it
        return ids[0], None
    is_chosen = list_is_current and listed.accounts and not _names_unknown(listed)
    return None, NO_ACTIVE if ids and not is_chosen else None


def _names_unknown(book: Book) -> bool:
    return book.active is not None and book.find(book.active) is None
