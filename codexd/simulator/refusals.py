"""How the backend says no: the three shapes of its error bodies, and shared checks of strings and JSON schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen


@frozen
class Refusal:
    """An HTTP error. ``body`` is a JSON value, or a string that goes out as HTML, or None for no body."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(factory=dict)


Problems = Iterator[Refusal]
"""What is wrong with a request, in the order of the checks. The client gets the first problem.

A check is not resumed after its first yield, so the code that follows can rely on what was checked before.
"""


def detail(text: str, *, status: int = 400) -> Refusal:
    """The gateway's own validation: ``{"detail": "..."}``."""
    return Refusal(status, {"detail": text})


def error(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> Refusal:
    """The model API's validation: ``{"error": {...}}``."""
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Refusal(status, {"error": body})


def html(status: int, title: str) -> Refusal:
    """The proxy in front of the backend, which answers in HTML."""
    page = f"<html><head><title>{status} {title}</title></head><body><center><h1>{status} {title}</h1></center>"
    return Refusal(status, f"{page}<hr><center>cloudflare</center></body></html>", {"server": "cloudflare"})


def missing(path: str) -> Refusal:
    return error(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def unknown(path: str) -> Refusal:
    return error(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def wrong_type(path: str, expected: str, value: Any) -> Refusal:
    message = f"Invalid type for '{path}': expected {expected}, but got {_name_type(value)} instead."
    return error(message, param=path, code="invalid_type")


def wrong_value(path: str, value: Any, allowed: Sequence[str]) -> Refusal:
    message = f"Invalid value: '{value}'. Supported values are: {quote_list(allowed)}."
    return error(message, param=path, code="invalid_value")


def empty_string(path: str) -> Refusal:
    message = (
        f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead."
    )
    return error(message, param=path, code="empty_string")


def too_long(path: str, value: str, maximum: int) -> Refusal:
    message = (
        f"Invalid '{path}': string too long. Expected a string with maximum length {maximum}, "
        f"but got a string with length {len(value)} instead."
    )
    return error(message, param=path, code="string_above_max_length")


def wrong_pattern(path: str, pattern: str) -> Refusal:
    message = (
        f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'."
    )
    return error(message, param=path, code="invalid_value")


def check_string(path: str, value: Any, *, maximum: int | None = None) -> Problems:
    """Check a required string, which must not be empty."""
    if value is None:
        yield missing(path)
    if not isinstance(value, str):
        yield wrong_type(path, "a string", value)
    if not value:
        yield empty_string(path)
    if maximum is not None and len(value) > maximum:
        yield too_long(path, value, maximum)


def quote_list(values: Sequence[str]) -> str:
    """Write a list as the API does: ``'low', 'medium', and 'high'``."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) <= 2:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _name_type(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


CONTEXT_OVERFLOW = "Your input exceeds the context window of this model. Please adjust your input and try again."


def refuse_overflow() -> Refusal:
    return error(CONTEXT_OVERFLOW, param="input", code="context_length_exceeded")


COMBINATORS = ("oneOf", "anyOf", "allOf", "enum", "not")

KEYWORD_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "type": (str, list),
    "properties": dict,
    "$defs": dict,
    "definitions": dict,
    "required": list,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
    "minItems": int,
    "minLength": int,
    "maxLength": int,
    "minimum": (int, float),
    "$ref": str,
}
"""The types that the value of each schema keyword may have."""


def find_schema_problem(schema: Any, *, strict: bool) -> str | None:
    """What the backend objects to in a schema, or None. The root must be a plain object with properties."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if any(combinator in schema for combinator in COMBINATORS):
        listed = "/".join(f"'{combinator}'" for combinator in COMBINATORS)
        return f"schema must have type 'object' and not have {listed} at the top level."
    if not isinstance(schema.get("properties"), dict):
        return "In context=(), object schema missing properties."
    return _find_node_problem(schema, (), strict=strict)


def _find_node_problem(node: Any, context: tuple[str, ...], *, strict: bool) -> str | None:
    """The first problem of a node or of one below it. ``context`` is the path as the API writes it."""
    if not isinstance(node, dict):
        return None
    where = f"In context={context!r}"
    malformed = _find_malformed_keyword(node)
    if malformed is not None:
        return f"{where}, {node[malformed]!r} is not valid for '{malformed}'."
    kinds = node["type"] if isinstance(node.get("type"), list) else [node.get("type")]
    if "array" in kinds and "items" not in node:
        return f"{where}, array schema missing items."
    if "prefixItems" in node:
        return f"{where}, 'prefixItems' is not permitted."
    if strict and "object" in kinds:
        problem = _find_strict_problem(node)
        if problem is not None:
            return f"{where}, {problem}"
    below = (_find_node_problem(child, (*context, *step), strict=strict) for step, child in _list_children(node))
    return next((problem for problem in below if problem is not None), None)


def _find_malformed_keyword(node: Mapping[str, Any]) -> str | None:
    for keyword, form in KEYWORD_TYPES.items():
        if keyword in node and not isinstance(node[keyword], form):
            return keyword
    names = node.get("required") or []
    return None if all(isinstance(name, str) for name in names) else "required"


def _find_strict_problem(node: Mapping[str, Any]) -> str | None:
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    optional = [name for name in node.get("properties") or {} if name not in (node.get("required") or ())]
    if optional:
        return (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{optional[0]}'."
        )
    return None


def _list_children(node: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The schemas below a node, each with the keys that lead to it."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for keyword in ("properties", "$defs", "definitions"):
        children = node.get(keyword)
        if isinstance(children, dict):
            found.extend(((keyword, name), child) for name, child in children.items())
    found.extend(((keyword,), node.get(keyword)) for keyword in ("items", "additionalProperties"))
    for keyword in ("anyOf", "oneOf", "allOf"):
        children = node.get(keyword)
        if isinstance(children, list):
            found.extend(((keyword, str(index)), child) for index, child in enumerate(children))
    return found
