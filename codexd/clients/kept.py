"""What undoes the set-up of a client, kept over restarts of the daemon: ``clients.json`` in the state folder, 0600."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import cattrs
from attrs import field, frozen
from attrs.validators import in_

from codexd import jsontext
from codexd.clients.undo import Entry
from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, read_private, write_atomic

FILE_NAME = "clients.json"
VERSION = 1
"""A file of a later one is not ours to write to."""


@frozen
class Original:
    """The file as codexd found it. ``text``: None where there was none, with any byte-order mark otherwise."""

    text: str | None


@frozen
class Kept:
    """Of one settings file.

    ``original`` is forgotten once somebody else has changed the file: then only ``entries`` can be put back.
    ``wrote``: SHA-256 of the file as codexd left it. ``mode``: the file's before.
    ``backup``: the path of the copy next to it. ``previous``: what held before the last change, in case that was
    never made.
    """

    entries: Mapping[str, Entry] = field(factory=dict)
    original: Original | None = None
    wrote: str = ""
    mode: int | None = None
    had_file: bool = True
    had_env: bool = True
    backup: str | None = None
    previous: Kept | None = None

    def is_original(self, data: bytes | None) -> bool:
        """Whether ``data`` is the file as codexd found it."""
        return self.original is not None and self.original.text == (None if data is None else data.decode())

    def of(self, data: bytes | None) -> Kept:
        """What is kept of a file that holds ``data``."""
        if self.previous is not None and digest(data) == self.previous.wrote:
            return self.previous
        return self


@frozen
class _Content:
    """``files``: by the path of the settings file."""

    version: int = field(validator=in_((VERSION,)))
    files: dict[str, Kept]


@frozen
class KeptFile:
    path: Path

    def find(self, settings: Path) -> Kept:
        """Raises FileUnreadable."""
        return self._read().get(str(settings), Kept())

    def save(self, settings: Path, kept: Kept) -> None:
        """Raises FileUnreadable and OSError."""
        others = {name: each for name, each in self._read().items() if name != str(settings)}
        delete_leftovers(self.path.parent, self.path.name)
        everything = others | ({str(settings): kept} if kept.entries else {})
        write_atomic(self.path, jsontext.dumps({"version": VERSION, "files": cattrs.unstructure(everything)}))

    def _read(self) -> dict[str, Kept]:
        try:
            return cattrs.structure(jsontext.loads(read_private(self.path)), _Content).files
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
            raise FileUnreadable(
                f"{self.path} can't be read ({type(error).__name__}), so what undoes the set-up of clients is not "
                "known. Move the file away to go on without; backups stand next to the settings files."
            ) from None


def digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
