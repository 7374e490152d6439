"""What ``codexctl logs`` prints, and the shell above its prompt. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from codexctl.render.base import Json, Style, clock_time, milliseconds, plain, wrap

LEVEL_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}
_NEEDS_QUOTES = re.compile(r"[\s\"=]")


def log_entries(result: Json, style: Style) -> list[str]:
    """``logs.history``."""
    return [line for entry in result["entries"] for line in log_entry(entry, style)]


def log_entry(entry: Json, style: Style) -> list[str]:
    """One log entry: a line, and a traceback indented below it."""
    fields = dict(entry["fields"])
    trace = str(fields.pop("traceback", "") or "")
    words = _request_words(entry["message"], fields) if _is_request(fields) else [plain(entry["message"])]
    words += [f"{plain(key)}={_field(key, value, style.now)}" for key, value in fields.items() if value is not None]
    at, level = clock_time(entry["at"], style.now), f"{entry['level'].upper():7}"
    head = f"{at} {level} "
    first, *others = wrap(head + " ".join([*([entry["request"]] if entry["request"] else []), *words]), style)
    painted = f"{style.paint(at, 'dim')} {style.paint(level, LEVEL_COLOURS.get(entry['level']))} "
    below = [line for text in trace.splitlines() for line in wrap(f"    {plain(text)}", style)]
    return [painted + first[len(head) :], *others, *below]


def _is_request(fields: Json) -> bool:
    return "status" in fields and "duration_ms" in fields


def _request_words(message: str, fields: dict[str, Any]) -> list[str]:
    """A finished request in reading order; takes what it says out of ``fields``."""
    route = [str(fields.pop(key)) for key in ("method", "path") if fields.get(key)]
    asked, used = fields.pop("model", None), fields.pop("model_used", None)
    model = f"{asked} -> {used}" if asked and used and asked != used else asked or used
    account = fields.pop("account", None)
    simulated = " (simulated)" if fields.pop("simulated", False) else ""
    ttft_ms, cached = fields.pop("ttft_ms", None), fields.pop("cached_tokens", None)
    sent, received = fields.pop("input_tokens", None), fields.pop("output_tokens", None)
    words = [
        " ".join(route) or message,
        str(fields.pop("status")),
        model,
        f"{account}{simulated}" if account else None,
        f"ttft {milliseconds(ttft_ms)}" if ttft_ms is not None else None,
        f"{sent:,} in" if sent is not None else None,
        f"({cached:,} cached)" if cached else None,
        f"{received:,} out" if received is not None else None,
        milliseconds(fields.pop("duration_ms") or 0),
    ]
    return [plain(word) for word in words if word]


def _field(name: str, value: Any, now: float) -> str:
    if name.endswith("_at") and isinstance(value, float):
        value = clock_time(value, now)
    if isinstance(value, str) and value and not _NEEDS_QUOTES.search(value):
        return plain(value)
    return plain(json.dumps(value, ensure_ascii=False))
