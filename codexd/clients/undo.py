"""Which keys of a settings file change, and how to undo that, recorded in ``clients.json`` in the state folder, 0600.

The rule: what codexd did not write belongs to the user. If a key no longer has the value that codexd wrote, the user
has changed it since, and their value is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cattrs
from attrs import field, frozen
from attrs.validators import in_

from codexd import jsontext
from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, read_private, write_atomic

Values = Mapping[str, str | None]
"""Key -> raw text of its value, or None without such a key."""

Parse = Callable[[str], Any]
"""Turns raw text into a value, in the format of the file."""


@frozen
class Entry:
    """The value of a key before codexd wrote it, and the value that codexd wrote; None stands for no such key."""

    before: str | None
    wrote: str | None


@frozen
class Plan:
    """``targets``: the keys to change. ``entries``: what to remember afterwards.

    ``left``: keys that codexd once wrote and now leaves alone, because the user has changed them since.
    """

    targets: Values
    entries: Mapping[str, Entry]
    left: tuple[str, ...]


def without_codexd(now: Values, entries: Mapping[str, Entry], parse: Parse = json.loads) -> Values:
    """What the keys would hold if codexd had never written them."""
    ours = {key: entry.before for key, entry in entries.items() if is_same(now.get(key), entry.wrote, parse)}
    return {**now, **ours}


def make_plan(now: Values, entries: Mapping[str, Entry], wanted: Values, parse: Parse = json.loads) -> Plan:
    """The plan that leads from ``now`` to ``wanted``. A key that is not in ``wanted`` gets its earlier value back."""
    before = without_codexd(now, entries, parse)
    goals = {key: wanted[key] if key in wanted else before.get(key) for key in dict.fromkeys((*entries, *wanted))}
    return Plan(
        targets={key: goal for key, goal in goals.items() if not is_same(goal, now.get(key), parse)},
        entries={
            key: Entry(before.get(key), goal)
            for key, goal in goals.items()
            if not is_same(goal, before.get(key), parse)
        },
        left=tuple(
            key for key, entry in entries.items() if key not in wanted and not is_same(now.get(key), entry.wrote, parse)
        ),
    )


def is_same(raw: str | None, other: str | None, parse: Parse = json.loads) -> bool:
    """Whether both stand for the same value, which another program may have written with other escapes."""
    if raw is None or other is None:
        return raw is other
    return raw == other or bool(parse(raw) == parse(other))


FILE_NAME = "clients.json"
VERSION = 1
"""A file with a later version is not overwritten."""


@frozen
class Original:
    """The file as codexd found it. ``text``: with any byte-order mark; None if there was no file."""

    text: str | None


@frozen
class UndoRecord:
    """How to undo the changes to one settings file.

    ``original`` is forgotten once someone else has changed the file: then only ``entries`` can be put back.
    ``wrote``: SHA-256 of the file as codexd left it. ``mode``: the file's mode before codexd changed it. ``backup``:
    path of the copy next to it. ``previous``: the record before the last change, in case that change was never made.
    """

    entries: Mapping[str, Entry] = field(factory=dict)
    original: Original | None = None
    wrote: str = ""
    mode: int | None = None
    had_file: bool = True
    had_env: bool = True
    backup: str | None = None
    previous: UndoRecord | None = None

    def is_original(self, data: bytes | None) -> bool:
        """Whether ``data`` is the file as codexd found it."""
        return self.original is not None and self.original.text == (None if data is None else data.decode())

    def for_data(self, data: bytes | None) -> UndoRecord:
        """The record that applies if the file holds ``data``."""
        if self.previous is not None and digest(data) == self.previous.wrote:
            return self.previous
        return self


@frozen
class _Content:
    """``files``: settings file -> record."""

    version: int = field(validator=in_((VERSION,)))
    files: dict[str, UndoRecord]


@frozen
class UndoFile:
    """``clients.json``: the records of all settings files."""

    path: Path

    def find(self, settings: Path) -> UndoRecord:
        """The record of a settings file, empty if there is none. Raises FileUnreadable."""
        return self._read().get(str(settings), UndoRecord())

    def save(self, settings: Path, record: UndoRecord) -> None:
        """Remember ``record``, or forget it if it is empty. Raises FileUnreadable and OSError."""
        others = {name: each for name, each in self._read().items() if name != str(settings)}
        delete_leftovers(self.path.parent, self.path.name)
        everything = others | ({str(settings): record} if record.entries else {})
        write_atomic(self.path, jsontext.dumps({"version": VERSION, "files": cattrs.unstructure(everything)}))

    def _read(self) -> dict[str, UndoRecord]:
        try:
            return cattrs.structure(jsontext.loads(read_private(self.path)), _Content).files
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
            raise FileUnreadable(
                f"{self.path} can't be read ({type(error).__name__}), so codexd does not know how to undo its changes "
                "to clients. Move the file away to go on without it; the backups are next to the settings files."
            ) from None


def digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
