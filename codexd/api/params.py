"""What the params of several methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Attribute, frozen

from codexd.errors import RequestInvalid

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def one_of(choices: tuple[str, ...]) -> Validator:
    def check(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and value not in choices:
            raise RequestInvalid(attribute.name, f"must be one of {', '.join(choices)}")

    return check


def between(least: int, most: int) -> Validator:
    def check(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not least <= value <= most:
            raise RequestInvalid(attribute.name, f"must be from {least} to {most}")

    return check


def filled(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if not value:
        raise RequestInvalid(attribute.name, "must not be empty")


@frozen
class NoParams:
    pass
