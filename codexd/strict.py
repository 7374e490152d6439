"""Reading JSON values into attrs classes without guessing: no wrong types, no unknown keys. Pure."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import cattrs

from codexd import jsontext
from codexd.errors import FileUnreadable

T = TypeVar("T")


def make_converter(**options: Any) -> cattrs.Converter:
    """A converter that does not guess as cattrs does: None is not "None", "false" is not True, unknown keys are errors.

    Tuples are unstructured as lists. ``options`` are passed to ``cattrs.Converter``, and callers may replace the
    structure hooks.
    """
    defaults: dict[str, Any] = {"forbid_extra_keys": True, "unstruct_collection_overrides": {tuple: list}}
    converter = cattrs.Converter(**defaults | options)
    for kind, read in ((str, read_string), (int, read_integer), (float, read_number), (bool, read_boolean)):
        converter.register_structure_hook(kind, read)
    return converter


def read_string(value: object, _kind: object = str) -> str:
    """Return ``value``.

    Raises:
        TypeError: says what the value must be, as in the functions below.
    """
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def read_integer(value: object, _kind: object = int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("must be an integer")
    return value


def read_number(value: object, _kind: object = float) -> float:
    """A finite number; NaN is refused too."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise TypeError("must be a number")
    return float(value)


def read_boolean(value: object, _kind: object = bool) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def load_versioned(data: bytes, version: int) -> dict[str, Any]:
    """The JSON object in one of codexd's files.

    Raises:
        FileUnreadable: the reason only; the caller adds the file.
    """
    try:
        raw = jsontext.loads_shallow(data)
    except ValueError as error:
        raise FileUnreadable(f"it is not JSON ({error})") from None
    if not isinstance(raw, dict):
        raise FileUnreadable("it is not a JSON object")
    if raw.get("version") != version:
        raise FileUnreadable(f"its version is {raw.get('version')!r}, but this codexd reads version {version}")
    return raw


def structure(raw: dict[str, Any], kind: type[T]) -> T:
    """``raw`` as a ``kind``.

    Raises:
        FileUnreadable: the reason only, with the path of each wrong value.
    """
    try:
        return _converter.structure(raw, kind)
    except cattrs.BaseValidationError as error:
        raise FileUnreadable("; ".join(cattrs.transform_error(error))) from None


_converter = make_converter()
