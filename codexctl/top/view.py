"""The screen of ``codexctl top``: a model in, lines of styled text out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from codexctl.render.base import STATE_COLOURS, Json, clock_time, duration, plain
from codexctl.render.logs import LEVEL_COLOURS
from codexctl.top import panes as top_panes
from codexctl.top.accounts import account_lines
from codexctl.top.model import Cancelling, Filtering, Help, Model, Switching, Why, account_names
from codexctl.top.requests import request_lines, short_id
from codexctl.top.text import Line, Size, cut_line, fixed, short, spread

LEAST_COLUMNS, LEAST_ROWS = 40, 10
TALL_ROWS = 30
"""From here on there is room for empty lines."""

LIST_KEYS = (
    ("enter", "why"),
    ("s", "switch"),
    ("c", "cancel"),
    ("/", "filter"),
    ("f", "running, failed"),
    ("?", "help"),
    ("q", "quit"),
)


def screen(model: Model, size: Size, now: float) -> list[Line]:
    """The whole screen: ``size.rows`` lines, each of ``size.columns`` cells."""
    if size.columns < LEAST_COLUMNS or size.rows < LEAST_ROWS:
        lines: list[Line] = [[("bold", f"Make it {LEAST_COLUMNS}x{LEAST_ROWS} at least.")]]
    else:
        head, foot = _header(model, size.columns, now), _footer(model)
        body = _body_of_past if model.gone else _body
        lines = [*fixed([head, *body(model, Size(size.columns, size.rows - 2), now)], size.rows - 1), foot]
    return [cut_line(line, size.columns) for line in fixed(lines, size.rows)]


def settle(model: Model, size: Size, now: float) -> None:
    """Let a text that is scrolled end at its last line, so that the way back begins there."""
    if isinstance(model.pane, Why):
        lines = len(top_panes.why_lines(model.pane, size.columns, now))
        model.pane = replace(model.pane, top=min(model.pane.top, max(0, lines - (size.rows - 2))))


def _body(model: Model, size: Size, now: float) -> list[Line]:
    match model.pane:
        case Help():
            return top_panes.help_lines(size.columns)
        case Why() as why:
            return top_panes.scrolled(top_panes.why_lines(why, size.columns, now), why.top, size.rows)
        case Switching() as menu:
            return top_panes.menu_lines(model, menu, size.columns, now)
    return _overview(model, size, now)


def _body_of_past(model: Model, size: Size, _now: float) -> list[Line]:
    """Why there is nothing new, and what there was when the daemon went away."""
    why = top_panes.prose(model.gone, size.columns)
    body = _body(model, Size(size.columns, size.rows - len(why)), model.gone_at)
    return [*why, *([("dim", text) for _, text in line] for line in body)]


def _overview(model: Model, size: Size, now: float) -> list[Line]:
    """The requests get what accounts, tasks and errors leave, of which each has a quarter at most."""
    share = max(1, (size.rows - 4) // 4)
    space: list[Line] = [[]] if size.rows >= TALL_ROWS else []
    above = [*space, *account_lines(model, size.columns, share + 1, now), *space]
    below = [*space, *_task_lines(model, share), *space, *_error_lines(model, share, now), *space]
    requests = request_lines(model, Size(size.columns, size.rows - len(above) - len(below)), now)
    return [*above, *requests, *below]


# -- the first line and the last -------------------------------------------------------------------


def _header(model: Model, columns: int, now: float) -> Line:
    if model.gone:
        return [("bold red", f"codexd has been away for {duration(now - model.gone_at)}. Waiting for it.")]
    if model.status is None:
        return [("bold", "codexd")]
    status = model.status
    simulated: Line = [("yellow", "  SIMULATED")] if status["simulated"] else []
    left: Line = [("bold", f"codexd {plain(status['version'])}"), *simulated]
    left.append(("", f"  {_addresses(status)}"))
    left.append(("", f"  up {short(now - status['started_at'])}"))
    running = model.running
    rate = sum(each.tokens_per_s(now) or 0 for each in running)
    right: Line = [("bold", f"{len(running)} running"), ("", f"  {rate:,.0f} tok/s")]
    return spread(left, right, columns)


def _addresses(status: Json) -> str:
    return plain(", ".join(each.removeprefix("http://") for each in status["addresses"]) or "listens on nothing")


def _footer(model: Model) -> Line:
    match model.pane:
        case Filtering():
            return [("bold", "Filter: "), ("", model.filter), ("reverse", " "), ("dim", "  enter keeps, esc undoes")]
        case Cancelling(request):
            return [("bold yellow", f"Cancel {request}?"), ("bold", "  y does, any other key does not")]
        case Why():
            return _hints(("up down", "scroll"), ("esc", "back"))
        case Switching():
            return _hints(("up down", "choose"), ("enter", "switch"), ("esc", "back"))
        case Help():
            return _hints(("any key", "goes back"))
        case _:
            return [("bold", plain(model.notice))] if model.notice else _hints(*LIST_KEYS)


def _hints(*keys: tuple[str, str]) -> Line:
    return [each for key, does in keys for each in (("bold", key), ("dim", f" {does}  "))]


# -- tasks and errors ---------------------------------------------------------------------------------


def _task_lines(model: Model, most: int) -> list[Line]:
    """The names of the tasks that run well, and below them a line for each that does not."""
    tasks = model.status["tasks"] if model.status else []
    if not tasks:
        return []
    restarted = [task for task in tasks if task["restarts"] or task["state"] != "running"]
    well = len(tasks) - len(restarted)
    names = ", ".join(plain(task["name"]) for task in tasks if task not in restarted)
    lines: list[Line] = [[("bold", "TASKS  "), ("green", f"{well} running"), ("dim", f"  {names}")]]
    restarted.sort(key=lambda task: (task["state"] == "running", -task["restarts"]))
    lines += map(_task_line, restarted)
    if len(lines) > most + 1:
        more = len(lines) - most
        lines = [*lines[:most], [("dim", f"  and {more} more: codexctl status")]]
    return lines


def _task_line(task: Json) -> Line:
    return [
        ("", f"  {plain(task['name'])}  "),
        (STATE_COLOURS.get(task["state"], "red"), task["state"]),
        ("yellow", f"  restarted {task['restarts']} times" if task["restarts"] != 1 else "  restarted once"),
        ("dim", f"  {plain(task['last_error'] or '')}"),
    ]


def _error_lines(model: Model, most: int, now: float) -> list[Line]:
    """The last warnings and errors, the newest at the bottom."""
    lines: list[Line] = [
        [("yellow", f"  Problem: {plain(text)}")] for text in (model.status["problems"] if model.status else ())
    ]
    names = account_names(model.accounts)
    lines += [_error_line(entry, names, now) for entry in list(model.entries)[-most:]]
    return [[("bold", "LAST ERRORS")], *lines[-most:]] if lines else [[("bold", "LAST ERRORS"), ("dim", "  none")]]


def _error_line(entry: Json, names: Mapping[str, str], now: float) -> Line:
    """What went wrong stands first: the line may be cut."""
    fields = entry["fields"]
    text = fields.get("error") or entry["message"]
    account = names.get(fields.get("account", ""), fields.get("account"))
    more = [str(each) for each in (fields.get("model"), account) if each]
    request = f"{short_id(entry['request'])}  " if entry["request"] else ""
    return [
        ("dim", f"  {clock_time(entry['at'], now)}  "),
        (LEVEL_COLOURS.get(entry["level"], ""), f"{request}{plain(str(text))}"),
        ("dim", plain(f"  ({', '.join(more)})") if more else ""),
    ]
