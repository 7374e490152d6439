"""Tool schemas: only structural faults are repaired, the meaning stays.

With ``strict: false`` the backend takes nearly all of JSON Schema below the root; what it refuses
is in the table of anthropic-translation.md 1.6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
_ROOT_NOISE = ("$schema", "$id", "$comment")


def to_parameters(schema: Any) -> dict[str, Any]:
    """``schema`` as the ``parameters`` of a function tool: an object with properties, legal all the way down."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return {"type": "object", "properties": {}}
    root = _repair(schema)
    for key in _ROOT_NOISE:
        root.pop(key, None)
    root = _merge_combinators(root)
    return {"type": "object", **root, "properties": root.get("properties", {})}


def is_strict(schema: Any) -> bool:
    """Whether ``strict: true`` would be accepted: every object closed, every property required."""
    if isinstance(schema, list):
        return all(is_strict(child) for child in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        closed = schema.get("additionalProperties") is False
        required = schema.get("required")
        if not closed or set(properties or {}) != set(required if isinstance(required, list) else ()):
            return False
    if "prefixItems" in schema:
        return False
    return all(is_strict(child) for child in schema.values())


def _repair(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        return {"not": {}} if schema is False else {}
    repaired = {key: _repair_keyword(key, value) for key, value in schema.items() if value is not None}
    kind = repaired.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds and "properties" not in repaired and schema.get("properties", {}) is None:
        repaired["properties"] = {}
    if "array" in kinds and "items" not in repaired:
        repaired["items"] = {}
    return repaired


def _repair_keyword(key: str, value: Any) -> Any:
    if key in _SUBSCHEMA_MAPS and isinstance(value, dict):
        return {name: _repair(child) for name, child in value.items()}
    if key in _SUBSCHEMA_LISTS and isinstance(value, list):
        return [_repair(child) for child in value]
    if key in _SUBSCHEMAS and isinstance(value, dict):
        return _repair(value)
    return value


def _merge_combinators(root: dict[str, Any]) -> dict[str, Any]:
    """The root without what may not stand there; alternatives become one object that allows each of them."""
    merged = {key: value for key, value in root.items() if key not in (*_COMBINATORS, "not", "enum")}
    for key in _COMBINATORS:
        branches = [branch for branch in root.get(key) or () if isinstance(branch, dict)]
        if branches:
            _merge_branches(merged, branches, set.union if key == "allOf" else set.intersection)
    return merged


def _merge_branches(merged: dict[str, Any], branches: list[dict[str, Any]], join: Callable[..., set[str]]) -> None:
    properties = dict(merged.get("properties") or {})
    for branch in branches:
        found = branch.get("properties")
        for name, child in (found if isinstance(found, Mapping) else {}).items():
            properties.setdefault(name, child)
    required = join(*(set(branch.get("required") or ()) for branch in branches))
    merged["properties"] = properties
    own = merged.get("required") or []
    every = [*own, *(name for name in properties if name in required and name not in own)]
    if every:
        merged["required"] = every
