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
"""From the values without codexd to the wanted ones; None: remove the name."""


@frozen
class SetUp:
    """One change of a settings file, prepared and not yet made.

    ``data``: the new bytes of the file, None to delete it. ``mode``: its new mode, None for 0600.
    """

    content: Content
    now: Values
    plan: Plan
    kept: UndoRecord
    data: bytes | None
    mode: int | None = None

    @property
    def is_needed(self) -> bool:
        return self.data != self.content.data


def read_values(content: Content, names: tuple[str, ...]) -> dict[str, str | None]:
    """Name -> raw text of its value."""
    text = content.settings_text
    return {name: content.format.read(text, name) for name in names}


def plain_values(content: Content, values: Values) -> dict[str, Any]:
    return {name: content.format.parse(raw) for name, raw in values.items() if raw is not None}


def prepare(content: Content, kept: UndoRecord, names: tuple[str, ...], make_wanted: MakeWanted) -> SetUp:
    """The change that sets ``names`` to the values of ``make_wanted``, and undoes whatever else codexd wrote.

    Raises:
        ClientFileRefused: the file is written in a way that can't be edited.
    """
    now, kept, parse = read_values(content, names), kept.of(content.data), content.format.parse
    before = plain_values(content, without_codexd(now, kept.entries, parse))
    wanted = {name: _raw(content, value) for name, value in make_wanted(before).items()}
    plan = make_plan(now, kept.entries, wanted, parse)
    kept = _remember(content, now, kept)
    if kept.original is not None and not plan.entries:
        data = None if kept.original.text is None else kept.original.text.encode()
    else:
        data = _edit(content, plan, kept)
    kept = evolve(kept, entries=plan.entries, wrote=digest(data))
    return SetUp(content, now, plan, kept, data, None if plan.entries else kept.mode)


def adopt(content: Content, kept: UndoRecord, wanted: Mapping[str, Any]) -> UndoRecord:
    """If nothing is remembered: treat values that are exactly what codexd would write as its own."""
    if kept.entries:
        return kept
    now = read_values(content, tuple(wanted))
    parse = content.format.parse
    ours = {
        name: raw for name, raw in now.items() if raw is not None and is_same(raw, _raw(content, wanted[name]), parse)
    }
    return evolve(
        kept, entries={name: Entry(None, raw) for name, raw in ours.items()}, mode=content.mode, had_env=False
    )


def carry_out(change: SetUp, file: UndoFile) -> Path | None:
    """Make the change. Returns the path of the backup if there is one.

    The undo record is on disk before the settings file changes. If that fails, codexd has written no value, and the
    next change starts afresh. For the same reason the backup is deleted before its name is forgotten.

    Raises:
        ClientFileRefused: the settings file can't be written; it is as before.
        FileUnreadable, OSError
    """
    kept, path = change.kept, change.content.path
    settings_file.tidy(change.content)
    backup = _name_backup(change)
    if backup is not None:
        kept = evolve(kept, backup=str(backup))
    if kept.entries:
        file.save(path, evolve(kept, previous=_previous(path, file)))
    with ExitStack() as undo:
        if backup is not None:
            undo.callback(backup.unlink, missing_ok=True)
            settings_file.back_up(change.content, backup)
        if change.is_needed:
            settings_file.replace(change.content, change.data, change.mode)
        undo.pop_all()
    if not kept.entries:
        kept = _clear_away(kept)
        file.save(path, kept)
    return Path(kept.backup) if kept.backup else None


def _name_backup(change: SetUp) -> Path | None:
    """Where to copy the file; None if there is a copy already, or nothing to copy."""
    kept, content = change.kept, change.content
    if not (kept.entries and kept.had_file and change.is_needed):
        return None
    if kept.backup is None:
        return settings_file.name_backup(content)
    was_never_made = not Path(kept.backup).exists() and kept.is_original(content.data)
    return Path(kept.backup) if was_never_made else None


def _previous(path: Path, file: UndoFile) -> UndoRecord | None:
    found = file.find(path)
    return evolve(found, previous=None) if found.entries else None


def _clear_away(kept: UndoRecord) -> UndoRecord:
    """Delete the backup if the file is exactly as before; otherwise the user may want to look at it."""
    if kept.backup is None or kept.original is None:
        return kept
    Path(kept.backup).unlink(missing_ok=True)
    return evolve(kept, backup=None)


def _remember(content: Content, now: Values, kept: UndoRecord) -> UndoRecord:
    """``kept``, updated to the file as it is now."""
    if any(is_same(now.get(name), entry.wrote, content.format.parse) for name, entry in kept.entries.items()):
        return kept if digest(content.data) == kept.wrote else evolve(kept, original=None)
    text = None if content.data is None else content.data.decode()
    # If the file is the original one, a daemon was killed before it changed the file: its backup is still good.
    backup = kept.backup if kept.is_original(content.data) else None
    return UndoRecord(
        entries=kept.entries,
        original=Original(text),
        mode=content.mode,
        had_file=content.text is not None,
        had_env=content.format.has_holder(content.settings_text),
        backup=backup,
    )


def _edit(content: Content, plan: Plan, kept: UndoRecord) -> bytes | None:
    form, text = content.format, content.settings_text
    if not plan.targets:
        return content.data
    try:
        for name, raw in plan.targets.items():
            text = form.drop(text, name) if raw is None else form.put(text, name, raw)
    except ValueError as wrong:
        raise ClientFileRefused(f"{content.path} can't be edited: {wrong}. Edit it by hand.") from None
    if not kept.had_env:
        text = form.without_holder(text)
    if not kept.had_file and form.is_empty(text):
        return None
    return settings_file.encode(text, has_bom=content.has_bom)


def _raw(content: Content, value: Any) -> str | None:
    return None if value is None else content.format.dump(value)
