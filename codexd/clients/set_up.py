"""Setting a client up in its settings file, and putting the file back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from codexd.clients import settings_file
from codexd.clients.kept import Kept, KeptFile, Original, digest
from codexd.clients.settings_file import Content
from codexd.clients.undo import Entry, Plan, Values, is_same, make_plan, without_us
from codexd.errors import ClientFileRefused

MakeWanted = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From what the names would hold without codexd to what they shall hold; None: it has to go."""


@frozen
class SetUp:
    """One change of a settings file, thought through and not yet made.

    ``data``: the file's new bytes, None to delete it. ``mode``: its new mode where that is not 0600.
    """

    content: Content
    now: Values
    plan: Plan
    kept: Kept
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


def prepare(content: Content, kept: Kept, names: tuple[str, ...], make_wanted: MakeWanted) -> SetUp:
    """The change that gives ``names`` the values of ``make_wanted``; what codexd wrote beside them is undone.

    Raises:
        ClientFileRefused: the file is written in a way that can't be edited.
    """
    now, kept, parse = read_values(content, names), kept.of(content.data), content.format.parse
    before = plain_values(content, without_us(now, kept.entries, parse))
    wanted = {name: _raw(content, value) for name, value in make_wanted(before).items()}
    plan = make_plan(now, kept.entries, wanted, parse)
    kept = _remember(content, now, kept)
    if kept.original is not None and not plan.entries:
        data = None if kept.original.text is None else kept.original.text.encode()
    else:
        data = _edit(content, plan, kept)
    kept = evolve(kept, entries=plan.entries, wrote=digest(data))
    return SetUp(content, now, plan, kept, data, None if plan.entries else kept.mode)


def adopt(content: Content, kept: Kept, wanted: Mapping[str, Any]) -> Kept:
    """Take values that are exactly what codexd would write for codexd's own, where nothing is remembered."""
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


def carry_out(change: SetUp, file: KeptFile) -> Path | None:
    """Make the change; gives the path of the backup if there is one.

    What undoes it is on disk before the settings file changes: should that fail, no value is codexd's, and the next
    change starts afresh. So it is with the name of the backup, which goes before the memory of it.

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
    """Where a copy of the file is to be made; None if there is one already, or nothing to copy."""
    kept, content = change.kept, change.content
    if not (kept.entries and kept.had_file and change.is_needed):
        return None
    if kept.backup is None:
        return settings_file.name_backup(content)
    was_never_made = not Path(kept.backup).exists() and kept.is_original(content.data)
    return Path(kept.backup) if was_never_made else None


def _previous(path: Path, file: KeptFile) -> Kept | None:
    found = file.find(path)
    return evolve(found, previous=None) if found.entries else None


def _clear_away(kept: Kept) -> Kept:
    """The backup goes when the very file is back; else it stays for its user to look into."""
    if kept.backup is None or kept.original is None:
        return kept
    Path(kept.backup).unlink(missing_ok=True)
    return evolve(kept, backup=None)


def _remember(content: Content, now: Values, kept: Kept) -> Kept:
    """``kept``, brought up to the file as it is now."""
    if any(is_same(now.get(name), entry.wrote, content.format.parse) for name, entry in kept.entries.items()):
        return kept if digest(content.data) == kept.wrote else evolve(kept, original=None)
    text = None if content.data is None else content.data.decode()
    # The very file is back, or was never changed: a daemon was killed in the middle.
    backup = kept.backup if kept.is_original(content.data) else None
    return Kept(
        entries=kept.entries,
        original=Original(text),
        mode=content.mode,
        had_file=content.text is not None,
        had_env=content.format.has_holder(content.settings_text),
        backup=backup,
    )


def _edit(content: Content, plan: Plan, kept: Kept) -> bytes | None:
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
