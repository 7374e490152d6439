r"""JSON on the wire: orjson, with the standard library for the texts that orjson refuses.

Node clients cut strings inside an emoji and send the lone surrogate that is left
(``"\\ud800"``); orjson refuses it in both directions. Such a text is read by the
standard library, and the surrogate becomes U+FFFD.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

MAX_DEPTH = 200
"""Deepest nesting that codexd takes. orjson writes 254 levels, Python's recursion limit is 1000 frames."""


def loads(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply to read.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as refused:
        return _loads_with_surrogates(data, refused)


def dumps(value: Any) -> bytes:
    """``value`` as compact UTF-8 JSON, in the key order that it has."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer over 64 bits, which only the standard library writes
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def dumps_text(value: Any) -> str:
    """The same as ``dumps``, as a string: for JSON inside JSON, such as a call's arguments."""
    return dumps(value).decode()


def find_too_deep(value: Any) -> str | None:
    """The path of a node nested deeper than ``MAX_DEPTH``, or None. Walks without recursion."""
    stack: list[tuple[Any, str, int]] = [(value, "", 0)]
    while stack:
        node, path, depth = stack.pop()
        if depth > MAX_DEPTH:
            return path
        if isinstance(node, dict):
            stack.extend((child, f"{path}.{key}" if path else key, depth + 1) for key, child in node.items())
        elif isinstance(node, list):
            stack.extend((child, f"{path}[{index}]", depth + 1) for index, child in enumerate(node))
    return None


def _loads_with_surrogates(data: bytes | str, refused: ValueError) -> Any:
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
        return _scrub(value)
    except (ValueError, RecursionError):
        raise refused from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_scrub(child) for child in value]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(child) for key, child in value.items()}
    return value
