"""How a setting's value is found; ``settings_edit`` edits the file.

Precedence: command line, environment, file, default. Import law: no ``os``, no clock; the
environment and the file's text are arguments.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import frozen
from cattrs import Converter

from codexd.errors import SettingInvalid
from codexd.settings.schema import (
    DEFAULTS,
    ENVIRON_PREFIX,
    NOT_SETTINGS,
    SCHEMA,
    Setting,
    Settings,
    is_loopback,
    replace_values,
)


@frozen
class Loaded:
    """Settings, for each name that is not at its default the words for where it came from, and what the file sets."""

    settings: Settings
    sources: Mapping[str, str]
    in_file: frozenset[str]


def load(
    *, toml: str = "", file: str = "settings.toml", environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Loaded:
    """The settings that hold.

    Args:
        toml: the text of the settings file, empty where there is none; ``file`` is its name for errors.
        environ: the process environment.
        flags: dotted name -> value from the command line; None means that the flag was not given.

    Raises:
        SettingInvalid: lists every wrong name and value, where it stands and what is allowed.
    """
    problems: list[str] = []
    found: dict[str, tuple[Any, str]] = {}
    layers = (_read_toml(toml, file, problems), _read_environ(environ, problems), _read_flags(flags))
    for layer in layers:
        for name, (raw, source) in layer.items():
            try:
                found[name] = (convert(SCHEMA[name], raw), source)
            except ValueError as wrong:
                problems.append(f"{name} = {show(name, raw)} ({source}): {wrong}")
    settings = replace_values(DEFAULTS, {name: value for name, (value, _) in found.items()})
    sources = {name: source for name, (_, source) in found.items()}
    problems.extend(find_conflicts(settings, sources))
    if problems:
        raise SettingInvalid("\n".join(problems))
    return Loaded(settings, sources, frozenset(layers[0]))


def convert(item: Setting, raw: Any) -> Any:
    """``raw`` (from TOML, or a string from anywhere) as the setting's type.

    Raises:
        ValueError: says what is allowed.
    """
    try:
        value = _CONVERTER.structure(raw, item.type)
    except (ValueError, TypeError) as wrong:
        raise ValueError(str(wrong)) from None
    if item.choices and value not in item.choices:
        raise ValueError(f"must be one of {', '.join(item.choices)}")
    problem = item.check(value) if item.check else None
    if problem:
        raise ValueError(problem)
    return value


# -- layers ---------------------------------------------------------------------------------------

Layer = dict[str, tuple[Any, str]]
"""Dotted name -> raw value and the words for where it stands."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: says how it is not TOML, or none that Python can read.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ValueError(f"not TOML: {wrong}") from None
    except RecursionError:
        raise ValueError("not TOML that can be read: nested too deeply") from None
    except ValueError:
        raise ValueError("not TOML that can be read: a number of too many digits") from None


def _read_toml(text: str, file: str, problems: list[str]) -> Layer:
    try:
        document = parse_toml(text)
    except ValueError as wrong:
        problems.append(f"{file}: {wrong}")
        return {}
    layer: Layer = {}
    for group, table in document.items():
        if not isinstance(table, dict):
            problems.append(f"{group} ({file}): {_unknown(group)}")
            continue
        for key, raw in table.items():
            name = f"{group}.{key}"
            if name in SCHEMA:
                layer[name] = (raw, file)
            else:
                problems.append(f"{name} ({file}): {_unknown(name)}")
    return layer


def _read_environ(environ: Mapping[str, str], problems: list[str]) -> Layer:
    layer: Layer = {}
    known = set(NOT_SETTINGS)
    for name, item in SCHEMA.items():
        known.update(item.environ)
        variable = next((variable for variable in item.environ if environ.get(variable)), None)
        if variable:
            layer[name] = (environ[variable], f"environment {variable}")
    problems.extend(
        f"{variable} (environment): no such setting{_suggest(variable, known)}"
        for variable in environ
        if variable.startswith(ENVIRON_PREFIX) and variable not in known
    )
    return layer


def _read_flags(flags: Mapping[str, Any]) -> Layer:
    return {name: (value, f"--{name.split('.')[-1]}") for name, value in flags.items() if value is not None}


def find_conflicts(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    if not is_loopback(settings.server.host) and settings.server.api_key is None:
        yield (
            f"server.host = {settings.server.host!r} ({sources['server.host']}): "
            "other machines could use your account; set server.api_key first, or keep to 127.0.0.1"
        )


# -- values ---------------------------------------------------------------------------------------

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def _to_str(raw: Any, _: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError("must be a string")
    return raw


def _to_int(raw: Any, _: Any) -> int:
    if isinstance(raw, str) and raw.strip().lstrip("-").isdecimal():
        return int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise TypeError("must be a whole number")


def _to_float(raw: Any, _: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise TypeError("must be a number")
    try:
        number = float(raw)
    except ValueError:
        raise ValueError("must be a number") from None
    if not -1e15 < number < 1e15:  # also false for nan
        raise ValueError("must be a number")
    return number


def _to_bool(raw: Any, _: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise TypeError("must be true or false")


def _to_names(raw: Any, _: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [name.strip() for name in raw.split(",")]
    if isinstance(raw, list | tuple) and all(isinstance(name, str) for name in raw):
        return tuple(raw)
    raise TypeError("must be a name or a list of names")


def _to_table(raw: Any, _: Any) -> Mapping[str, str]:
    if isinstance(raw, str):
        pairs = [pair.partition("=") for pair in raw.split(",") if pair.strip()]
        raw = {name.strip(): to.strip() for name, _, to in pairs}
    if isinstance(raw, Mapping) and all(isinstance(to, str) and to and name for name, to in raw.items()):
        return MappingProxyType(dict(raw))
    raise TypeError("must be a table of names, such as fast = 'gpt-6-luna'")


def _to_optional_str(raw: Any, kind: Any) -> str | None:
    return None if raw is None else _to_str(raw, kind)


def _make_converter() -> Converter:
    """A converter that refuses; as it comes, cattrs turns None into "None" and "false" into True."""
    converter = Converter()
    converter.register_structure_hook(str, _to_str)
    converter.register_structure_hook(int, _to_int)
    converter.register_structure_hook(float, _to_float)
    converter.register_structure_hook(bool, _to_bool)
    converter.register_structure_hook_func(lambda kind: kind == str | None, _to_optional_str)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _to_names)
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, str], _to_table)
    return converter


_CONVERTER = _make_converter()


# -- words ----------------------------------------------------------------------------------------


def show(name: str, raw: Any) -> str:
    """A value for words to the user."""
    if name in SCHEMA and SCHEMA[name].secret:
        return "(not shown)"
    try:
        return repr(raw)
    except (ValueError, RecursionError):  # Python writes no number of more than 4300 digits
        return "(too large to show)"


def find_setting(name: str) -> Setting:
    """The setting of that name.

    Raises:
        SettingInvalid: there is none.
    """
    if name not in SCHEMA:
        raise SettingInvalid(f"{name}: {_unknown(name)}")
    return SCHEMA[name]


def _unknown(name: str) -> str:
    return f"no such setting{_suggest(name, SCHEMA) or '; `codexctl settings` lists them'}"


def _suggest(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
