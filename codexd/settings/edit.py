"""Editing the settings file while preserving its comments and order, and the template for a new one.

Import law: no ``os``, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from codexd.errors import SettingInvalid
from codexd.settings.load import Document, convert, find_entry, show
from codexd.settings.schema import SCHEMA, Setting

_EXAMPLES = {"server.api_key": '"a-long-random-text"', "models.aliases": '{ fast = "gpt-5.5" }'}
"""Examples for the settings that have no default, shown in the template."""


def set_value(document: Document, name: str, value: Any) -> Document:
    """The settings file with ``name`` set; the same document if it already has this value.

    ``name`` may be one key of a table, such as ``models.aliases.fast``; the others stay.

    Raises:
        SettingInvalid: an unknown name, a bad value, or a file that is not TOML.
    """
    item, entry = find_entry(name)
    _check_editable(document)
    if entry is not None:
        value = {**_read_entries(document, item), entry: _check_entry(name, value)}
    return _put_value(document, item, _to_toml(_convert(item, value)))


def _put_value(document: Document, item: Setting, wanted: Any) -> Document:
    group, key = item.name.split(".")
    table = document.tables.get(group, {})
    if table.get(key) == wanted:
        return document

    def put(toml: Any) -> None:
        if group not in toml:
            toml[group] = tomlkit.table()
        _put(toml[group], key, wanted)

    return _edit(document, item.name, put, {**document.tables, group: {**table, key: wanted}})


def _read_entries(document: Document, item: Setting) -> Mapping[str, str]:
    """The table that the file sets; it may be written as a text."""
    group, key = item.name.split(".")
    entries: Mapping[str, str] = _convert(item, document.tables.get(group, {}).get(key, {}))
    return entries


def _check_entry(name: str, value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise SettingInvalid(f"{name}: must be a name, such as gpt-5.5")


def unset_value(document: Document, name: str) -> Document:
    """The settings file without ``name``, the rest unchanged; the same document if it does not set ``name``.

    Raises:
        SettingInvalid: an unknown name, or a file that is not TOML.
    """
    item, entry = find_entry(name)
    _check_editable(document)
    if entry is not None:
        known = _read_entries(document, item)
        if entry not in known:
            return document
        if rest := {other: to for other, to in known.items() if other != entry}:
            return _put_value(document, item, rest)
    group, key = item.name.split(".")
    table = document.tables.get(group, {})
    if key not in table:
        return document

    def delete(toml: Any) -> None:
        del toml[group][key]

    rest = {other: value for other, value in table.items() if other != key}
    return _edit(document, name, delete, {**document.tables, group: rest})


def make_template() -> str:
    """A settings file that sets nothing: each setting is commented out, with its meaning and default."""
    return "\n".join(_template_lines()) + "\n"


def _template_lines() -> Iterator[str]:
    yield "# Settings of codexd. A setting that is commented out has its default value."
    table = ""
    for item in SCHEMA.values():
        group, key = item.name.split(".")
        if group != table:
            yield from ("", f"[{group}]")
            table = group
        yield from _template_entry(item, key)


def _template_entry(item: Setting, key: str) -> Iterator[str]:
    notes = [item.meaning, *([f"in {item.unit}"] if item.unit else [])]
    notes += [f"one of {', '.join(item.choices)}"] if item.choices else []
    notes += ["takes effect at the next start"] if item.restart_needed else []
    yield f"# {'; '.join(notes)}"
    yield f"# {key} = {_EXAMPLES.get(item.name) or tomlkit.item(_to_toml(item.default)).as_string()}"


# -- parts of an edit -----------------------------------------------------------------------------


def _check_editable(document: Document) -> None:
    if document.problem:
        raise SettingInvalid(f"the settings file is {document.problem}. Fix it with `codexctl settings edit`")
    loose = [group for group, table in document.tables.items() if not isinstance(table, dict)]
    if loose:
        raise SettingInvalid(f"{loose[0]}: no such setting; every setting is in a table, such as [log]")


def _convert(item: Setting, value: Any) -> Any:
    if value is None:
        raise SettingInvalid(f"{item.name}: null is not a value; unset the setting instead")
    try:
        return convert(item, value)
    except ValueError as wrong:
        raise SettingInvalid(f"{item.name} = {show(item.name, value)}: {wrong}") from None


def _to_toml(value: Any) -> Any:
    if isinstance(value, tuple):
        alone = len(value) == 1 and "," not in value[0] and value[0] == value[0].strip()
        return value[0] if alone else list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _put(table: Any, key: str, wanted: Any) -> None:
    """Set ``key``. An existing table is edited in place, because it may contain comments."""
    inner = table.get(key)
    if isinstance(wanted, dict) and isinstance(inner, str):
        table[key] = tomlkit.inline_table()  # a table of its own would lose the comment on the line
        inner = table[key]
    if not (isinstance(wanted, dict) and isinstance(inner, MutableMapping)):
        table[key] = wanted
        return
    for name in [name for name in inner if name not in wanted]:
        del inner[name]
    for name, value in wanted.items():
        if inner.get(name) != value:
            inner[name] = value


def _edit(document: Document, name: str, change: Callable[[Any], None], wanted: Mapping[str, Any]) -> Document:
    """Apply ``change`` to the text, and check that the result is ``wanted``: tomlkit breaks some forms of tables.

    Raises:
        SettingInvalid: the result is something else.
    """
    try:
        toml = tomlkit.parse(document.text)
        change(toml)
    except TOMLKitError as wrong:
        raise _uneditable(name, str(wrong)) from None
    edited = Document.parse(tomlkit.dumps(toml))
    if edited.problem or _without_empty(edited.tables) != _without_empty(wanted):
        raise _uneditable(name, "codexd can't edit the file as it is written")
    return edited


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    """``table`` without empty tables, which may be written or left out."""
    plain = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in plain.items() if value != {}}


def _uneditable(name: str, why: str) -> SettingInvalid:
    return SettingInvalid(f"{name} can't be changed in the settings file: {why}. Use `codexctl settings edit`.")
