"""Values out of JSON files of ours, without guessing. Pure."""

from __future__ import annotations

from typing import Any

import cattrs


def make_converter() -> cattrs.Converter:
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
