"""``accounts.json`` on disk, with its previous copy; what can't be read is kept aside before the first write."""

from __future__ import annotations

import logging
from pathlib import Path

from attrs import frozen

from codexd.accounts.store.accounts_file import Book, dump_book, parse_book
from codexd.errors import FileUnreadable
from codexd.files import keep_aside, read_private, unused_name, write_atomic

log = logging.getLogger("codexd.accounts")


@frozen
class _Copy:
    """One file as found: what a good one lists and its bytes, or why it can't be used; neither when there is none."""

    book: Book | None = None
    data: bytes | None = None
    flaw: str | None = None


class ListFile:
    """The list of accounts. Its process is the only one that writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous_path = path.with_name(f"{path.name}.previous")
        self._current = _read(path)
        self._previous = _read(self._previous_path)
        self._kept: Path | None = None
        self.book = self._current.book or self._previous.book or Book()
        """What the file listed when it was opened; when it can't be used, what its previous copy did."""
        self.is_current = self._current.book is not None or self._current == self._previous == _Copy()
        """Whether ``book`` was all that had been acknowledged: the previous copy is one write behind."""
        self._opened_with = self._current
        self._source = "its previous copy and the accounts' folders" if self._previous.book else "their folders"

    @property
    def is_unreadable(self) -> bool:
        """Whether a file that can't be used stands there: it is left alone until there is something to write."""
        return self._current.flaw is not None

    @property
    def problem(self) -> str | None:
        """Sentences about a file that could not be used when it was opened; they hold until the next start."""
        if self.is_current:
            return None
        if self._opened_with.flaw is None:
            found = f"{self.path} is missing."
        elif self._kept is None:
            found = f"{self._opened_with.flaw} It is left as it is, until a change moves it to a name of its own."
        else:
            found = f"{self._opened_with.flaw} It is kept as {self._kept.name}."
        return f"{found} The accounts come from {self._source}; look them over with `codexctl accounts`."

    def write(self, book: Book) -> None:
        """Replace the list, durably. A file that can't be used is moved aside, a good one becomes the previous copy.

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
        """What somebody else wrote there meanwhile is not taken in, but kept."""
        try:
            found = read_private(self.path)
        except FileNotFoundError:
            return
        if found != self._current.data:
            kept = unused_name(self.path.with_name(f"{self.path.name}.edited"))
            self.path.rename(kept)
            log.warning("%s was changed by another program while codexd ran; that is kept as %s", self.path, kept.name)

    def _write_previous(self, copy: _Copy) -> None:
        if self._previous.flaw is not None:
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
        return _Copy(flaw=f"{path} can't be read: {error.strerror}. Check who owns it.")
    except FileUnreadable as error:
        return _Copy(flaw=f"{path} can't be used: {error}.")
