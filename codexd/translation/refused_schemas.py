"""A JSON schema that the backend refused although it was repaired: which tool it belongs to, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codexd import errors
from codexd.translation.backend import objects_of, text_of
from codexd.translation.reading.tool_names import ToolNames

_SCHEMA_OWNER = re.compile(r"^Invalid schema for function '([^']+)': ")
_SCHEMA_PREFIX = re.compile(r"^Invalid (?:schema for [^:]+|JSON schema): ")
_NO_PATTERN = re.compile(r"^(?P<pattern>'.*'|\".*\") is not a 'regex'$", re.DOTALL)


def describe_schema(
    error: errors.SchemaRefused, body: Mapping[str, Any], tool_names: ToolNames
) -> errors.SchemaRefused:
    """``error`` in words that name the tool as the client does; ``body`` is the request that was refused."""
    message = str(error)
    owner = _SCHEMA_OWNER.match(message)
    name = owner[1] if owner else _find_tool(body, error.param)
    is_tool = bool(name) or error.code == "invalid_function_parameters"
    about = f'the tool "{tool_names.restore(name)}"' if name else "a tool" if is_tool else "the answer"
    problem = _SCHEMA_PREFIX.sub("", message).removesuffix(".")
    pattern = _NO_PATTERN.match(problem)
    if pattern:
        problem = f"its pattern {pattern['pattern']} is not a regular expression that it can read"
    remedy = "Disable the tool, or the MCP server that it comes from" if is_tool else "Change the schema"
    said = f"The backend refused the JSON schema of {about}: {problem}. {remedy}, and send the request again."
    return errors.SchemaRefused(said, status=error.status, code=error.code)


def _find_tool(body: Mapping[str, Any], param: str) -> str:
    """The name of the innermost tool on the path ``param``, such as ``tools[3].parameters``; empty if it has none."""
    name, node = "", body
    for key, index in re.findall(r"(\w+)\[(\d+)\]", param):
        below = objects_of(node.get(key))
        node = below[int(index)] if int(index) < len(below) else {}
        name = text_of(node.get("name")) or name
    return name
