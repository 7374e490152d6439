"""Loading settings: from the command line, the environment, the file, or the default, in this order.

The environment and the file's text are arguments. Import law: no ``os``, no clock.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self

from attrs import Factory, field, frozen
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
from codexd.strict import make_converter, read_boolean, read_integer, read_number, read_string


@frozen
class Document:
    """The text of a settings file, parsed; empty if there is no file.

    ``problem`` says why the text can't be read as TOML; there are no tables in that case.
    """

    text: str = field(default="", repr=False)
    tables: Mapping[str, Any] = field(default=Factory(dict), repr=False)
    problem: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            return cls(text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as wrong:
            return cls(text, problem=f"not TOML: {wrong}")
        except RecursionError:
            return cls(text, problem="not readable TOML: nested too deeply")
        except ValueError:
            return cls(text, problem="not readable TOML: a number has too many digits")


NO_FILE = Document()


@frozen
class Loaded:
    """The settings, and where they come from.

    ``sources``: for each name without its default value, a text that says where the value comes from. ``in_file``: the
    names that the file sets.
    """

    settings: Settings
    sources: Mapping[str, str]
    in_file: frozenset[str]
    document: Document


def load(
    document: Document = NO_FILE,
    *,
    file: str = "settings.toml",
    environ: Mapping[str, str],
    flags: Mapping[str, Any],
) -> Loaded:
    """Combine the settings from all their sources.

    Args:
        document: the settings file; ``file`` is its name in errors.
        environ: the process environment.
        flags: dotted name -> value from the command line; None means that the option was not given.

    Raises:
        SettingInvalid: lists every wrong name and value, where it was found, and what is allowed.
    """
    problems: list[str] = []
    found: dict[str, tuple[Any, str]] = {}
    layers = (_read_file(document, file, problems), _read_environ(environ, problems), _read_flags(flags))
    for layer in layers:
        for name, (raw, source) in layer.items():
            try:
                found[name] = (convert(SCHEMA[name], raw), source)
            except ValueError as wrong:
                problems.append(f"{name} = {show(name, raw)} ({source}): {wrong}")
    settings = replace_values(DEFAULTS, {name: value for name, (value, _) in found.items()})
    sources = {name: source for name, (_, source) in found.items()}
    problems.extend(_find_conflicts(settings, sources))
    if problems:
        raise SettingInvalid("\n".join(problems))
    return Loaded(settings, sources, frozenset(layers[0]), document)


def convert(item: Setting, raw: Any) -> Any:
    """``raw``, a TOML value or any string, as the setting's type.

    Raises:
        ValueError: says what is allowed.
    """
    unit_s = DURATION_UNITS_S.get(item.unit or "")
    try:
        value = _CONVERTER.structure(_read_duration(raw, unit_s) if unit_s else raw, item.type)
    except (ValueError, TypeError) as wrong:
        raise ValueError(f"{wrong}, or a duration such as {EXAMPLES[unit_s]}" if unit_s else str(wrong)) from None
    if item.choices and value not in item.choices:
        raise ValueError(f"must be one of {', '.join(item.choices)}")
    problem = item.check(value) if item.check else None
    if problem:
        raise ValueError(problem)
    return value


DURATION_UNITS_S: Mapping[str, int] = MappingProxyType({"s": 1, "days": 86400})
"""The units of settings that can be written as durations, in seconds."""

EXAMPLES: Mapping[int, str] = MappingProxyType({1: "90s, 5m or 1h30m", 86400: "90d or 12w"})

_LENGTHS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = r"(\d+(?:\.\d+)?)(ms|min|[smhdw])"


def _read_duration(raw: Any, unit_s: int) -> Any:
    """A text such as ``1h30m`` as a number of units; anything else as it is."""
    text = "".join(raw.lower().split()) if isinstance(raw, str) else ""
    if not re.fullmatch(f"(?:{_LENGTH})+", text, re.ASCII):
        return raw
    length = sum(float(number) * _LENGTHS_S[unit] for number, unit in re.findall(_LENGTH, text)) / unit_s
    return int(length) if length.is_integer() else length


# -- layers ---------------------------------------------------------------------------------------

Layer = dict[str, tuple[Any, str]]
"""Dotted name -> raw value, and a text that says where it was found."""


def _read_file(document: Document, file: str, problems: list[str]) -> Layer:
    if document.problem:
        problems.append(f"{file}: {document.problem}")
    layer: Layer = {}
    for group, table in document.tables.items():
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


def _find_conflicts(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    if not is_loopback(settings.server.host) and settings.server.api_key is None:
        yield (
            f"server.host = {settings.server.host!r} ({sources['server.host']}): "
            "other machines could use your account; set server.api_key first, or use 127.0.0.1"
        )


# -- values: as in ``codexd.strict``, and as strings from the environment -------------------------

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def _to_int(raw: Any, _kind: Any) -> int:
    if isinstance(raw, str) and raw.strip().removeprefix("-").isdecimal():
        with suppress(ValueError):  # more digits than Python converts
            return int(raw)
    return read_integer(raw)


def _to_float(raw: Any, _kind: Any) -> float:
    try:
        number = read_number(float(raw) if isinstance(raw, str) else raw)
    except ValueError:
        raise ValueError("must be a number") from None
    if abs(number) >= 1e15:
        raise ValueError("must be a number")
    return number


def _to_bool(raw: Any, _kind: Any) -> bool:
    word = raw.strip().lower() if isinstance(raw, str) else None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return read_boolean(raw)


def _to_names(raw: Any, _kind: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [name.strip() for name in raw.split(",")]
    if isinstance(raw, list | tuple) and all(isinstance(name, str) for name in raw):
        return tuple(raw)
    raise TypeError("must be a name or a list of names")


def _to_table(raw: Any, _kind: Any) -> Mapping[str, str]:
    if isinstance(raw, str):
        pairs = [pair.partition("=") for pair in raw.split(",") if pair.strip()]
        raw = {name.strip(): to.strip() for name, _, to in pairs}
    if isinstance(raw, Mapping) and all(isinstance(to, str) and to and name for name, to in raw.items()):
        return MappingProxyType(dict(raw))
    raise TypeError("must be a table of names, such as fast = 'gpt-6-luna'")


def _to_optional_str(raw: Any, _kind: Any) -> str | None:
    return None if raw is None else read_string(raw)


def _make_converter() -> Converter:
    converter = make_converter()
    converter.register_structure_hook(int, _to_int)
    converter.register_structure_hook(float, _to_float)
    converter.register_structure_hook(bool, _to_bool)
    converter.register_structure_hook_func(lambda kind: kind == str | None, _to_optional_str)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _to_names)
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, str], _to_table)
    return converter


_CONVERTER = _make_converter()


# -- error texts ----------------------------------------------------------------------------------


def show(name: str, raw: Any) -> str:
    """A value as shown in errors."""
    if name in SCHEMA and SCHEMA[name].secret:
        return "(not shown)"
    try:
        return repr(raw)
    except (ValueError, RecursionError):  # Python refuses to format an integer of over 4300 digits
        return "(too large to show)"


def find_setting(name: str) -> Setting:
    """The setting with this name.

    Raises:
        SettingInvalid: there is no such setting.
    """
    if name not in SCHEMA:
        raise SettingInvalid(f"{name}: {_unknown(name)}")
    return SCHEMA[name]


def find_entry(name: str) -> tuple[Setting, str | None]:
    """The setting with this name, or the table that ``name`` is a key of, and the key: ``models.aliases.fast``.

    Raises:
        SettingInvalid: there is no such setting.
    """
    for item in SCHEMA.values():
        key = name.removeprefix(f"{item.name}.")
        if item.type == Mapping[str, str] and key not in ("", name):
            return item, key
    return find_setting(name), None


def _unknown(name: str) -> str:
    return f"no such setting{_suggest(name, SCHEMA) or '; `codexctl settings` lists them'}"


def _suggest(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
