"""What happens to each field of a request. Each client API has tables of fates; this is how they work.

The tables have a row for every field that a client can send. ``apply_fates`` walks a request and records every loss in
the ledger. Clients may be newer than codexd: a field without a row is dropped, and recorded as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from attrs import field, frozen

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind


class Fate(Enum):
    CARRIED = "carried"
    """Sent, perhaps in another form. A reason states the condition or the form."""
    APPROXIMATED = "approximated"
    """Sent as something close to it."""
    DROPPED = "dropped"
    """Left out, because the backend has nothing like it."""
    COSMETIC = "cosmetic"
    """Left out without any effect on the answer."""
    REFUSED = "refused"
    """Answered with a 400 that names the field."""


@frozen
class Rule:
    """A fate and its reason, which users read.

    ``unless`` lists values that ask for what happens anyway: dropping them is not a loss. ``inside`` names the table
    for what the field holds. ``essential`` refuses the field to lenient clients too, because the request would ask
    something else without it.
    """

    fate: Fate
    reason: str = ""
    unless: tuple[Any, ...] = ()
    inside: str = ""
    essential: bool = False


@frozen
class Shape:
    """An object of one ``type``: its own rule, the rule of each field, and the rule of any other field."""

    rule: Rule
    fields: Mapping[str, Rule] = field(factory=dict)
    other: Rule = Rule(Fate.DROPPED, "unknown to codexd")


@frozen
class Table:
    """The shapes by ``type``, which may be a glob. Objects without a type have the shape ``""``."""

    shapes: Mapping[str, Shape]
    unknown: Rule | None = None
    """The fate of an object of another type; None leaves it to the code that reads it."""
    by: str = "type"
    """The field that selects the shape."""
    leaves_refusals: bool = False
    """Whether the code that reads such an object refuses it, because it may also leave it out."""

    def find(self, kind: Any) -> Shape | None:
        if "" in self.shapes and (kind is None or len(self.shapes) == 1):
            return self.shapes[""]
        if kind in self.shapes if isinstance(kind, str) else False:
            return self.shapes[kind]
        return next((shape for glob, shape in self.shapes.items() if glob and fnmatchcase(str(kind), glob)), None)


def carried(note: str = "", *, inside: str = "") -> Rule:
    return Rule(Fate.CARRIED, note, inside=inside)


def approximated(reason: str, *unless: Any, inside: str = "") -> Rule:
    return Rule(Fate.APPROXIMATED, reason, unless, inside)


def dropped(reason: str, *unless: Any) -> Rule:
    return Rule(Fate.DROPPED, reason, unless)


def cosmetic(reason: str) -> Rule:
    return Rule(Fate.COSMETIC, reason)


def refused(reason: str, *unless: Any) -> Rule:
    return Rule(Fate.REFUSED, reason, unless)


def essential(reason: str) -> Rule:
    return Rule(Fate.REFUSED, reason, essential=True)


CARRIED = carried()
UNKNOWN = dropped("unknown to codexd")
NO_SAMPLING = "the backend accepts no sampling settings"
APPROXIMATE = approximated("sent as an approximate location")
"""The fate of a user's location of any other type."""


def plain(*names: str, **fields: Rule) -> Shape:
    """A carried shape: the fields ``names`` are carried too, and ``fields`` have rules of their own."""
    return Shape(CARRIED, {**dict.fromkeys(names, CARRIED), **fields})


_LOSSES: Mapping[Fate, LossKind] = {
    Fate.APPROXIMATED: LossKind.APPROXIMATED,
    Fate.DROPPED: LossKind.DROPPED,
    Fate.COSMETIC: LossKind.COSMETIC,
    Fate.REFUSED: LossKind.DROPPED,  # only for a lenient client: otherwise the request is refused
}


def apply_fates(body: Fields, tables: Mapping[str, Table], *, lenient: bool = False) -> None:
    """Record what happens to each field of the request ``body``.

    Args:
        body: its structure is not checked here; the code that reads a field reports a wrong type.
        tables: by name; ``request`` is the table of the whole body.
        lenient: drop what would be refused, unless it is essential. After a 400, Claude Code gives up features for
            the whole session.

    Raises:
        RequestInvalid: names the first refused field.
    """
    _Walk(tables, lenient).through(body, "request")


@frozen
class _Walk:
    tables: Mapping[str, Table]
    lenient: bool

    def through(self, fields: Fields, name: str) -> None:
        """Walk the object ``fields`` by the table ``name``."""
        table = self.tables[name]
        kind = fields.get(table.by)
        shape = table.find(kind)
        rule = shape.rule if shape else table.unknown
        if rule is None:
            return
        is_missing = kind is None and shape is None and not rule.essential
        if rule.fate is Fate.REFUSED and (table.leaves_refusals or is_missing):
            return  # the code that reads it reports what is wrong
        if self._refuses(rule):
            raise fields.wrong(table.by, f"{kind!r} {rule.reason}")
        if rule.fate is not Fate.CARRIED:
            fields.lose(_LOSSES[rule.fate], "", f"{kind}: {rule.reason}")
        if shape is None or rule.fate in (Fate.DROPPED, Fate.REFUSED):
            return
        for key, value in fields.value.items():
            if value is None or key == table.by:
                continue
            field_rule = shape.fields.get(key, shape.other)
            if field_rule.inside:
                self._into(fields, key, field_rule.inside)
            elif field_rule.fate is not Fate.CARRIED and value not in field_rule.unless:
                self._lose(fields, key, field_rule)

    def _refuses(self, rule: Rule) -> bool:
        return rule.fate is Fate.REFUSED and (rule.essential or not self.lenient)

    def _lose(self, fields: Fields, key: str, rule: Rule) -> None:
        if self._refuses(rule):
            raise fields.wrong(key, rule.reason)
        fields.lose(_LOSSES[rule.fate], key, rule.reason)

    def _into(self, fields: Fields, key: str, table: str) -> None:
        value = fields.get(key)
        if isinstance(value, dict):
            self.through(Fields(value, fields.at(key), fields.losses), table)
        for index, child in enumerate(value if isinstance(value, list) else ()):
            if isinstance(child, dict):
                self.through(Fields(child, f"{fields.at(key)}[{index}]", fields.losses), table)
