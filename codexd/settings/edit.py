"""Edits of the settings file's text that keep its comments and its order, and the text of a new one.

Import law: no ``os``, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from codexd.errors import SettingInvalid
from codexd.settings.load import convert, find_setting, parse_toml, show
from codexd.settings.schema import SCHEMA, Setting

_EXAMPLES = {"server.api_key": '"a-long-random-text"', "models.aliases": '{ fast = "gpt-5.5" }'}
"""What the template shows where the default is nothing."""


def set_in_text(toml: str, name: str, value: Any) -> str:
    """The settings file's text with ``name`` set.

    Raises:
        SettingInvalid: an unknown name, a bad value, or a text that is not TOML.
    """
    item, plain = find_setting(name), _read_plain(toml)
    wanted = _to_toml(_convert(item, value))
    group, key = name.split(".")
    if plain.get(group, {}).get(key) == wanted:
        return toml
    try:
        document = tomlkit.parse(toml)
        if group not in document:
            document[group] = tomlkit.table()
        _put(document[group], key, wanted)
    except TOMLKitError as wrong:
        raise _uneditable(name, str(wrong)) from None
    plain.setdefault(group, {})[key] = wanted
    return _check_edit(name, tomlkit.dumps(document), plain)


def unset_in_text(toml: str, name: str) -> str:
    """The settings file's text without ``name``; the rest stays as it is.

    Raises:
        SettingInvalid: an unknown name, or a text that is not TOML.
    """
    plain = _read_plain(toml)
    group, key = find_setting(name).name.split(".")
    if key not in plain.get(group, {}):
        return toml
    try:
        document: Any = tomlkit.parse(toml)
        del document[group][key]
    except TOMLKitError as wrong:
        raise _uneditable(name, str(wrong)) from None
    del plain[group][key]
    return _check_edit(name, tomlkit.dumps(document), plain)


def make_template() -> str:
    """A settings file that sets nothing: every setting with its meaning, commented out at its default."""
    return "\n".join(_template_lines()) + "\n"


def _template_lines() -> Iterator[str]:
    yield "# Settings of codexd. What is commented out stands at its default."
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


def _read_plain(toml: str) -> dict[str, Any]:
    try:
        plain = parse_toml(toml)
    except ValueError as wrong:
        raise SettingInvalid(f"the settings file is {wrong}. Mend it with `codexctl settings edit`") from None
    loose = [group for group, table in plain.items() if not isinstance(table, dict)]
    if loose:
        raise SettingInvalid(f"{loose[0]}: no such setting: in the settings file each stands in a table, such as [log]")
    return plain


def _convert(item: Setting, value: Any) -> Any:
    if value is None:
        raise SettingInvalid(f"{item.name}: null is no value; unset it instead")
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
    """Set ``key``; a table that is there is edited in place, for it may hold comments."""
    inner = table.get(key)
    if not (isinstance(wanted, dict) and isinstance(inner, MutableMapping)):
        table[key] = wanted
        return
    for name in [name for name in inner if name not in wanted]:
        del inner[name]
    for name, value in wanted.items():
        if inner.get(name) != value:
            inner[name] = value


def _check_edit(name: str, text: str, wanted: Mapping[str, Any]) -> str:
    """``text``, which must say ``wanted``: TOML has ways to write a table that tomlkit does not edit well.

    Raises:
        SettingInvalid: it says something else.
    """
    try:
        if _without_empty(parse_toml(text)) == _without_empty(wanted):
            return text
    except ValueError:
        pass
    raise _uneditable(name, "the way that the file is written is not understood")


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table with nothing in it may be written or not."""
    plain = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in plain.items() if value != {}}


def _uneditable(name: str, why: str) -> SettingInvalid:
    return SettingInvalid(f"{name} can't be changed in the settings file: {why}. Use `codexctl settings edit`.")
