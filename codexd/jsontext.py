r"""JSON on the wire: orjson, and the standard library for texts that orjson refuses.

Node clients cut strings in the middle of an emoji and send the lone surrogate that is left (``"\\ud800"``); orjson
refuses it in both directions. The standard library reads such a text, and the surrogate becomes U+FFFD.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import orjson

from codexd import bounds

_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG_RUN = b"0" * 19
"""As many digits as the shortest number that may not fit into 64 bits."""
_BEFORE_A_NUMBER = b"[:, \t\r\n"


def loads(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply to read.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as refused:
        return _loads_scrubbed(data, refused)


def loads_shallow(data: bytes) -> Any:
    """Like ``loads``, for a text that will be passed on: orjson can't write one that is nested too deeply.

    Raises:
        ValueError: also for more than ``bounds.JSON_DEPTH`` levels.
    """
    return _check_depth(loads(data), data)


def loads_with_surrogates(data: bytes) -> tuple[Any, bool]:
    """Like ``loads_shallow``, but keeps lone surrogates, and says whether there may be some.

    A pair may have been cut between this text and the next one. ``scrub`` joins pairs, and replaces what stays alone.
    """
    try:
        return _check_depth(orjson.loads(data), data), False
    except orjson.JSONDecodeError as refused:
        return _check_depth(_loads_by_library(data, refused), data), True


def _check_depth(value: Any, data: bytes) -> Any:
    may_be_deep = data.count(b"{") + data.count(b"[") > bounds.JSON_DEPTH
    if may_be_deep and find_too_deep(value) is not None:
        raise ValueError(f"nested more than {bounds.JSON_DEPTH} levels deep")
    return value


def loads_exact(data: bytes) -> Any:
    """Like ``loads``, but keeps integers over 64 bits, which orjson reads as floats: a tool's arguments stay exact.

    It uses the standard library, which is five times slower, only if the text contains a long run of digits.
    """
    if not _may_hold_long_number(data):
        return loads(data)
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return loads(data)
    return scrub(value) if b"\\u" in data else value


def _may_hold_long_number(data: bytes) -> bool:
    """Whether there is a long run of digits where a number may start, unlike the digits in ids and base64."""
    digits_alike = data.translate(_DIGITS_ALIKE)
    at = digits_alike.find(_LONG_RUN)
    while at != -1:
        start = at - 1 if data[at - 1 : at] == b"-" else at
        if start == 0 or data[start - 1] in _BEFORE_A_NUMBER:
            return True
        at = digits_alike.find(_LONG_RUN, at + len(_LONG_RUN))
    return False


def dumps(value: Any) -> bytes:
    """``value`` as compact UTF-8 JSON, with its keys in their order."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer over 64 bits, which only the standard library writes
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def dumps_text(value: Any) -> str:
    """Like ``dumps``, but returns a string: for JSON inside JSON, such as a tool call's arguments."""
    return dumps(value).decode()


def find_too_deep(value: Any) -> str | None:
    """The path of an object or list below more than ``bounds.JSON_DEPTH`` levels, or None. Does not recurse."""
    level: list[tuple[Any, _Step | None]] = [(value, None)]
    for _ in range(bounds.JSON_DEPTH):
        level = [
            (child, (step, key))
            for node, step in level
            if isinstance(node, dict | list)
            for key, child in (node.items() if isinstance(node, dict) else enumerate(node))
            if isinstance(child, dict | list)
        ]
        if not level:
            return None
    return _show_path(level[0][1])


def has_more_values(value: Any, limit: int) -> bool:
    """Whether the objects and lists in ``value`` contain more than ``limit`` values. Counts no further than that."""
    count, left = 0, [value] if _is_container(value) else []
    while left and count <= limit:
        node = left.pop()
        count += len(node)
        if count <= limit:
            left += [child for child in (node.values() if isinstance(node, dict) else node) if _is_container(child)]
    return count > limit


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list)


_Step: TypeAlias = tuple[Any, str | int]
"""A key or an index, and the step before it: a path that costs nothing until it is shown."""


def _show_path(step: _Step | None) -> str:
    keys: list[str | int] = []
    while step is not None:
        step, key = step
        keys.append(key)
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in reversed(keys))
    return path.removeprefix(".")


def _loads_scrubbed(data: bytes | str, refused: ValueError) -> Any:
    try:
        return scrub(_loads_by_library(data, refused))
    except RecursionError:
        raise refused from None


def _loads_by_library(data: bytes | str, refused: ValueError) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise refused from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def scrub(value: Any) -> Any:
    """``value`` with its pairs of surrogates joined, and U+FFFD in place of those that stay alone."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [scrub(child) for child in value]
    if isinstance(value, dict):
        return {scrub(key): scrub(child) for key, child in value.items()}
    return value
