"""JSON schemas of tools and answers, repaired so that the backend accepts them. Their meaning stays.

With ``strict: false`` the backend accepts nearly all of JSON Schema below the root. It rejects a root that is not a
plain object, a keyword whose value has the wrong type, a tuple, and an array without ``items``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd import jsontext
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind

_COMBINATORS = ("anyOf", "oneOf", "allOf")
_SUBSCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SUBSCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SUBSCHEMAS = (
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_FORMS: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "properties": dict,
    "$defs": dict,
    "definitions": dict,
    "required": list,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
    "prefixItems": list,
    "minItems": int,
    "maxItems": int,
    "minLength": int,
    "maxLength": int,
    "minimum": (int, float),
    "maximum": (int, float),
    "$ref": str,
}
"""The type of each keyword. A keyword of another type is left out, because the backend would reject the schema."""

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
)
_MAY_BE_NULL = ("const", "default")
"""Keywords for which null is a value. For any other, serializers write null if it is missing."""
_ROOT_NOISE = ("$schema", "$id", "$comment")


def to_parameters(schema: Any) -> dict[str, Any]:
    """``schema`` as the ``parameters`` of a function: an object with properties, acceptable at every level."""
    if not isinstance(schema, dict) or "object" not in _list_types(schema, default="object"):
        return {"type": "object", "properties": {}}
    root = _repair(schema)
    for key in (*_ROOT_NOISE, "type"):
        root.pop(key, None)
    root = _merge_combinators(_follow(root, root))
    return {"type": "object", **root, "properties": _properties_of(root)}


def has_tuple(schema: Any) -> bool:
    """Whether ``schema`` contains a tuple, which ``to_parameters`` turns into a list of one schema."""
    if isinstance(schema, list):
        return any(has_tuple(child) for child in schema)
    if not isinstance(schema, dict):
        return False
    return isinstance(schema.get("prefixItems"), list) or any(has_tuple(child) for child in schema.values())


def is_object(schema: Any) -> bool:
    """Whether only objects match ``schema``: its root is one, or all its alternatives are."""
    if not isinstance(schema, dict):
        return False
    root = _follow(schema, schema)
    if "type" in root or "properties" in root:
        return "object" in _list_types(root, default="object")
    branches = [_follow(branch, schema) for key in _COMBINATORS for branch in _list(root.get(key)) if branch]
    typed = [branch for branch in branches if isinstance(branch, dict)]
    return all("object" in _list_types(branch, default="object") for branch in typed) and "enum" not in root


def explain_root(schema: Any) -> str:
    """What ``to_parameters`` removes from the root of ``schema``, as sentences for the tool's description; or empty."""
    if not isinstance(schema, dict):
        return ""
    sentences = []
    for key in ("anyOf", "oneOf"):
        branches = [_follow(branch, schema) for branch in _list(schema.get(key)) if isinstance(branch, dict)]
        names = [_required_of(branch) or list(_properties_of(branch)) for branch in branches]
        if len(branches) > 1 and any(names):
            choice = "; or ".join(", ".join(group) or "none of these" for group in names)
            number = "exactly one" if key == "oneOf" else "at least one"
            sentences.append(f"Give the properties of {number} of: {choice}.")
    if isinstance(schema.get("enum"), list):
        sentences.append(f"The input must be one of: {jsontext.dumps_text(schema['enum'])}.")
    if isinstance(schema.get("not"), dict):
        sentences.append(f"The input must not match: {jsontext.dumps_text(schema['not'])}.")
    return " ".join(sentences)


def is_strict(schema: Any) -> bool:
    """Whether ``strict: true`` would be accepted: every object closed, every property required."""
    if isinstance(schema, list):
        return all(is_strict(child) for child in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        closed = schema.get("additionalProperties") is False
        if not closed or set(_properties_of(schema)) != set(_required_of(schema)):
            return False
    if any(keyword in schema for keyword in _NOT_IN_STRICT):
        return False
    return all(is_strict(child) for child in schema.values())


def _repair(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return {"not": {}} if schema is False else {}
    kept = {key: value for key, value in schema.items() if _is_well_formed(key, value)}
    if isinstance(kept.get("required"), list):
        kept["required"] = _required_of(kept)
    kept = _merge_tuple(kept)
    repaired = {key: _repair_keyword(key, value) for key, value in kept.items()}
    if repaired.pop("nullable", False) is True and isinstance(repaired.get("type"), str):
        repaired["type"] = [repaired["type"], "null"]  # OpenAPI's way to allow null
    types = _list_types(repaired)
    if "object" in types and "properties" not in repaired and schema.get("properties", {}) is None:
        repaired["properties"] = {}
    if "array" in types and "items" not in repaired:
        repaired["items"] = {}
    return repaired


def _is_well_formed(key: str, value: Any) -> bool:
    if value is None:
        return key in _MAY_BE_NULL
    return isinstance(value, _FORMS.get(key, object))


def _merge_tuple(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace a tuple, which the backend rejects, by one schema for all items."""
    rest = schema.get("items")
    places = schema.get("prefixItems", rest)
    if not isinstance(places, list):
        return schema
    merged = {key: value for key, value in schema.items() if key != "prefixItems"}
    if rest is False:
        merged.setdefault("maxItems", len(places))
    listed = [*places, rest] if isinstance(rest, dict) else places
    return {**merged, "items": {"anyOf": listed} if listed else {}}


def _list_types(schema: Mapping[str, Any], default: str = "") -> list[Any]:
    kind = schema.get("type") or default
    return kind if isinstance(kind, list) else [kind]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _required_of(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _repair_keyword(key: str, value: Any) -> Any:
    if key in _SUBSCHEMA_MAPS and isinstance(value, dict):
        return {name: _repair(child) for name, child in value.items()}
    if key in _SUBSCHEMA_LISTS and isinstance(value, list):
        return [_repair(child) for child in value]
    if key in _SUBSCHEMAS and isinstance(value, dict | bool) and key != "additionalProperties":
        return _repair(value)
    if key == "additionalProperties" and isinstance(value, dict):
        return _repair(value)
    return value


def _follow(schema: dict[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with its ``$ref`` replaced by the definition, because the root must be a plain object."""
    ref = schema.get("$ref")
    for home in ("$defs", "definitions"):
        definitions, start = root.get(home), f"#/{home}/"
        if isinstance(ref, str) and ref.startswith(start) and isinstance(definitions, dict):
            target = definitions.get(ref.removeprefix(start))
            if isinstance(target, dict):
                return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _merge_combinators(root: dict[str, Any]) -> dict[str, Any]:
    """The root without keywords that are not allowed there. Alternatives become one object that allows each of them."""
    merged = {key: value for key, value in root.items() if key not in (*_COMBINATORS, "not", "enum")}
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


def explain_schema(tool: Fields, key: str) -> str:
    """What the schema in the field ``key`` loses at its root, as sentences for the tool's description; or empty."""
    schema = tool.get(key)
    if has_tuple(schema):
        tool.lose(LossKind.APPROXIMATED, key, "a tuple becomes a list of one schema, because the backend has no tuples")
    root = explain_root(schema)
    if root:
        note = "alternatives at the root become one object, and the description says which"
        tool.lose(LossKind.APPROXIMATED, key, note)
    return root


def fit_answer_schema(wanted: Fields) -> dict[str, Any]:
    """The schema of the answer in the field ``schema``.

    Raises:
        RequestInvalid: the schema allows an answer that is not an object.
    """
    schema = wanted.get("schema")
    if schema is not None and not is_object(schema):
        raise wanted.wrong("schema", "must be an object at its root, because the backend writes no other JSON")
    if explain_root(schema):
        note = "alternatives at the root become one object with all their properties"
        wanted.lose(LossKind.APPROXIMATED, "schema", note)
    return to_parameters(schema)


def fit_strict(owner: Fields, schema: dict[str, Any], *, asked: bool) -> bool:
    """The value of ``strict`` for ``schema``, if the request has ``asked`` for it."""
    strict = asked and is_strict(schema)
    if asked and not strict:
        note = "sent as false, because the schema does not meet the backend's rules for strict mode"
        owner.lose(LossKind.APPROXIMATED, "strict", note)
    return strict
