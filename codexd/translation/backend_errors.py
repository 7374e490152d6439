"""What the Codex backend's errors mean, as HTTP answers and as events inside a stream.

The forms are described in codexd/upstream/README.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from codexd import errors, jsontext
from codexd.errors import UpstreamError
from codexd.translation.backend import object_of, objects_of, text_of
from codexd.translation.reading.tool_names import ToolNames

_SPENT: Mapping[str, str] = {
    "workspace_owner_credits_depleted": "Your workspace is out of credits",
    "workspace_member_credits_depleted": "Your workspace is out of credits for you",
    "workspace_owner_usage_limit_reached": "Your workspace has reached its spending limit",
    "workspace_member_usage_limit_reached": "You have reached the spending limit that your workspace sets for you",
    "organization_spend_limit_exceeded": "Your organization has reached its spending limit",
    "organization_usage_limit_exceeded": "Your organization has reached its usage limit",
}
"""What is used up, by the ``code`` or the header that names it; none of it has a window or a reset."""

_BY_CODE: Mapping[str, type[UpstreamError]] = {
    "context_length_exceeded": errors.ContextOverflow,
    "usage_limit_reached": errors.UsageLimitReached,
    **dict.fromkeys(_SPENT, errors.CreditsUsedUp),
    "rate_limit_exceeded": errors.RateLimited,
    "insufficient_quota": errors.PlanRefused,
    "usage_not_included": errors.PlanRefused,
    "deactivated_workspace": errors.PlanRefused,
    "invalid_workspace_selected": errors.WorkspaceRefused,
    "unsupported_country_region_territory": errors.CountryRefused,
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
}
"""By a ``code`` or ``type`` that says what is wrong, whatever the status."""

_BY_PHRASE: tuple[tuple[str, type[UpstreamError]], ...] = (
    ("exceeds the context window", errors.ContextOverflow),
    ("is not supported when using codex", errors.ModelRefused),
    ("requires a newer version of codex", errors.ModelRefused),
    ("model not found", errors.ModelRefused),
    ("invalid schema for", errors.SchemaRefused),
    ("invalid json schema", errors.SchemaRefused),
    ("selected model is at capacity", errors.Overloaded),
    ("not authorized in this region", errors.RegionRefused),
    ("country, region, or territory not supported", errors.CountryRefused),
)

_BY_STATUS: Mapping[int, type[UpstreamError]] = {
    401: errors.TokenRejected,
    402: errors.PlanRefused,
    403: errors.WorkspaceRefused,
    408: errors.UpstreamTimeout,
    413: errors.UpstreamTooLarge,
    429: errors.RateLimited,
    432: errors.RouteMissing,
    503: errors.Overloaded,
    504: errors.UpstreamTimeout,
    522: errors.UpstreamTimeout,
    524: errors.UpstreamTimeout,
    529: errors.Overloaded,
}

_IMAGE = r"\.image_url\b|^(?:invalid_)?image_|\bimage (?:data|inputs|exc)|(?:valid|unsupported|download(?:ing)?) image"
_FILE = r"\.file_(?:data|url)\b|^invalid_file|\bfile (?:data|inputs)|\bpdf\b"
_MEDIA = ((re.compile(_IMAGE, re.IGNORECASE), "image"), (re.compile(_FILE, re.IGNORECASE), "document"))
"""How the backend names what it refuses, in ``param``, ``code`` or the message."""

MEDIA_PARTS: Mapping[str, str] = {"input_image": "image", "input_file": "document"}
"""Type of a part -> what it shows."""

_PART = re.compile(r"input\[(\d{1,6})\]\.(content|output)\[(\d{1,6})\]")

_BY_GENERIC_TYPE: Mapping[str, type[UpstreamError]] = {
    "invalid_request_error": errors.UpstreamRejected,
    "authentication_error": errors.TokenRejected,
    "permission_error": errors.WorkspaceRefused,
    "rate_limit_error": errors.RateLimited,
    "overloaded_error": errors.Overloaded,
    "service_unavailable_error": errors.Overloaded,
    "server_error": errors.UpstreamFailed,
}
"""By a name that only says whose fault it is: it counts inside a stream, where there is no better status."""

_NO_CODES = {*_BY_GENERIC_TYPE, "error"}

SPENT_HEADER = "x-codex-rate-limit-reached-type"
"""Names what is reached: ``rate_limit_reached`` is an ordinary window of the plan, anything else credits or money."""

_OWN_MESSAGES: Mapping[type[UpstreamError], str] = {
    errors.RegionRefused: (
        "Your workspace allows Codex only in its own region. The login is fine, and a new one will not help."
    ),
    errors.CountryRefused: "OpenAI does not serve the country that this connection comes from. The login is fine.",
    errors.RouteMissing: "OpenAI could not route the requests of this workspace. The login is fine; try again later.",
}
"""What the user reads first, where the backend's message leads to the wrong remedy."""

_BLOCKED = (
    "Cloudflare blocked the request before it reached the backend (HTTP {status}). The login is fine. Wait a few "
    "minutes, or try without a VPN or on another network."
)

_NO_MESSAGE = "the backend answered HTTP {status} without a message"
_NO_REASONS = ("bad request", _NO_MESSAGE.format(status=400).lower())

_TRY_AGAIN = re.compile(r"try again in ((?:[\d.]+\s*[a-z]+[\s,]*(?:and\s+)?)+)", re.IGNORECASE)
_AMOUNT = re.compile(r"([\d.]+)\s*([a-z]+)")
_UNITS: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"ms", "msec", "msecs", "millisecond", "milliseconds"}), 0.001),
    (frozenset({"s", "sec", "secs", "second", "seconds"}), 1.0),
    (frozenset({"m", "min", "mins", "minute", "minutes"}), 60.0),
    (frozenset({"h", "hr", "hrs", "hour", "hours"}), 3600.0),
    (frozenset({"d", "day", "days"}), 86_400.0),
)
_SECONDS = {name: seconds for names, seconds in _UNITS for name in names}
_LATEST = 253_402_300_799.0
"""The last second of the year 9999: later moments can't be written as a date."""


def read_failure(event: Mapping[str, Any], now: float) -> UpstreamError:
    """The error in a ``response.failed`` or ``error`` event; ``now`` is in seconds since the epoch."""
    response = event.get("response")
    found = response.get("error") if isinstance(response, dict) else event.get("error")
    return _to_error(200, found if isinstance(found, dict) else event, {}, now)


def read_http_error(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """The error that an HTTP answer reports. Its message never quotes HTML."""
    if headers.get("cf-mitigated"):
        return errors.UpstreamBlocked(_BLOCKED.format(status=status), status=status)
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
    names = [name for key in ("code", "type") if isinstance(name := found.get(key), str)]
    code = next((name for name in names if name not in _NO_CODES), None)
    message = text_of(found.get("message"))
    if message.lstrip().startswith("<"):
        message = ""
    param = found.get("param") if isinstance(found.get("param"), str) else None
    kind = _classify(status, names, message)
    spent = headers.get(SPENT_HEADER, "")
    if issubclass(kind, errors.UsageLimitReached | errors.RateLimited) and is_spent(spent):
        kind, code = errors.CreditsUsedUp, spent
    text = message or code or _NO_MESSAGE.format(status=status)
    return kind(
        _to_message(kind, text, code),
        status=status,
        code=code,
        retry_after_s=read_retry_after(message, headers, now),
        resets_at=_read_reset(found, now),
        param=param,
        medium=_find_medium(param, code, message) if kind is errors.UpstreamRejected else None,
    )


def gives_no_reason(error: UpstreamError) -> bool:
    """Whether all that the backend said is the name of the status 400."""
    said = str(error).lower().rstrip(".")
    return error.status == 400 and error.code is None and said in _NO_REASONS


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


def find_largest_image(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """The largest embedded image of the request ``body`` and its size in bytes; empty and 0 if there is none."""
    lists = (parts for item in objects_of(body.get("input")) for parts in (item.get("content"), item.get("output")))
    parts = (part for found in lists for part in objects_of(found))
    urls = [(part, url) for part in parts if (url := text_of(part.get("image_url"))).startswith("data:")]
    largest, url = max(urls, key=lambda found: len(found[1]), default=({}, ""))
    return largest, len(url.partition(",")[2]) * 3 // 4


def _at(value: Any, index: str) -> Mapping[str, Any]:
    return object_of(value[int(index)]) if isinstance(value, list) and int(index) < len(value) else {}


def is_spent(reached: str) -> bool:
    """Whether a reached limit is one of credits or money, which has neither a window nor a reset."""
    return reached in _SPENT or "credit" in reached or "spend" in reached


def _to_message(kind: type[UpstreamError], message: str, code: str | None) -> str:
    """The message for the user; ``message`` is the backend's own."""
    if kind is errors.CreditsUsedUp:
        spent = _SPENT.get(code or "", "The credits or the spending limit of your workspace are used up")
        return f"{spent} ({code}). The backend does not say until when. Ask the owner of the workspace."
    return f'{_OWN_MESSAGES[kind]} The backend said: "{message}"' if kind in _OWN_MESSAGES else message


def _classify(status: int, names: list[str], message: str) -> type[UpstreamError]:
    """What says more comes first: a specific code or type in ``names``, the message, the status, a generic type."""
    by_code = next((_BY_CODE[name] for name in names if name in _BY_CODE), None)
    if by_code:
        return by_code
    lowered = message.lower()
    by_phrase = next((kind for phrase, kind in _BY_PHRASE if phrase in lowered), None)
    if by_phrase:
        return by_phrase
    by_type = next((_BY_GENERIC_TYPE[name] for name in names if name in _BY_GENERIC_TYPE), None)
    return by_type if by_type and status < 400 else _by_status(status)


def _by_status(status: int) -> type[UpstreamError]:
    rest = errors.UpstreamRejected if 400 <= status < 500 else errors.UpstreamFailed
    return _BY_STATUS.get(status, rest)


_SCHEMA_OWNER = re.compile(r"^Invalid schema for function '([^']+)': ")
_SCHEMA_PREFIX = re.compile(r"^Invalid (?:schema for [^:]+|JSON schema): ")
_NO_PATTERN = re.compile(r"^(?P<pattern>'.*'|\".*\") is not a 'regex'$", re.DOTALL)


def describe_schema(
    error: errors.SchemaRefused, body: Mapping[str, Any], tool_names: ToolNames
) -> errors.SchemaRefused:
    """``error`` in words that name the tool as the client does; ``body`` is the request that was refused."""
    message = str(error)
    owner = _SCHEMA_OWNER.match(message)
    name = owner[1] if owner else _find_tool(body, error.param or "")
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
    if status == 403 or (status == 404 and not body):
        return errors.UpstreamBlocked(_BLOCKED.format(status=status), status=status)
    kind = _by_status(status)
    text = f"the backend answered HTTP {status} without a readable error"
    return kind(
        f"{_OWN_MESSAGES[kind]} ({text})" if kind in _OWN_MESSAGES else text,
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
    return _read_duration(found[1].lower()) if found else None


def _read_duration(text: str) -> float | None:
    """Seconds in a text such as ``11.054s``, ``1m30s`` or ``2 minutes and 5 seconds``; None if it has no unit."""
    total_s: float | None = None
    for amount, unit in _AMOUNT.findall(text):
        number = _to_number(amount)
        if number is None or unit not in _SECONDS:
            break
        total_s = (total_s or 0.0) + number * _SECONDS[unit]
    return None if total_s is None else min(total_s, _LATEST)


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
