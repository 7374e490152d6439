"""Removing an account's folder so that a crash never leaves half of it.

The folder is renamed to ``.removed-<id>``, which is one step and decides it; then the list is written without the
account; then the folder is deleted. Whatever of this is not done when the process dies is done at the next start.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from codexd.files import sync_folder, unused_name

log = logging.getLogger("codexd.accounts")

_REMOVED = re.compile(r"\.removed-([0-9a-f]{12})(\.[0-9]+)?")


def set_aside(folder: Path) -> Path | None:
    """Take the account's folder out of use, durably; gives where it lies now, None when there is no folder.

    Raises:
        OSError: it could not be renamed; nothing has changed.
    """
    if not folder.is_dir():
        return None
    removed = unused_name(folder.with_name(f".removed-{folder.name}"))
    folder.rename(removed)
    sync_folder(folder.parent)
    return removed


def find_removed(accounts_dir: Path) -> dict[Path, str]:
    """The folders of removed accounts that are not deleted yet, with the account's id.

    Raises:
        OSError
    """
    found = ((path, _REMOVED.fullmatch(path.name)) for path in sorted(accounts_dir.iterdir()))
    return {path: match[1] for path, match in found if match}


def delete_folders(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Delete them; gives those that are still there, for another try."""
    left = []
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            log.warning("%s, of a removed account, could not be deleted: %s", folder, error.strerror)
            left.append(folder)
    return tuple(left)
