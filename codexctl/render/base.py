"""What everything that is printed is made of: styles, tables, durations, bars, names. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

PROSE_WIDTH = 80
BAR_CELLS = 8
GAP = "  "
CUT_TO = 16
"""Columns that a text which is cut first keeps."""

SHORTEST = 4

NEARLY_USED_UP_PERCENT, USED_UP_PERCENT = 80, 100

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
STATE_COLOURS = {
    "ok": "green",
    "running": "green",
    "done": "green",
    "expiring": "yellow",
    "limited": "yellow",
    "disabled": "dim",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and what turns the direction of writing."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

ADD = "codexctl accounts add"

Json = Mapping[str, Any]


class Style(NamedTuple):
    """``now``: seconds since the epoch. ``width``: columns of the terminal; None in a pipe, where nothing is cut."""

    now: float
    width: int | None = None
    colour: bool = False

    def paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def narrower(self, columns: int) -> Style:
        """For what is to be indented by ``columns``."""
        return self if self.width is None else self._replace(width=self.width - columns)

    def prose(self, text: str, indent: str = "") -> list[str]:
        """``text`` wrapped for reading."""
        import textwrap  # noqa: PLC0415 - what needs no prose starts faster

        width = min(self.width or PROSE_WIDTH, PROSE_WIDTH)
        return textwrap.wrap(
            plain(text), max(width, 20), initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )


class Cell(NamedTuple):
    """Lines of one table cell, each with the colour of the whole."""

    lines: Sequence[str]
    colour: str | None = None


def plain(text: str) -> str:
    """``text`` on one line and without terminal control sequences: it may come from a client."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def duration(seconds: float) -> str:
    """``2 h 10 min``: the largest unit, and the next where it adds something."""
    rest = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"


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
    local, today = time.localtime(at), time.localtime(now)
    same_day = (local.tm_year, local.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", local)


def bar(percent: float, cells: int = BAR_CELLS) -> str:
    """A quota bar with its number, of constant width."""
    filled = min(cells, max(0, round(percent / 100 * cells)))
    return f"{'█' * filled}{'░' * (cells - filled)} {percent:3.0f}%"


def bar_colour(used_percent: float) -> str:
    if used_percent >= USED_UP_PERCENT:
        return "red"
    return "yellow" if used_percent >= NEARLY_USED_UP_PERCENT else "green"


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], style: Style, *, cut_first: int | None = None
) -> list[str]:
    """Aligned columns below bold headings.

    On a terminal columns are cut until a row fits: ``cut_first``, then whichever is the widest.
    """
    head = [Cell([heading], "bold") for heading in headings]
    body = list(rows)
    columns = list(zip(head, *body, strict=True))
    widths = [max(len(line) for cell in column for line in cell.lines or [""]) for column in columns]
    if style.width is not None:
        _fit(widths, style.width - len(GAP) * (len(widths) - 1), cut_first)
    return [line for row in (head, *body) for line in _table_row(row, widths, style)]


def _fit(widths: list[int], room: int, cut_first: int | None) -> None:
    if cut_first is not None:
        spare = max(0, widths[cut_first] - CUT_TO)
        widths[cut_first] -= min(spare, max(0, sum(widths) - room))
    while sum(widths) > room and max(widths) > SHORTEST:
        widths[widths.index(max(widths))] -= 1


def _table_row(row: Sequence[Cell], widths: Sequence[int], style: Style) -> Iterable[str]:
    for number in range(max(len(cell.lines) for cell in row)):
        texts = []
        for cell, width in zip(row, widths, strict=True):
            text = cell.lines[number] if number < len(cell.lines) else ""
            text = text if len(text) <= width else text[: width - 1] + "…"
            texts.append(style.paint(text, cell.colour) + " " * (width - len(text)))
        yield GAP.join(texts).rstrip()


def wrap(line: str, style: Style) -> list[str]:
    """``line``, between its words where the terminal is narrower."""
    if style.width is None or len(line) <= style.width:
        return [line]
    import textwrap  # noqa: PLC0415 - as above

    width = max(style.width, 40)
    return textwrap.wrap(line, width, subsequent_indent=" " * 8, break_on_hyphens=False, break_long_words=False)


def name_of(account: Json) -> str:
    return f"{plain(account['email'] or account['id'])}{simulated_mark(account)}"


def plan_windows(account: Json) -> list[Json]:
    """Those of the plan as a whole; those of one model are left to ``codexctl quota``."""
    return [window for window in account["quota"] if window["limit"] is None]


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def simulated_mark(holder: Json) -> str:
    return " (simulated)" if holder.get("simulated") else ""
