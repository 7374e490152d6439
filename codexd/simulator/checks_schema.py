"""What the backend refuses in the JSON schema of a tool or of an answer, in its own words. Pure.

It checks a schema against the metaschema of 2020-12 with Python's ``jsonschema``, whose words it quotes, and then
against rules of its own. In strict mode it holds the model to the schema, and has far more rules.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from codexd import jsontext

COMBINATORS = ("oneOf", "anyOf", "allOf", "enum", "not")
LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_LITERAL = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]")
"""An escape or a character class of a pattern."""

NOT_PERMITTED = (
    "allOf",
    "contains",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
"""The keywords that strict mode does not have."""

FORMATS = ("date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid")
"""The formats of strict mode."""

_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "contentSchema")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def find_schema_problem(schema: Any, *, name: str, strict: bool) -> str | None:
    """The backend's message about a schema, or None. The root must be a plain object with properties.

    ``name`` is the owner in the message, such as ``function 'read'``.
    """
    problem = _find_root_problem(schema) or _find_metaschema_problem(jsontext.dumps(schema))
    problem = problem or _find_node_problem(schema, (), strict=strict)
    if problem is not None:
        return f"Invalid schema for {name}: {problem}"
    where = next(_find_look_around(schema, "$"), None)
    return None if where is None else f"Invalid JSON schema: regex lookaround is not supported. Found at {where}."


def _find_root_problem(schema: Any) -> str | None:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if any(combinator in schema for combinator in COMBINATORS):
        listed = "/".join(f"'{combinator}'" for combinator in COMBINATORS)
        return f"schema must have type 'object' and not have {listed} at the top level."
    if not isinstance(schema.get("properties"), dict):
        return "In context=(), object schema missing properties."
    return None


@lru_cache(maxsize=256)
def _find_metaschema_problem(data: bytes) -> str | None:
    """What the metaschema does not allow. Clients send the same schemas with every turn."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - its import takes 0.2 s

    schema = jsontext.loads(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of patterns that a later version may read differently
            Draft202012Validator.check_schema(schema)
    except SchemaError as wrong:
        return f"{wrong.message}."
    except (OverflowError, RecursionError):
        return "schema is too complex."
    return None


def _find_node_problem(node: Any, context: tuple[str, ...], *, strict: bool) -> str | None:
    """The first problem of a node or of one below it. ``context`` is the path as the API writes it."""
    if not isinstance(node, dict):
        return None
    where = f"In context={context!r}"
    kinds = node["type"] if isinstance(node.get("type"), list) else [node.get("type")]
    if "array" in kinds and "items" not in node:
        return f"{where}, array schema missing items."
    if "prefixItems" in node:
        return f"{where}, 'prefixItems' is not permitted."
    problem = _find_strict_problem(node, kinds) if strict else None
    if problem is not None:
        return f"{where}, {problem}"
    below = (_find_node_problem(child, (*context, *step), strict=strict) for step, child in _list_children(node))
    return next((problem for problem in below if problem is not None), None)


def _find_strict_problem(node: Mapping[str, Any], kinds: list[Any]) -> str | None:
    forbidden = next((keyword for keyword in NOT_PERMITTED if keyword in node), None)
    if forbidden is not None:
        return f"'{forbidden}' is not permitted."
    if not any(keyword in node for keyword in ("type", "$ref", "anyOf", "enum", "const")):
        return "schema must have a 'type' key."
    beside = sorted(node.keys() - {"$ref", "$defs", "definitions"})
    if "$ref" in node and beside:
        return f"$ref cannot have keywords {set(beside)!r}."
    if node.get("format", "date") not in FORMATS:
        return f"'{node['format']}' is not a valid format."
    return _find_open_object(node) if "object" in kinds or "properties" in node else None


def _find_open_object(node: Mapping[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    optional = [name for name in node.get("properties") or {} if name not in (node.get("required") or ())]
    if optional:
        return (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{optional[0]}'."
        )
    return None


def _find_look_around(node: Any, path: str) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if _has_look_around(node.get("pattern", "")):
        yield f"{path}.pattern"
    yield from (
        f"{path}.patternProperties.{name}" for name in node.get("patternProperties", ()) if _has_look_around(name)
    )
    for step, child in _list_children(node):
        yield from _find_look_around(child, ".".join((path, *step)))


def _has_look_around(pattern: str) -> bool:
    return LOOK_AROUND.search(_LITERAL.sub("", pattern)) is not None


def _list_children(node: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The schemas below a node, each with the keys that lead to it."""
    found: list[tuple[tuple[str, ...], Any]] = [((keyword,), node.get(keyword)) for keyword in _ONE]
    for keyword in _NAMED:
        found.extend(((keyword, name), child) for name, child in (node.get(keyword) or {}).items())
    for keyword in _LISTED:
        found.extend(((keyword, str(index)), child) for index, child in enumerate(node.get(keyword) or ()))
    return found
