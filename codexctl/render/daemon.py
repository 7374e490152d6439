"""What ``codexctl status``, ``logs`` and ``stop`` print; the shell shows log lines above its prompt. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from codexctl.render.format import ADD, STATE_COLOURS, Json, ago, clock_time, counted, milliseconds, simulated_mark
from codexctl.render.table import Cell, table
from codexctl.render.text import Style, plain

LEVEL_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}
_NEEDS_QUOTES = re.compile(r"[\s\"=]")


def status(result: Json, style: Style) -> list[str]:
    """``daemon.status``."""
    lines = [
        style.paint("codexd", "bold")
        + f" {result['version']} is running (pid {result['pid']}, started {ago(result['started_at'], style.now)})"
    ]
    if result["simulated"]:
        lines += style.prose("SIMULATED: the backend and the accounts are made up; nothing leaves this machine.")
    account = (
        f"{result['active_account']}{simulated_mark(result)}"
        if result["active_account"]
        else f"none; use `{ADD}` or `codexctl accounts switch`"
    )
    facts = (
        ("listening on", ", ".join(result["addresses"]) or "nothing"),
        ("account", account),
        ("streams", f"{result['streams_in_flight']} in flight"),
        ("settings", result["settings_path"]),
    )
    lines += [f"  {name:12}  {plain(text)}" for name, text in facts]
    if result["tasks"]:
        headings = ("TASK", "STATE", "RESTARTS", "LAST ERROR")
        lines += ["", *table(headings, (_task_row(task) for task in result["tasks"]), style)]
    for problem in result["problems"]:
        lines += ["", *style.prose(f"Problem: {problem}")]
    return lines


def _task_row(task: Json) -> list[Cell]:
    colour = STATE_COLOURS.get(task["state"], "red")
    texts = (task["name"], task["state"], str(task["restarts"]), plain(task["last_error"] or ""))
    return [Cell([text], colour if text == task["state"] else None) for text in texts]


def stopping(result: Json, style: Style) -> list[str]:
    """``daemon.stop``."""
    streams = result["streams_in_flight"]
    if not streams:
        return style.prose("codexd is stopping.")
    running = f"{counted(streams, 'running request')} {'has' if streams == 1 else 'have'}"
    return style.prose(f"codexd is stopping. {running} up to {result['drain_seconds']:g} s to finish.")


def log_entries(result: Json, style: Style) -> list[str]:
    """``logs.history``."""
    return [line for entry in result["entries"] for line in log_entry(entry, style)]


def log_entry(entry: Json, style: Style) -> list[str]:
    """One log entry: a line, and its traceback indented below."""
    fields = dict(entry["fields"])
    trace = str(fields.pop("traceback", "") or "")
    words = _request_words(entry["message"], fields) if _is_request(fields) else [plain(entry["message"])]
    words += [f"{plain(key)}={_field(key, value, style.now)}" for key, value in fields.items() if value is not None]
    at, level = clock_time(entry["at"], style.now), f"{entry['level'].upper():7}"
    head = f"{at} {level} "
    first, *others = style.wrap_line(head + " ".join([*([entry["request"]] if entry["request"] else []), *words]))
    painted = f"{style.paint(at, 'dim')} {style.paint(level, LEVEL_COLOURS.get(entry['level']))} "
    below = [line for text in trace.splitlines() for line in style.wrap_line(f"    {plain(text)}")]
    return [painted + first[len(head) :], *others, *below]


def _is_request(fields: Json) -> bool:
    return "status" in fields and "duration_ms" in fields


def _request_words(message: str, fields: dict[str, Any]) -> list[str]:
    """The words for an ended request, in reading order. Removes the fields that it uses from ``fields``."""
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
