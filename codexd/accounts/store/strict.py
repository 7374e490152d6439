"""Values out of JSON files of ours, without guessing. Pure."""

from __future__ import annotations

from typing import Any, TypeVar

import cattrs

from codexd import jsontext
from codexd.errors import FileUnreadable

T = TypeVar("T")


def load_versioned(data: bytes, version: int) -> dict[str, Any]:
    """The JSON object of a file of ours.

    Raises:
        FileUnreadable: the reason only, here and below; the caller, who knows the file, names it.
    """
    try:
        raw = jsontext.loads_shallow(data)
    except ValueError as error:
        raise FileUnreadable(f"it is not JSON ({error})") from None
    if not isinstance(raw, dict):
        raise FileUnreadable("it is not a JSON object")
    if raw.get("version") != version:
        raise FileUnreadable(f"its version is {raw.get('version')!r}, and this codexd reads version {version}")
    return raw


def structure(raw: dict[str, Any], kind: type[T]) -> T:
    """``raw`` as a ``kind``.

    Raises:
        FileUnreadable
    """
    try:
        return _CONVERTER.structure(raw, kind)
    except cattrs.BaseValidationError as error:
        raise FileUnreadable("; ".join(cattrs.transform_error(error))) from None


def _make_converter() -> cattrs.Converter:
    """A converter that refuses unknown keys and wrong types; cattrs alone turns None into "None", "false" into True."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for wanted, accepted in {str: (str,), int: (int,), float: (int, float), bool: (bool,)}.items():
        converter.register_structure_hook(wanted, _strict(wanted, accepted))
    return converter


def _strict(wanted: type, accepted: tuple[type, ...]) -> Any:
    def structure(value: object, _: object) -> Any:
        if type(value) not in accepted:
            raise TypeError
        return wanted(value)

    return structure


_CONVERTER = _make_converter()
