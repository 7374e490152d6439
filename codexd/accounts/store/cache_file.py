"""Files that cache the backend's answers across restarts. If one is lost, the backend is asked again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, keep_aside, read_private, write_atomic

log = logging.getLogger("codexd.accounts")

T = TypeVar("T")


class CacheFile(Generic[T]):
    """The file at ``path``. Problems with it are logged and stop nothing.

    ``parse`` raises FileUnreadable. ``what`` names the content in the log, as a plural noun.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], what: str) -> None:
        self._path = path
        self._parse = parse
        self._what = what
        self._is_blocked = False
        """Set if an unreadable file could not be moved away: it must not be overwritten."""
        self._has_warned = False

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
        if self._is_blocked:
            return True
        try:
            write_atomic(self._path, data)
        except OSError as error:
            if not self._has_warned:
                log.warning("%s could not be written: %s", self._path, error.strerror)
            self._has_warned = True
            return False
        self._has_warned = False
        return True

    def _set_aside(self, reason: str) -> None:
        try:
            kept = keep_aside(self._path)
        except OSError:
            self._is_blocked = True
            log.warning(
                "%s can't be read (%s) or moved away; %s are not saved in this run", self._path, reason, self._what
            )
        else:
            log.warning(
                "%s can't be read (%s) and is kept as %s; codexd will fetch the %s again",
                self._path,
                reason,
                kept,
                self._what,
            )
