"""The smallest value that a JSON schema accepts, for what the canned agent has to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEPEST = 20
_LONGEST = 100
"""Items or characters made for a minimum; a schema that wants more is not worth the memory."""


def make_example(schema: Mapping[str, Any]) -> Any:
    """A value with the required properties of ``schema`` and little else."""
    return _make(schema, schema, 0)


def _make(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _make(_resolve(schema["$ref"], root), root, depth + 1)
    for combination in ("anyOf", "oneOf", "allOf"):
        if schema.get(combination):
            return _make(schema[combination][0], root, depth + 1)
    return _make_of_type(schema, root, depth)


def _make_of_type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match next(iter(kind), None) if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties") or {}
            return {key: _make(properties.get(key), root, depth + 1) for key in schema.get("required") or ()}
        case "array":
            return [
                _make(schema.get("items"), root, depth + 1) for _ in range(min(schema.get("minItems", 0), _LONGEST))
            ]
        case "string":
            return "Simulated".ljust(min(schema.get("minLength", 0), _LONGEST), ".")[: schema.get("maxLength")]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


def _resolve(pointer: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for name in pointer.removeprefix("#").strip("/").split("/"):
        if name:
            node = node.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node
