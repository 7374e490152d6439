r"""The keywords of JSON Schema, and the repair of schemas whose keywords the backend would refuse.

The backend checks each schema against the metaschema of JSON Schema 2020-12 with Python's ``jsonschema``, which also
compiles every pattern with Python's ``re``; it refuses a tuple, an array without ``items``, and look-around in a
pattern. One refused schema ends a session, because the client sends it again with every turn. So a keyword that would
be refused is rewritten if 2020-12 has another form for it; otherwise it is left out, and the description tells the
model what it said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import Factory, define, frozen

from codexd import jsontext
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.patterns import is_plain

MAX_DEPTH = 50
"""The most schemas inside each other. The backend's check runs out of stack at some 80."""

MAX_QUOTED_CHARS = 300
"""The most of a left out keyword that a description quotes."""

_Path: TypeAlias = tuple[Any, str | int] | None
"""The path of the schema around, and the last key: it costs nothing until it is shown."""


@frozen
class Change:
    """What the repair did at one place of a schema. ``path`` is below the schema's root, such as ``.properties.a``."""

    kind: LossKind
    path: str
    note: str


# -- the values of keywords -----------------------------------------------------------------------


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


_is_text, _is_flag, _is_list = _is(str), _is(bool), _is(list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and "#" not in value[:-1]


def _is_anchor(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z_][-A-Za-z0-9._]*", value) is not None


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_vocabulary(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_flag, value.values()))


VALUES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("$schema", "$ref", "$dynamicRef", "$recursiveRef", "$comment"), _is_text),
    **dict.fromkeys(("title", "description", "format", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("$anchor", "$dynamicAnchor", "$recursiveAnchor"), _is_anchor),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems"), _is_flag),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minContains", "maxContains", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("enum", "examples"), _is_list),
    "multipleOf": _is_positive,
    "$id": _is_id,
    "$vocabulary": _is_vocabulary,
}
"""The keywords with a plain value, and which values the metaschema allows. ``const`` and ``default`` take any value."""

SUBSCHEMAS = frozenset(("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"))
SUBSCHEMAS |= {"unevaluatedItems", "unevaluatedProperties", "contentSchema"}
"""The keywords that hold a schema."""

SUBSCHEMA_LISTS = frozenset(("anyOf", "oneOf", "allOf"))
SUBSCHEMA_MAPS = frozenset(("properties", "patternProperties", "$defs", "definitions"))
SUBSCHEMA_MAPS |= {"dependentSchemas", "dependencies"}

_OPEN = frozenset(("additionalProperties", "unevaluatedProperties", "unevaluatedItems"))
"""The keywords for which ``true`` and ``false`` stay as they are, because that is how everybody writes them."""
_LIMITS = dict.fromkeys(("additionalProperties", "unevaluatedProperties"), "patternProperties")
_LIMITS |= {"maxContains": "contains"}
"""The keywords that forbid more if another one says less."""
_MAY_BE_NULL = frozenset(("const", "default"))
"""Keywords for which null is a value. For any other, serializers write null if it is missing."""

TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))
_OTHER_TYPES: Mapping[str, str] = {
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "str": "string",
    "dict": "object",
    "list": "array",
    "none": "null",
    "any": "any",
}
"""Names from programming languages."""

_GONE = object()


def list_types(schema: Mapping[str, Any], default: str = "") -> list[Any]:
    kind = schema.get("type") or default
    return kind if isinstance(kind, list) else [kind]


def list_children(schema: Mapping[str, Any]) -> list[Any]:
    """The schemas directly in ``schema``."""
    found: list[Any] = []
    for key, value in schema.items():
        if key in SUBSCHEMAS:
            found.append(value)
        elif key in SUBSCHEMA_MAPS and isinstance(value, dict):
            found += value.values()
        elif key in SUBSCHEMA_LISTS and isinstance(value, list):
            found += value
    return found


def names_of(value: Any) -> list[str]:
    """The names in a list such as ``required``, each once."""
    return list(dict.fromkeys(name for name in value if isinstance(name, str))) if isinstance(value, list) else []


# -- the repair -----------------------------------------------------------------------------------


@define
class Repair:
    """Repairs one schema with everything in it, and keeps what it changed."""

    changes: list[Change] = Factory(list)

    def repair(self, schema: Any, path: _Path = None, depth: int = 0) -> dict[str, Any]:
        """``schema`` as the backend accepts it, below the root. Its meaning stays, or becomes more permissive."""
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, dict):
            self.note(LossKind.DROPPED, path, "left out: a schema must be an object, true or false")
            return {}
        if depth > MAX_DEPTH and schema:
            self.note(LossKind.APPROXIMATED, path, f"left out: nested more than {MAX_DEPTH} schemas deep")
            return {}
        return _Node(self, path, depth).repair(schema)

    def note(self, kind: LossKind, path: _Path, note: str) -> None:
        self.changes.append(Change(kind, _show(path), note))


def _show(path: _Path) -> str:
    keys: list[str] = []
    while path is not None:
        path, key = path
        keys.append(f"[{key}]" if isinstance(key, int) else f".{key[:100]}")
    return "".join(reversed(keys))


@define
class _Node:
    """One schema on its way. ``explanations`` are sentences that are added to its description."""

    whole: Repair
    path: _Path
    depth: int
    explanations: list[str] = Factory(list)
    weakened: set[str] = Factory(set)
    """The keywords whose schemas say less than before."""

    def repair(self, schema: dict[str, Any]) -> dict[str, Any]:
        given = self._merge_tuple(self._modernize(schema))
        repaired: dict[str, Any] = {}
        for key, value in given.items():
            if (kept := self._keep(key, value)) is not _GONE:
                repaired[key] = kept
        self._drop_weakened(repaired, given)
        self._allow_null(repaired)
        types = list_types(repaired)
        if "object" in types and "properties" not in repaired and schema.get("properties", {}) is None:
            repaired["properties"] = {}
        if "array" in types and "items" not in repaired:
            repaired["items"] = {}
        if self.explanations:
            repaired["description"] = "\n".join(filter(None, [repaired.get("description"), *self.explanations]))
        return repaired

    def _allow_null(self, repaired: dict[str, Any]) -> None:
        """Replace OpenAPI's ``nullable`` by a type."""
        if "nullable" not in repaired:
            return
        self._note(LossKind.COSMETIC, "nullable", "sent as the type null, or left out where any type is allowed")
        types = list_types(repaired)
        if repaired.pop("nullable") is True and "type" in repaired and "null" not in types:
            repaired["type"] = [*types, "null"]

    def _keep(self, key: str, value: Any) -> Any:
        """The value of ``key`` as the backend accepts it, or ``_GONE``."""
        if value is None and key not in _MAY_BE_NULL:
            return _GONE
        if key in VALUES:
            return value if VALUES[key](value) else self._drop(key, value)
        if key in SUBSCHEMAS:
            return self._keep_schema(key, value)
        if key in SUBSCHEMA_MAPS:
            return self._keep_map(key, value)
        if key in SUBSCHEMA_LISTS:
            return self._keep_list(key, value)
        match key:
            case "type":
                return self._keep_type(value)
            case "pattern":
                return self._keep_pattern(value)
            case "required":
                return self._keep_required(value)
            case "dependentRequired":
                return self._keep_dependent(value)
            case "prefixItems":  # a tuple has been merged by now
                return self._drop(key, value)
        return value

    def _keep_schema(self, key: str, value: Any) -> Any:
        if isinstance(value, bool) and key in _OPEN:
            return value
        if not isinstance(value, dict | bool):
            return self._drop(key, value)
        return self._below(key, value, (self.path, key))

    def _keep_list(self, key: str, value: Any) -> Any:
        if not isinstance(value, list) or not value:
            return self._drop(key, value)
        at = (self.path, key)
        return [self._below(key, child, (at, index)) for index, child in enumerate(value)]

    def _keep_map(self, key: str, value: Any) -> Any:
        if not isinstance(value, dict):
            return self._drop(key, value)
        at = (self.path, key)
        kept: dict[str, Any] = {}
        for name, child in value.items():
            if key == "patternProperties" and not is_plain(name):
                sentence = f"A property whose name matches {quote(name)} must match {quote(child)}"
                self._explain((at, name), sentence)
                self.weakened.add(key)
            elif key == "dependencies" and isinstance(child, list):
                kept[name] = names_of(child)
            else:
                kept[name] = self._below(key, child, (at, name))
        return kept

    def _below(self, key: str, schema: Any, path: _Path) -> dict[str, Any]:
        before = len(self.whole.changes)
        repaired = self.whole.repair(schema, path, self.depth + 1)
        if any(change.kind is not LossKind.COSMETIC for change in self.whole.changes[before:]):
            self.weakened.add(key)
        return repaired

    def _keep_type(self, value: Any) -> Any:
        names = value if isinstance(value, list) else [value]
        known = [find_type(name) for name in names]
        if "any" in known:
            self._note(LossKind.COSMETIC, "type", "left out: without a type, any value is allowed")
            return _GONE
        if not known or None in known:
            return self._drop("type", value)
        if known != names:
            self._note(LossKind.COSMETIC, "type", "sent under its name in JSON Schema")
        return list(dict.fromkeys(known)) if isinstance(value, list) else known[0]

    def _keep_pattern(self, value: Any) -> Any:
        if not isinstance(value, str):
            return self._drop("pattern", value)
        if is_plain(value):
            return value
        self._explain((self.path, "pattern"), f"Must match the regular expression {quote(value)}")
        return _GONE

    def _keep_required(self, value: Any) -> Any:
        if isinstance(value, bool):
            self._note(LossKind.COSMETIC, "required", "sent in the object's own list, as JSON Schema has it since 2013")
            return _GONE
        if not isinstance(value, list):
            return self._drop("required", value)
        names = names_of(value)
        if not _is_names(value):
            self._note(LossKind.DROPPED, "required", "left out: names that are not strings")
        return names

    def _keep_dependent(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return self._drop("dependentRequired", value)
        if not all(map(_is_names, value.values())):
            self._note(LossKind.DROPPED, "dependentRequired", "left out: names that are not strings")
        return {name: names_of(names) for name, names in value.items()}

    # -- older and other forms --------------------------------------------------------------------

    def _modernize(self, schema: dict[str, Any]) -> dict[str, Any]:
        """``schema`` with the forms that 2020-12 has for keywords of older drafts."""
        given = schema
        for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(schema.get(key), bool) and (not schema[key] or _is_number(schema.get(bound))):
                given = {name: value for name, value in given.items() if name != key}
                if schema[key]:
                    given[key] = given.pop(bound)
                self._note(LossKind.COSMETIC, key, "sent in the form of JSON Schema 2020-12")
        properties = schema.get("properties")
        children = properties.items() if isinstance(properties, dict) else ()
        required = [name for name, child in children if isinstance(child, dict) and child.get("required") is True]
        return {**given, "required": [*names_of(given.get("required")), *required]} if required else given

    def _merge_tuple(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Replace a tuple, which the backend rejects, by one schema for all items."""
        rest = schema.get("items")
        places: Any = schema.get("prefixItems", rest)
        if not isinstance(places, list):
            return schema
        if places is rest:
            rest = schema.get("additionalItems")
        note = "a tuple becomes a list of one schema, because the backend has no tuples"
        self._note(LossKind.APPROXIMATED, "prefixItems" if "prefixItems" in schema else "items", note)
        merged = {key: value for key, value in schema.items() if key not in ("prefixItems", "additionalItems")}
        if rest is False:
            merged.setdefault("maxItems", len(places))
        listed = [*places, rest] if isinstance(rest, dict) else places
        return {**merged, "items": {"anyOf": listed} if listed else {}}

    def _drop_weakened(self, repaired: dict[str, Any], given: Mapping[str, Any]) -> None:
        """Leave out the keywords that would forbid more now that a schema in them allows more."""
        if "not" in self.weakened:
            del repaired["not"]
            self._explain((self.path, "not"), f"Must not match {quote(given['not'])}")
        if "if" in self.weakened:
            for key in ("if", "then", "else"):
                repaired.pop(key, None)
            conditions = {key: given[key] for key in ("if", "then", "else") if key in given}
            self._explain((self.path, "if"), f"Must match {quote(conditions)}")
        if "oneOf" in self.weakened:
            alternatives = {"anyOf": repaired.pop("oneOf")}
            self._note(LossKind.APPROXIMATED, "oneOf", "sent as anyOf: its schemas may overlap now")
            if "anyOf" in repaired:
                repaired["allOf"] = [*repaired.get("allOf", []), alternatives]
            else:
                repaired.update(alternatives)
        for key, other in _LIMITS.items():
            if other in self.weakened and repaired.get(key, True) is not True:
                del repaired[key]
                self._note(LossKind.APPROXIMATED, key, f"left out: it would forbid what {other} allowed")

    # -- notes ------------------------------------------------------------------------------------

    def _drop(self, key: str, value: Any) -> Any:
        if key == "type" and names_of(value if isinstance(value, list) else [value]):
            self._explain((self.path, key), f"The type is {quote(value)}")
        else:
            self._note(LossKind.DROPPED, key, "left out: JSON Schema does not allow this value")
        return _GONE

    def _note(self, kind: LossKind, key: str, note: str) -> None:
        self.whole.note(kind, (self.path, key), note)

    def _explain(self, path: _Path, sentence: str) -> None:
        self.explanations.append(f"{sentence}.")
        self.whole.note(LossKind.APPROXIMATED, path, "the backend would refuse it; the description says what it means")


def find_type(name: Any) -> str | None:
    """The type as JSON Schema names it, ``any`` for all of them, or None."""
    if not isinstance(name, str):
        return None
    return name.lower() if name.lower() in TYPES else _OTHER_TYPES.get(name.lower())


def quote(value: Any) -> str:
    text = value if isinstance(value, str) else jsontext.dumps_text(value)
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…"
