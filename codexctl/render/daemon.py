"""What ``codexctl status``, ``logs``, ``restart`` and ``stop`` print; the shell prints log entries, too. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from codexctl.render.format import STATE_COLOURS, Json, ago, clock_time, counted, milliseconds, simulated_mark, until
from codexctl.render.table import Cell, aligned
from codexctl.render.text import Style, plain
from codexd import __version__

LEVEL_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}
RECENT_S = 3600.0
"""A request that failed longer ago than this says nothing about now."""

_NEEDS_QUOTES = re.compile(r"[\s\"=]")


def full_status(result: Json, style: Style) -> list[str]:
    """``daemon.status`` with every task, and what is in use of each bound."""
    lines = status(result, style, verbose=True)
    bounds = result.get("bounds")  # an older daemon reports none
    return [*lines, "", *aligned(("IN USE", "NOW", "AT MOST"), map(_bound_row, bounds), style)] if bounds else lines


def _bound_row(bound: Json) -> list[Cell]:
    return [Cell([bound["name"]]), *(Cell([_amount(bound[each], bound["unit"])]) for each in ("used", "limit"))]


def status(result: Json, style: Style, *, verbose: bool = False) -> list[str]:
    """``daemon.status``: can a request be served, what is wrong, and what the daemon is doing."""
    colour = "green" if result["serving"]["possible"] else "red"
    lines = [style.paint(line, colour) for line in style.prose(serving(result, style.now))]
    lines += [line for text in _advice(result, style.now) for line in style.prose(text)]
    for problem in result["problems"]:
        if not _is_advised(problem, result["serving"]):
            lines += ["", *style.prose(f"Problem: {problem}")]
    lines += ["", *_describe_daemon(result, style)]
    tasks = [task for task in result["tasks"] if verbose or task["state"] != "running"]
    if verbose and "service" in result:  # a daemon that was not restarted after an upgrade may not have it
        lines.append(f"  {'started by':12}  {_describe_service(result['service'])}")
    if tasks:
        lines += ["", *aligned(("TASK", "STATE", "RESTARTS", "LAST ERROR"), map(_task_row, tasks), style)]
    return lines


def _amount(number: int, unit: str) -> str:
    return f"{number / 1_048_576:.1f} MB" if unit == "bytes" else f"{number:,}"


def serving(result: Json, now: float) -> str:
    """Can a request be served now, by which account, and if not, why and until when."""
    found = result["serving"]
    reason = found["reason"]
    if found["state"] == "kilo_only":
        return f"Only requests for the model kilo can be served: {reason}."
    if not found["possible"]:
        return f"No request can be served{_until(found['until'], now)}: {reason}."
    account = f"{found['account']}{simulated_mark(result)}"
    return f"Ready: requests go to {account}{_describe_state(found, now)}."


def _describe_state(found: Json, now: float) -> str:
    """What else there is to say of an account that serves requests."""
    if found["reason"]:
        return f", because {found['reason']}{_until(found['until'], now)}"
    if found["state"] == "expired":
        return "; its access token has expired, and the next request refreshes it"
    return ""


def _until(at: float | None, now: float) -> str:
    return f" until {clock_time(at, now)} ({until(at, now)})" if at else ""


def _advice(result: Json, now: float) -> Iterator[str]:
    """What to do, and what has gone wrong lately."""
    if result["serving"]["advice"]:
        yield result["serving"]["advice"]
    for each in result["limited_models"]:
        yield f"The model {each['model']} is limited{_until(each['until'], now)}."
    failure = result["last_failure"]
    if failure is not None and now - failure["at"] < RECENT_S:
        when = ago(failure["at"], now)
        yield f"A request failed {'just now' if when == 'now' else when}: `codexctl why` explains it."


def _is_advised(problem: str, found: Json) -> bool:
    """Whether the advice begins with the text of this problem, which begins with the name of the account."""
    _, _, text = problem.partition(": ")
    return bool(text and (found["advice"] or "").startswith(text))


def _describe_daemon(result: Json, style: Style) -> list[str]:
    lines = [
        style.paint("codexd", "bold")
        + f" {result['version']} is running (pid {result['pid']}, started {ago(result['started_at'], style.now)})"
    ]
    if result["version"] != __version__:
        lines += style.prose(
            f"This codexctl is {__version__}. Restart codexd to make both the same: `codexctl restart`"
        )
    if result["simulated"]:
        lines += style.prose("SIMULATED: the backend and the accounts are made up; nothing leaves this machine.")
    if result.get("faults") is not None:
        lines += style.prose(f"FAULTS: the simulated backend fails on purpose (--faults {plain(result['faults'])}).")
    active = result["active_account"]
    facts = (
        ("listening on", ", ".join(result["addresses"]) or "nothing"),
        ("account", f"{active}{simulated_mark(result)}" if active else "none is active"),
        ("streams", f"{result['streams_in_flight']} in flight"),
        ("settings", result["settings_path"]),
    )
    return lines + [f"  {name:12}  {plain(text)}" for name, text in facts]


def _describe_service(service: Json) -> str:
    """What runs the daemon, and whether a restart refuses connections."""
    by = " ".join(filter(None, (service["manager"], plain(service["unit"] or "")))) or "hand"
    return f"{by}; connections wait while it restarts" if service["activated"] else by


def _task_row(task: Json) -> list[Cell]:
    colour = STATE_COLOURS.get(task["state"], "red")
    texts = (task["name"], task["state"], str(task["restarts"]), plain(task["last_error"] or ""))
    return [Cell([text], colour if text == task["state"] else None) for text in texts]


def stopping(result: Json, style: Style) -> list[str]:
    """``daemon.stop``."""
    return style.prose(
        f"codexd is stopping. {_drain(result)}." if result["streams_in_flight"] else "codexd is stopping."
    )


def _drain(result: Json) -> str:
    streams = result["streams_in_flight"]
    running = f"{counted(streams, 'running request')} {'has' if streams == 1 else 'have'}"
    return f"{running} up to {result['drain_seconds']:g} s to finish"


def restarted(result: Json, style: Style) -> list[str]:
    """``daemon.restart``."""
    old, new = result["old"], result["new"]
    lines = [f"codexd {old['version']} (pid {old['pid']}) -> {new['version']} (pid {new['pid']})"]
    return lines + (style.prose(f"{_drain(result)} in the old process.") if result["streams_in_flight"] else [])


def stopped(result: Json, style: Style) -> list[str]:
    """After ``daemon.stop``. Whatever a service manager listens for starts the daemon again."""
    service = result.get("service") or {}  # a daemon that was not restarted after an upgrade may not have it
    if not service.get("activated"):
        return ["codexd has stopped."]
    unit, by = service["unit"], service["manager"]
    line = f"codexd has stopped. {by or 'Whoever listens for it'} starts it again with the next request."
    if by == "systemd" and unit:
        line += f" To prevent that: `systemctl --user stop {unit.removesuffix('.service')}.socket`"
    elif by == "launchd":
        line += f" To prevent that: `launchctl bootout gui/$(id -u)/{unit}`"
    return style.prose(line)


def log_entries(result: Json, style: Style, *, filters: Sequence[str] = ()) -> list[str]:
    """``logs.history``, asked for with these ``filters``. In a pipe, nothing is an empty output."""
    if not result["entries"] and style.width is not None:
        return style.prose(f"No log entries match {' '.join(filters)}." if filters else "No log entries to show.")
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
