"""How the backend says no: the three shapes of its error bodies, and shared checks of strings."""

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
