"""Set a client up in its settings file, and put the file back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from codexd.clients import settings_file
from codexd.clients.settings_file import Content
from codexd.clients.undo import (
    Entry,
    Original,
    Plan,
    UndoFile,
    UndoRecord,
    Values,
    digest,
    is_same,
    make_plan,
    without_codexd,
)
from codexd.errors import ClientFileRefused

MakeWanted = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Makes the wanted values from the values without codexd; None removes a name."""


@frozen
class SetUp:
    """One change to a settings file, prepared but not yet made.

    ``data``: the file's new bytes; None deletes it. ``mode``: its new mode; None means 0600.
    """

    content: Content
    now: Values
    plan: Plan
    record: UndoRecord
    data: bytes | None
    mode: int | None = None

    @property
    def is_needed(self) -> bool:
        return self.data != self.content.data


def read_values(content: Content, names: tuple[str, ...]) -> dict[str, str | None]:
    """Name -> the raw text of its value."""
    text = content.settings_text
    return {name: content.format.read(text, name) for name in names}


def plain_values(content: Content, values: Values) -> dict[str, Any]:
    return {name: content.format.parse(raw) for name, raw in values.items() if raw is not None}


def prepare(content: Content, record: UndoRecord, names: tuple[str, ...], make_wanted: MakeWanted) -> SetUp:
    """The change that sets ``names`` to the values of ``make_wanted``, and undoes whatever else codexd wrote.

    Raises:
        ClientFileRefused: the file is written in a way that can't be edited.
    """
    now, record, parse = read_values(content, names), record.for_data(content.data), content.format.parse
    before = plain_values(content, without_codexd(now, record.entries, parse))
    wanted = {name: _raw(content, value) for name, value in make_wanted(before).items()}
    plan = make_plan(now, record.entries, wanted, parse)
    record = _remember(content, now, record)
    if record.original is not None and not plan.entries:
        data = None if record.original.text is None else record.original.text.encode()
    else:
        data = _edit(content, plan, record)
    record = evolve(record, entries=plan.entries, wrote=digest(data))
    return SetUp(content, now, plan, record, data, None if plan.entries else record.mode)


def adopt(content: Content, record: UndoRecord, wanted: Mapping[str, Any]) -> UndoRecord:
    """``record``; if that is empty, one that takes values that are exactly what codexd would write as its own."""
    if record.entries:
        return record
    now = read_values(content, tuple(wanted))
    parse = content.format.parse
    ours = {
        name: raw for name, raw in now.items() if raw is not None and is_same(raw, _raw(content, wanted[name]), parse)
    }
    return evolve(
        record, entries={name: Entry(None, raw) for name, raw in ours.items()}, mode=content.mode, had_env=False
    )


def carry_out(change: SetUp, file: UndoFile) -> Path | None:
    """Make the change. Returns the path of the backup if there is one.

    The undo record is on disk before the settings file changes. If the file then can't be changed, codexd has written
    no value, and the next change starts afresh. For the same reason the backup is deleted before its name is forgotten.

    Raises:
        ClientFileRefused: the settings file can't be written; it is unchanged.
        FileUnreadable, OSError
    """
    record, path = change.record, change.content.path
    settings_file.tidy(change.content)
    backup = _name_backup(change)
    if backup is not None:
        record = evolve(record, backup=str(backup))
    if record.entries:
        file.save(path, evolve(record, previous=_previous(path, file)))
    with ExitStack() as undo:
        if backup is not None:
            undo.callback(backup.unlink, missing_ok=True)
            settings_file.back_up(change.content, backup)
        if change.is_needed:
            settings_file.replace(change.content, change.data, change.mode)
        undo.pop_all()
    if not record.entries:
        record = _clear_away(record)
        file.save(path, record)
    return Path(record.backup) if record.backup else None


def _name_backup(change: SetUp) -> Path | None:
    """Where to copy the file; None if it has been copied already, or there is nothing to copy."""
    record, content = change.record, change.content
    if not (record.entries and record.had_file and change.is_needed):
        return None
    if record.backup is None:
        return settings_file.name_backup(content)
    was_never_made = not Path(record.backup).exists() and record.is_original(content.data)
    return Path(record.backup) if was_never_made else None


def _previous(path: Path, file: UndoFile) -> UndoRecord | None:
    found = file.find(path)
    return evolve(found, previous=None) if found.entries else None


def _clear_away(record: UndoRecord) -> UndoRecord:
    """Delete the backup if the file is exactly as before; otherwise the user may want to look at it."""
    if record.backup is None or record.original is None:
        return record
    Path(record.backup).unlink(missing_ok=True)
    return evolve(record, backup=None)


def _remember(content: Content, now: Values, record: UndoRecord) -> UndoRecord:
    """``record``, updated to the file as it is now."""
    if any(is_same(now.get(name), entry.wrote, content.format.parse) for name, entry in record.entries.items()):
        return record if digest(content.data) == record.wrote else evolve(record, original=None)
    text = None if content.data is None else content.data.decode()
    # If the file still is the original, a daemon was killed before it changed the file: its backup is still good.
    backup = record.backup if record.is_original(content.data) else None
    return UndoRecord(
        entries=record.entries,
        original=Original(text),
        mode=content.mode,
        had_file=content.text is not None,
        had_env=content.format.has_holder(content.settings_text),
        backup=backup,
    )


def _edit(content: Content, plan: Plan, record: UndoRecord) -> bytes | None:
    form, text = content.format, content.settings_text
    if not plan.targets:
        return content.data
    try:
        for name, raw in plan.targets.items():
            text = form.drop(text, name) if raw is None else form.put(text, name, raw)
    except ValueError as wrong:
        raise ClientFileRefused(f"{content.path} can't be edited: {wrong}. Edit it by hand.") from None
    if not record.had_env:
        text = form.without_holder(text)
    if not record.had_file and form.is_empty(text):
        return None
    return settings_file.encode(text, has_bom=content.has_bom)


def _raw(content: Content, value: Any) -> str | None:
    return None if value is None else content.format.dump(value)
