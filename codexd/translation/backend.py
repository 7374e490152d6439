"""The Responses API as the Codex backend speaks it: events, usage, and what its errors mean.

The wire format is described in codexd/upstream/README.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import Any

from attrs import frozen

from codexd import errors, jsontext
from codexd.errors import StreamBroken, UpstreamError
from codexd.translation.reading.tool_names import ToolNames

TERMINAL = frozenset({"response.completed", "response.done", "response.incomplete", "response.failed", "error"})
"""A stream that ends without one of these events was cut off."""

SEALED_REASONING = "reasoning.encrypted_content"

COMPACTION_TRIGGER = "compaction_trigger"
"""The type of the last item of a request that asks for a summary of the conversation instead of an answer."""

LITE_HEADER = "x-openai-internal-codex-responses-lite"
"""Marks a body in the form of Responses Lite."""


@frozen
class Usage:
    """Tokens of one response. ``input_tokens`` includes the cached ones, and ``output_tokens`` the reasoning."""

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def make_body(model: str, instructions: str, items: list[dict[str, Any]], cache_key: str) -> dict[str, Any]:
    """The fields of every request: the backend stores nothing, always streams, and encrypts its reasoning."""
    return {
        "model": model,
        "instructions": instructions,
        "input": items,
        "store": False,
        "stream": True,
        "include": [SEALED_REASONING],
        "prompt_cache_key": cache_key,
    }


def asks_in_words(body: Mapping[str, Any]) -> bool:
    """Whether the model has got a user's words since it last spoke. After tool results alone it may say nothing."""
    since = takewhile(lambda item: item.get("role") != "assistant", reversed(body["input"]))
    return not any(text_of(item.get("type")).endswith("_output") for item in since)


def parse_event(data: bytes) -> dict[str, Any] | None:
    """The event in one frame's data; None for the ``[DONE]`` mark and for JSON that is not an event.

    The type of an event is printable, so it may go into the event line of a client's stream as it is.

    Raises:
        StreamBroken: not JSON, or nested too deeply.
    """
    if data == b"[DONE]":
        return None
    try:
        event = jsontext.loads_shallow(data)
    except ValueError as wrong:
        raise StreamBroken(f"the backend sent an event that is not JSON: {wrong}", status=200) from None
    kind = event.get("type") if isinstance(event, dict) else None
    return event if isinstance(kind, str) and kind.isprintable() else None


def read_end(event: Mapping[str, Any], now: float) -> Mapping[str, Any] | None:
    """The response in a terminal event; None for any other event.

    Raises:
        UpstreamError: the event reports a failure.
    """
    match event["type"]:
        case "response.completed" | "response.done":
            return object_of(event.get("response"))
        case "response.incomplete":
            return {**object_of(event.get("response")), "status": "incomplete"}
        case "response.failed" | "error":
            raise read_failure(event, now)
    return None


def read_usage(usage: Any) -> Usage | None:
    """The ``usage`` of a response object, or None if it has none. Any part of it may be missing."""
    if not isinstance(usage, dict):
        return None
    inputs = object_of(usage.get("input_tokens_details"))
    outputs = object_of(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=count_of(usage.get("input_tokens")),
        cached_tokens=count_of(inputs.get("cached_tokens")),
        cache_write_tokens=count_of(inputs.get("cache_write_tokens")),
        output_tokens=count_of(usage.get("output_tokens")),
        reasoning_tokens=count_of(outputs.get("reasoning_tokens")),
    )


# -- fields of an event, in which a value of the wrong type counts as missing ---------------------


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def object_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, each in its place; anything that is not an object becomes an empty object."""
    return [object_of(item) for item in value] if isinstance(value, list) else []


# -- errors ---------------------------------------------------------------------------------------

_BY_CODE: Mapping[str, type[UpstreamError]] = {
    "context_length_exceeded": errors.ContextOverflow,
    "usage_limit_reached": errors.UsageLimitReached,
    "rate_limit_exceeded": errors.RateLimited,
    "insufficient_quota": errors.PlanRefused,
    "usage_not_included": errors.PlanRefused,
    "deactivated_workspace": errors.PlanRefused,
    "invalid_workspace_selected": errors.WorkspaceRefused,
    "server_is_overloaded": errors.Overloaded,
    "slow_down": errors.Overloaded,
    "flex_unavailable": errors.Overloaded,
    "token_expired": errors.TokenRejected,
    "token_invalidated": errors.TokenRejected,
    "token_revoked": errors.TokenRejected,
    "model_not_found": errors.ModelRefused,
    "invalid_prompt": errors.PolicyRefused,
    "cyber_policy": errors.PolicyRefused,
    "bio_policy": errors.PolicyRefused,
    "misalignment_policy_violation": errors.PolicyRefused,
    "invalid_encrypted_content": errors.StaleReasoning,
    "invalid_function_parameters": errors.SchemaRefused,
    "invalid_json_schema": errors.SchemaRefused,
    "server_error": errors.UpstreamFailed,
}

_BY_PHRASE: tuple[tuple[str, type[UpstreamError]], ...] = (
    ("exceeds the context window", errors.ContextOverflow),
    ("is not supported when using codex", errors.ModelRefused),
    ("requires a newer version of codex", errors.ModelRefused),
    ("model not found", errors.ModelRefused),
    ("invalid schema for", errors.SchemaRefused),
    ("invalid json schema", errors.SchemaRefused),
    ("selected model is at capacity", errors.Overloaded),
)

_BY_STATUS: Mapping[int, type[UpstreamError]] = {
    401: errors.TokenRejected,
    402: errors.PlanRefused,
    403: errors.WorkspaceRefused,
    413: errors.UpstreamTooLarge,
    429: errors.RateLimited,
    503: errors.Overloaded,
    504: errors.UpstreamTimeout,
    529: errors.Overloaded,
}

_IMAGE = r"\.image_url\b|^(?:invalid_)?image_|\bimage (?:data|inputs|exc)|(?:valid|unsupported|download(?:ing)?) image"
_FILE = r"\.file_(?:data|url)\b|^invalid_file|\bfile (?:data|inputs)|\bpdf\b"
_MEDIA = ((re.compile(_IMAGE, re.IGNORECASE), "image"), (re.compile(_FILE, re.IGNORECASE), "document"))
"""How the backend names what it refuses, in ``param``, ``code`` or the message."""

MEDIA_PARTS: Mapping[str, str] = {"input_image": "image", "input_file": "document"}
"""Type of a part -> what it shows."""

_NO_REASONS = ("Bad Request", "the backend answered HTTP 400 without a message")
_SUSPECT_CHARS = 5_000_000
"""The backend refuses images of more than some megabytes without a reason."""

_TRY_AGAIN = re.compile(r"try again in ([\d.]+)\s*(ms|s|m)", re.IGNORECASE)
_PART = re.compile(r"input\[(\d{1,6})\]\.(content|output)\[(\d{1,6})\]")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LATEST = 253_402_300_799.0
"""The last second of the year 9999: later moments can't be written as a date."""


def read_failure(event: Mapping[str, Any], now: float) -> UpstreamError:
    """The error in a ``response.failed`` or ``error`` event; ``now`` is in seconds since the epoch."""
    response = event.get("response")
    found = response.get("error") if isinstance(response, dict) else event.get("error")
    return _to_error(200, found if isinstance(found, dict) else event, {}, now)


def read_http_error(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """The error that an HTTP answer reports. Its message never quotes HTML."""
    try:
        document = jsontext.loads(body)
    except ValueError:
        return _to_unreadable(status, headers, body, now)
    document = document if isinstance(document, dict) else {}
    found = document.get("error") or document.get("detail") or document
    if isinstance(found, str):
        found = {"message": found}
    return _to_error(status, found if isinstance(found, dict) else {}, headers, now)


def _to_error(status: int, found: Mapping[str, Any], headers: Mapping[str, str], now: float) -> UpstreamError:
    code = next((found[key] for key in ("code", "type") if isinstance(found.get(key), str)), None)
    message = found.get("message") if isinstance(found.get("message"), str) else None
    param = found.get("param") if isinstance(found.get("param"), str) else None
    kind = _classify(status, found, message or "")
    error = kind(
        message or code or f"the backend answered HTTP {status} without a message",
        status=status,
        code=code,
        retry_after_s=read_retry_after(message or "", headers, now),
        resets_at=_read_reset(found, now),
        param=param,
        medium=_find_medium(param, code, message) if kind is errors.UpstreamRejected else None,
    )
    if isinstance(error, errors.SchemaRefused):
        error.param = text_of(found.get("param"))
    return error


def _find_medium(*said: str | None) -> str | None:
    """``image`` or ``document``, by the first of the texts that names one."""
    return next((medium for text in said if text for pattern, medium in _MEDIA if pattern.search(text)), None)


def find_part(body: Mapping[str, Any], param: str | None) -> Mapping[str, Any]:
    """The part of the request ``body`` that an error names in ``param``; empty if it names none."""
    found = _PART.match(param or "")
    if found is None:
        return {}
    item = _at(body.get("input"), found[1])
    return _at(item.get(found[2]), found[3])


def find_suspect(body: Mapping[str, Any], error: UpstreamError) -> Mapping[str, Any]:
    """The largest image of the request ``body``, if the backend gave no reason; empty if none is that large."""
    if error.status != 400 or error.code or str(error) not in _NO_REASONS:
        return {}
    lists = (parts for item in objects_of(body.get("input")) for parts in (item.get("content"), item.get("output")))
    images = (part for parts in lists for part in objects_of(parts) if part.get("type") == "input_image")
    largest = max(images, key=lambda part: len(text_of(part.get("image_url"))), default={})
    return largest if len(text_of(largest.get("image_url"))) > _SUSPECT_CHARS else {}


def _at(value: Any, index: str) -> Mapping[str, Any]:
    return object_of(value[int(index)]) if isinstance(value, list) and int(index) < len(value) else {}


def _classify(status: int, found: Mapping[str, Any], message: str) -> type[UpstreamError]:
    for key in ("code", "type"):
        name = found.get(key)
        if isinstance(name, str) and name in _BY_CODE:
            return _BY_CODE[name]
    lowered = message.lower()
    by_phrase = next((kind for phrase, kind in _BY_PHRASE if phrase in lowered), None)
    if by_phrase:
        return by_phrase
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    bad_request = 400 <= status < 500 or found.get("type") == "invalid_request_error"
    return errors.UpstreamRejected if bad_request else errors.UpstreamFailed


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


def _to_unreadable(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    blocked = status == 403 or headers.get("cf-mitigated") or (status == 404 and not body)
    if blocked:
        return errors.UpstreamBlocked(
            f"Cloudflare blocked the request before it reached the backend (HTTP {status}); try again in a while",
            status=status,
        )
    kind = _BY_STATUS.get(status, errors.UpstreamFailed)
    return kind(
        f"the backend answered HTTP {status} without a readable error",
        status=status,
        retry_after_s=read_retry_after("", headers, now),
    )


def read_retry_after(message: str, headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds an answer's headers, or else its message, ask to wait; None if they don't."""
    header = headers.get("retry-after")
    if header:
        seconds = _to_number(header)
        if seconds is not None:
            return seconds
        try:
            return max(parsedate_to_datetime(header).timestamp() - now, 0.0)
        except ValueError:
            pass
    found = _TRY_AGAIN.search(message)
    seconds = _to_number(found[1]) if found else None
    return seconds * _SECONDS[found[2].lower()] if found and seconds is not None else None


def _read_reset(found: Mapping[str, Any], now: float) -> float | None:
    """``resets_at``, or else ``resets_in_seconds``, which drifts. ``accounts.limits`` reads the limit headers."""
    at, within = _to_number(found.get("resets_at")), _to_number(found.get("resets_in_seconds"))
    if at is not None or within is None:
        return at
    return min(now + within, _LATEST)


def _to_number(value: Any) -> float | None:
    """A number, or the text of one, as seconds from 0 to ``_LATEST``; None for anything else."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LATEST)
