"""What the backend refuses in ``tools``, ``tool_choice`` and JSON schemas. Pure.

Source: codex-backend.md, section 2.8; where it is silent, the public Responses API's rules and words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from codexd.simulator.checks_input import NAME_PATTERN
from codexd.simulator.refusals import (
    Problems,
    check_string,
    detail,
    error,
    missing,
    too_long,
    unknown,
    wrong_pattern,
    wrong_type,
    wrong_value,
)

MAX_NAME_CHARS = 64
TOOL_KEYS: Mapping[str, tuple[str, ...]] = {
    "function": ("name", "description", "strict", "parameters"),
    "custom": ("name", "description", "format"),
    "web_search": (
        "search_context_size",
        "filters",
        "user_location",
        "external_web_access",
        "indexed_web_access",
        "search_content_types",
    ),
    "image_generation": ("output_format", "size", "model", "background", "quality", "partial_images"),
    "namespace": ("name", "description", "tools"),
    "tool_search": ("execution", "description", "parameters"),
    "local_shell": (),
}
"""The tools that there are, and what each may hold besides ``type``."""

NAMED_TOOLS = ("function", "custom", "namespace")
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
"""What the value of a schema's keyword must be."""

CHOICES = ("none", "auto", "required")
CHOICE_TYPES = ("function", "custom", "web_search", "image_generation", "allowed_tools")


def check_tools(tools: Any) -> Problems:
    """What is wrong with a request's ``tools``."""
    if tools is None:
        return
    if not isinstance(tools, list):
        yield wrong_type("tools", "an array", tools)
    names: set[str] = set()
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        yield from _check_tool(tool, path)
        name = tool.get("name") if tool["type"] in NAMED_TOOLS else None
        if name in names:
            yield error(f"Duplicate tool name: '{name}'.", param=f"{path}.name", code="invalid_value")
        names |= {name} if name else set()


def _check_tool(tool: Any, path: str) -> Problems:
    if not isinstance(tool, dict):
        yield wrong_type(path, "an object", tool)
    kind = tool.get("type")
    if kind is None:
        yield missing(f"{path}.type")
    if kind not in tuple(TOOL_KEYS):
        yield detail(f"Unsupported tool type: {kind}")
    if kind in NAMED_TOOLS:
        yield from _check_name(tool.get("name"), f"{path}.name")
    for key in tool:
        if key not in ("type", *TOOL_KEYS[kind]):
            yield unknown(f"{path}.{key}")
    match kind:
        case "function":
            yield from _check_function(tool, path)
        case "image_generation":
            yield from _check_image_tool(tool, path)
        case "namespace":
            yield from _check_namespace(tool.get("tools"), f"{path}.tools")


def _check_namespace(tools: Any, path: str) -> Problems:
    if not isinstance(tools, list):
        yield wrong_type(path, "an array", tools)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            yield wrong_type(f"{path}[{index}]", "an object", tool)
        # Only here may a tool be marked as one that the client loads on demand.
        plain = {key: value for key, value in tool.items() if key != "defer_loading"}
        yield from _check_tool(plain, f"{path}[{index}]")


def _check_name(name: Any, path: str) -> Problems:
    yield from check_string(path, name)
    if not re.fullmatch(NAME_PATTERN, name):
        yield wrong_pattern(path, NAME_PATTERN)
    if len(name) > MAX_NAME_CHARS:
        yield too_long(path, name, MAX_NAME_CHARS)


def _check_function(tool: Mapping[str, Any], path: str) -> Problems:
    if "parameters" not in tool:
        yield missing(f"{path}.parameters")
    if not isinstance(tool.get("strict", False), bool | None):
        yield wrong_type(f"{path}.strict", "a boolean", tool["strict"])
    problem = find_schema_problem(tool["parameters"], strict=bool(tool.get("strict")))
    if problem is not None:
        message = f"Invalid schema for function '{tool['name']}': {problem}"
        yield error(message, param=f"{path}.parameters", code="invalid_function_parameters")


def _check_image_tool(tool: Mapping[str, Any], path: str) -> Problems:
    if tool.get("output_format") == "gif":
        yield wrong_value(f"{path}.output_format", "gif", ("png", "webp", "jpeg"))
    if tool.get("background") == "transparent":
        yield wrong_value(f"{path}.background", "transparent", ("opaque", "auto"))
    partial_images = tool.get("partial_images", 0)
    if not isinstance(partial_images, int):
        yield wrong_type(f"{path}.partial_images", "an integer", partial_images)
    if partial_images > 3:
        message = f"Invalid '{path}.partial_images': integer above maximum value. Expected a value <= 3."
        yield error(message, param=f"{path}.partial_images", code="integer_above_max_value")


def find_schema_problem(schema: Any, *, strict: bool) -> str | None:
    """What the backend says against a schema, or None: an object with properties, plain at its root."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if any(combinator in schema for combinator in COMBINATORS):
        listed = "/".join(f"'{combinator}'" for combinator in ("oneOf", "anyOf", "allOf", "enum", "not"))
        return f"schema must have type 'object' and not have {listed} at the top level."
    if not isinstance(schema.get("properties"), dict):
        return "In context=(), object schema missing properties."
    return _find_node_problem(schema, (), strict=strict)


def _find_node_problem(node: Any, context: tuple[str, ...], *, strict: bool) -> str | None:
    """The first problem of a node and those below it; ``context`` is the path as the API writes it."""
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
    """The schemas below a node, each with the steps that lead to it."""
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


def check_tool_choice(choice: Any, tools: Sequence[Mapping[str, Any]], items: Sequence[Any]) -> Problems:
    """What is wrong with a request's ``tool_choice``; tools may also come as items of the input."""
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in CHOICES:
            yield wrong_value("tool_choice", choice, CHOICES)
        if choice == "required" and not tools and not _has_additional_tools(items):
            message = "Tool choice 'required' must be specified with 'tools' parameter."
            yield error(message, param="tool_choice")
        return
    if not isinstance(choice, dict):
        yield wrong_type("tool_choice", "a string or an object", choice)
    kind = choice.get("type")
    if kind not in CHOICE_TYPES:
        yield wrong_value("tool_choice.type", kind, CHOICE_TYPES)
    if kind == "allowed_tools" and choice.get("mode") not in ("auto", "required"):
        yield wrong_value("tool_choice.mode", choice.get("mode"), ("auto", "required"))
    wanted = choice.get("tools") if kind == "allowed_tools" else [choice]
    if not isinstance(wanted, list) or not all(isinstance(tool, dict) for tool in wanted):
        yield wrong_type("tool_choice.tools", "an array of objects", wanted)
        return
    for tool in wanted:
        yield from _check_chosen(tool, tools)


def _check_chosen(wanted: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> Problems:
    kind = wanted.get("type")
    if kind in NAMED_TOOLS:
        yield from check_string("tool_choice.name", wanted.get("name"))
    offered = any(tool["type"] == kind and tool.get("name") == wanted.get("name") for tool in tools)
    if not offered:
        yield error(f"Tool choice '{wanted.get('name', kind)}' not found in 'tools' parameter.", param="tool_choice")


def _has_additional_tools(items: Sequence[Any]) -> bool:
    return any(isinstance(item, dict) and item.get("type") == "additional_tools" for item in items)
