"""Files that cache the backend's answers across restarts. If one is lost, the backend is asked again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, explain, keep_aside, read_private, write_atomic

log = logging.getLogger("codexd.accounts")

T = TypeVar("T")


class CacheFile(Generic[T]):
    """The file at ``path``. Problems with it are logged and stop nothing.

    ``parse`` raises FileUnreadable. ``what`` names the content in the log, as a plural noun.
    ``makes_folder``: a missing folder is made, if the one above exists.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], what: str, *, makes_folder: bool = False) -> None:
        self._path = path
        self._parse = parse
        self._what = what
        self._makes_folder = makes_folder
        self._is_blocked = False
        """Whether an unreadable file could not be moved away yet: it must not be overwritten."""
        self.pending: bytes | None = None
        """What could not be written; the next ``write`` replaces it."""
        self.problem: str | None = None
        """Why the content is in memory only, in full sentences for the user, until it can be written again."""

    def load(self) -> T | None:
        """The content; None if the file is missing or unreadable. An unreadable file is kept aside."""
        try:
            delete_leftovers(self._path.parent, self._path.name)
            return self._parse(read_private(self._path))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._set_aside(error.strerror or type(error).__name__)
        except FileUnreadable as error:
            self._set_aside(str(error))
        return None

    def write(self, data: bytes) -> bool:
        """Replace the file; return False if that failed. Only the first of several failures in a row is logged."""
        try:
            if self._is_blocked and os.path.lexists(self._path):
                keep_aside(self._path)
            self._is_blocked = False
            if self._makes_folder:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomic(self._path, data)
        except OSError as error:
            self.pending = data
            self._note_problem(error)
            return False
        self.pending = self.problem = None
        return True

    def _note_problem(self, error: OSError) -> None:
        reason = explain(error, self._path)
        if self.problem is None:
            log.warning("the %s are not saved: %s", self._what, reason)
        self.problem = f"The {self._what} are kept in memory only. {reason}"

    def _set_aside(self, reason: str) -> None:
        try:
            kept = keep_aside(self._path)
        except OSError as error:
            self._is_blocked = True
            self._note_problem(error)
        else:
            log.warning(
                "%s can't be read (%s) and is kept as %s; codexd will fetch the %s again",
                self._path,
                reason,
                kept,
                self._what,
            )
