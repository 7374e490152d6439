"""JSON schemas of tools and answers, repaired so that the backend accepts them. Their meaning stays.

With ``strict: false`` the backend accepts nearly all of JSON Schema below the root, as ``keywords`` describes. The root
must be a plain object with properties and without alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import frozen

from codexd import bounds, jsontext
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.keywords import Change, Repair, find_type, list_children, list_types, names_of, quote
from codexd.translation.reading.losses import LossKind

_COMBINATORS = ("anyOf", "oneOf", "allOf")
_NOT_IN_STRICT = (
    "prefixItems",
    "allOf",
    "oneOf",
    "not",
    "if",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "default",
)
_SAYS_WHAT = frozenset(("type", "$ref", "anyOf", "enum", "const"))
"""In strict mode, each schema has one of these."""

STRICT_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")

_MERGED = frozenset(("type", "properties", "required", "title", "description", "additionalProperties"))
"""The keywords of a schema in ``allOf`` that are merged into the root, or say nothing more."""

_NOT_AT_ROOT = frozenset((*_COMBINATORS, "not", "enum"))
_ROOT_NOISE = ("$schema", "$id", "$comment")


def to_parameters(schema: Any, repair: Repair | None = None) -> dict[str, Any]:
    """``schema`` as the ``parameters`` of a function: an object with properties, acceptable at every level.

    ``repair`` keeps what is changed below the root; ``explain_root`` describes the root.
    """
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    repaired = (repair or Repair()).repair(schema)
    root = _follow(repaired, repaired)
    if not _allows_objects(root):
        return {"type": "object", "properties": {}}
    root = _merge_combinators({key: value for key, value in root.items() if key not in (*_ROOT_NOISE, "type")})
    return {"type": "object", **root, "properties": _properties_of(root)}


def is_object(schema: Any) -> bool:
    """Whether only objects match ``schema``: its root is one, or all its alternatives are."""
    if not isinstance(schema, dict):
        return False
    root = _follow(schema, schema)
    if "type" in root or "properties" in root:
        return _allows_objects(root)
    branches = (branch for key in _COMBINATORS for branch in _list(root.get(key)) if branch)
    followed = (_follow(branch, schema) for branch in branches if isinstance(branch, dict))
    return all(map(_allows_objects, followed)) and "enum" not in root


def explain_root(schema: Any) -> str:
    """What ``to_parameters`` removes from the root of ``schema``, as sentences for the tool's description; or empty."""
    if schema is None or schema is True:
        return ""
    root = _follow(schema, schema) if isinstance(schema, dict) else {}
    if not isinstance(schema, dict) or not _allows_objects(root):
        return f"The input must match this JSON Schema: {quote(schema)}."
    sentences = []
    for key in ("anyOf", "oneOf"):
        branches = [_follow(branch, schema) for branch in _list(root.get(key)) if isinstance(branch, dict)]
        names = [_required_of(branch) or list(_properties_of(branch)) for branch in branches]
        if len(branches) > 1 and any(names):
            choice = "; or ".join(", ".join(group) or "none of these" for group in names)
            number = "exactly one" if key == "oneOf" else "at least one"
            sentences.append(f"Give the properties of {number} of: {choice}.")
    unmerged = (branch for branch in _list(root.get("allOf")) if isinstance(branch, dict))
    unmerged = (branch for branch in unmerged if not _MERGED.issuperset(_follow(branch, schema)))
    sentences += [f"The input must match: {quote(branch)}." for branch in unmerged]
    if isinstance(root.get("enum"), list):
        sentences.append(f"The input must be one of: {jsontext.dumps_text(root['enum'])}.")
    if isinstance(root.get("not"), dict):
        sentences.append(f"The input must not match: {jsontext.dumps_text(root['not'])}.")
    return " ".join(sentences)


def is_strict(schema: Any) -> bool:
    """Whether the backend accepts ``strict: true``: every object closed, every property required, and much left out."""
    if not isinstance(schema, dict):
        return True
    if not _SAYS_WHAT.intersection(schema) or any(keyword in schema for keyword in _NOT_IN_STRICT):
        return False
    if "$ref" in schema and len(schema.keys() - {"$defs", "definitions"}) > 1:
        return False
    if schema.get("format", "date") not in STRICT_FORMATS:
        return False
    if "object" in list_types(schema) or "properties" in schema:
        closed = schema.get("additionalProperties") is False
        if not closed or set(_properties_of(schema)) != set(_required_of(schema)):
            return False
    return all(map(is_strict, list_children(schema)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _required_of(schema: Mapping[str, Any]) -> list[str]:
    return names_of(schema.get("required"))


def _allows_objects(schema: Mapping[str, Any]) -> bool:
    """Whether the type allows an object. A name that is not a type allows everything."""
    known = {find_type(name) for name in list_types(schema, default="object")}
    return not known.isdisjoint(("object", "any", None))


def _follow(schema: dict[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with its ``$ref`` replaced by the definition, because the root must be a plain object."""
    followed: set[str] = set()
    while isinstance(ref := schema.get("$ref"), str) and ref not in followed:
        followed.add(ref)
        target = _find_definition(ref, root)
        if target is None:
            return schema
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _find_definition(ref: str, root: Mapping[str, Any]) -> dict[str, Any] | None:
    for home in ("$defs", "definitions"):
        definitions, start = root.get(home), f"#/{home}/"
        target = definitions.get(ref.removeprefix(start)) if isinstance(definitions, dict) else None
        if ref.startswith(start) and isinstance(target, dict):
            return target
    return None


def _merge_combinators(root: dict[str, Any]) -> dict[str, Any]:
    """The root without keywords that are not allowed there. Alternatives become one object that allows each of them."""
    merged = {key: value for key, value in root.items() if key not in _NOT_AT_ROOT}
    for key in _COMBINATORS:
        branches = [_follow(branch, root) for branch in _list(root.get(key)) if isinstance(branch, dict)]
        if branches:
            _merge_branches(merged, branches, every=key == "allOf")
    return merged


def _merge_branches(merged: dict[str, Any], branches: list[dict[str, Any]], *, every: bool) -> None:
    """Add the properties of ``branches``. One with several schemas must match any of them, or all if ``every``."""
    own = _properties_of(merged)
    found: dict[str, dict[bytes, Any]] = {}
    for branch in branches:
        for name, child in _properties_of(branch).items():
            found.setdefault(name, {}).setdefault(jsontext.dumps(child), child)
    keyword = "allOf" if every else "anyOf"
    schemas = {name: list(different.values()) for name, different in found.items()}
    added = {name: listed[0] if len(listed) == 1 else {keyword: listed} for name, listed in schemas.items()}
    merged["properties"] = {**own, **added, **own}
    join = set.union if every else set.intersection
    shared = join(*(set(_required_of(branch)) for branch in branches))
    required = _required_of(merged)
    known = set(required)
    required += [name for name in merged["properties"] if name in shared and name not in known]
    if required:
        merged["required"] = required


# -- schemas of a request, with its losses --------------------------------------------------------


@frozen
class Fitted:
    """A schema as ``parameters``, what they can't express, as sentences for a description, and the losses by path.

    Requests share it, so nobody may change the parameters.
    """

    parameters: dict[str, Any]
    explanation: str
    changes: tuple[Change, ...]


def fit(schema: Any) -> Fitted:
    """``schema`` for the backend. Clients send the same tools with every turn, so what was fitted is remembered."""
    data = jsontext.dumps(schema)
    return fit_known(data) if len(data) <= bounds.SCHEMA_BYTES else _fit(schema)


@lru_cache(maxsize=bounds.SCHEMAS)
def fit_known(data: bytes) -> Fitted:
    return _fit(jsontext.loads_exact(data))


def _fit(schema: Any) -> Fitted:
    repair, explanation = Repair(), explain_root(schema)
    parameters = to_parameters(schema, repair)
    given = schema if isinstance(schema, dict) else {}
    changes = [
        Change(LossKind.COSMETIC, f".{key}", "says nothing about values") for key in _ROOT_NOISE if given.get(key)
    ]
    if explanation or any(given.get(key) is not None for key in _NOT_AT_ROOT):
        note = "the root becomes one object with all properties, because the backend accepts nothing else there"
        changes.insert(0, Change(LossKind.APPROXIMATED, "", note))
    return Fitted(parameters, explanation, (*changes, *repair.changes))


def find_schema_field(function: Fields) -> str:
    """The field of ``function`` that holds its schema: ``parameters``, or ``input_schema`` as in Anthropic's tools."""
    if function.get("input_schema") is None:
        return "parameters"
    if function.get("parameters") is None:
        return "input_schema"
    function.lose(LossKind.DROPPED, "input_schema", "left out: the function also has parameters")
    return "parameters"


def fit_parameters(tool: Fields, key: str) -> tuple[dict[str, Any], str]:
    """The ``parameters`` for the schema in the field ``key``, and what they can't express, for a description."""
    fitted = fit(tool.get(key))
    _record(tool, key, fitted)
    return fitted.parameters, fitted.explanation


def fit_answer_schema(wanted: Fields) -> dict[str, Any]:
    """The schema of the answer in the field ``schema``.

    Raises:
        RequestInvalid: the schema allows an answer that is not an object.
    """
    schema = wanted.get("schema")
    if schema is not None and not is_object(schema):
        raise wanted.wrong("schema", "must be an object at its root, because the backend writes no other JSON")
    fitted = fit(schema)
    _record(wanted, "schema", fitted)
    if not fitted.explanation:
        return fitted.parameters
    described = fitted.parameters.get("description")
    return {**fitted.parameters, "description": "\n".join(filter(None, [described, fitted.explanation]))}


def _record(owner: Fields, key: str, fitted: Fitted) -> None:
    at = owner.at(key)
    for change in fitted.changes:
        owner.losses.add(change.kind, f"{at}{change.path}", change.note)


def fit_strict(owner: Fields, schema: Mapping[str, Any], *, asked: bool = True) -> bool:
    """The value of ``strict`` for ``schema``, if the request has ``asked`` for it."""
    strict = asked and is_strict(schema)
    if asked and not strict:
        note = "sent as false, because the schema does not meet the backend's rules for strict mode"
        owner.lose(LossKind.APPROXIMATED, "strict", note)
    return strict
