"""How single values are written: durations, times, quota bars, counts, names. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from codexctl.render.text import plain

BAR_CELLS = 8
BARS_FROM_WIDTH = 72
NEARLY_USED_UP_PERCENT, USED_UP_PERCENT = 80, 100

STATE_COLOURS = {
    "ok": "green",
    "running": "green",
    "done": "green",
    "expiring": "yellow",
    "limited": "yellow",
    "cancelled": "yellow",
    "stopped": "dim",
    "disabled": "dim",
}
"""By the state of an account, a request or a task. Any other state is red."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

ADD = "codexctl accounts add"

Json = Mapping[str, Any]


def duration(seconds: float) -> str:
    """``2 h 10 min``: the largest unit, and the next one where it adds something."""
    return " ".join(f"{count} {unit}" for count, unit in _split(seconds)) or "0 s"


def short_duration(seconds: float) -> str:
    """``2h10m``: the same, in at most six cells."""
    return "".join(f"{count}{unit[0]}" for count, unit in _split(seconds)) or "0s"


def _split(seconds: float) -> list[tuple[int, str]]:
    rest = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return [(count, unit) for count, unit in parts[:2] if count]


def milliseconds(count: float) -> str:
    """``812 ms``, ``3.2 s`` or ``2 min 5 s``."""
    if round(count) < 1000:
        return f"{count:.0f} ms"
    return f"{count / 1000:.1f} s" if count < 100_000 else duration(count / 1000)


def until(at: float, now: float) -> str:
    return f"in {duration(at - now)}" if at > now else ago(at, now)


def ago(at: float, now: float) -> str:
    """``3 min ago``: one unit is enough for the past."""
    if now - at < 1:
        return "now"
    return " ".join(duration(now - at).split(" ")[:2]) + " ago"


def clock_time(at: float, now: float) -> str:
    """The local time of day, with the date if ``at`` is on another day than ``now``."""
    local, today = time.localtime(at), time.localtime(now)
    same_day = (local.tm_year, local.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", local)


def bar_cells(width: int | None, wanted: int = BAR_CELLS) -> int:
    """``wanted`` if the terminal has room for quota bars; a narrow one and a pipe get only the numbers."""
    return 0 if width is None or width < BARS_FROM_WIDTH else wanted


def bar(percent: float, cells: int = BAR_CELLS) -> str:
    """A quota bar with its percentage, always of the same width; only the percentage if ``cells`` is 0."""
    if cells == 0:
        return f"{percent:3.0f}%"
    filled = min(cells, max(0, round(percent / 100 * cells)))
    return f"{'█' * filled}{'░' * (cells - filled)} {percent:3.0f}%"


def bar_colour(used_percent: float) -> str:
    if used_percent >= USED_UP_PERCENT:
        return "red"
    return "yellow" if used_percent >= NEARLY_USED_UP_PERCENT else "green"


def counted(number: int, noun: str) -> str:
    """``1 token``, ``2 tokens``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_count(number: int) -> str:
    """``number`` in at most six cells."""
    return f"{number:,}" if number < 100_000 else f"{number / 1000:,.0f}k" if number < 10_000_000 else f"{number:.1e}"


def name_of(account: Json) -> str:
    return f"{plain(account['label'])}{simulated_mark(account)}"


def simulated_mark(holder: Json) -> str:
    return " (simulated)" if holder.get("simulated") else ""


def state_words(state: str) -> str:
    """``needs login`` for ``needs_login``."""
    return state.replace("_", " ")


def plan_windows(account: Json) -> list[Json]:
    """The rate-limit windows of the plan as a whole. ``codexctl quota`` also shows windows for single models."""
    return [window for window in account["quota"] if window["limit"] is None]
