"""Rules for the params of methods, and the params of a method that takes none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute, frozen

from codexd.errors import RequestInvalid


@frozen
class Rule:
    """An attrs validator that can also say what it checks. None passes: whether it may be there is up to the type.

    ``keywords`` are the keywords of JSON Schema with the meaning of ``holds``.
    """

    holds: Callable[[Any], bool]
    problem: str
    keywords: Mapping[str, Any]

    def __call__(self, _instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and not self.holds(value):
            raise RequestInvalid(attribute.name, self.problem)


def one_of(choices: tuple[str, ...]) -> Rule:
    return Rule(choices.__contains__, f"must be one of {', '.join(choices)}", {"enum": list(choices)})


def between(least: int, most: int) -> Rule:
    keywords = {"minimum": least, "maximum": most}
    return Rule(lambda value: least <= value <= most, f"must be from {least} to {most}", keywords)


filled = Rule(bool, "must not be empty", {"minLength": 1})
"""For strings."""


@frozen
class NoParams:
    pass
