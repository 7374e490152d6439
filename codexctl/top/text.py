"""Text of known width for a full screen: fragments of style and text, lines of them, columns. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from codexctl.render.base import plain

Fragment: TypeAlias = tuple[str, str]
"""Names of styles with spaces between, such as ``bold red``, and a text."""

Line: TypeAlias = list[Fragment]

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))

T = TypeVar("T")

MARK = 2
"""Cells before the columns of a table, for the mark of a row."""

WIDE = 120


@dataclass(frozen=True)
class Size:
    """Cells of the terminal."""

    columns: int
    rows: int


def width_of(text: str) -> int:
    """Cells that ``text`` takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """``text``, with a mark at its end where it is too wide."""
    if width_of(text) <= width:
        return text
    kept, room = "", width - 1
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        kept += character
    return kept + "…" if width > 0 else ""


def fill(text: str, width: int, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells."""
    text = cut(text, width)
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def cut_line(line: Line, width: int) -> Line:
    """``line`` in exactly ``width`` cells; the space behind it has the style of its end."""
    fitted: Line = []
    for style, text in line:
        shown = cut(text, width)
        fitted.append((style, shown))
        width -= width_of(shown)
    return [*fitted, (line[-1][0] if line else "", " " * width)]


def spread(left: Line, right: Line, width: int) -> Line:
    """``left`` and ``right`` at the two ends of a line; where both do not fit, ``left``."""
    space = width - sum(width_of(text) for _, text in (*left, *right))
    return [*left, ("", " " * space), *right] if space > 1 else cut_line(left, width)


def short(seconds: float) -> str:
    """``2h10m``: a duration of at most six cells."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2]) or "0s"


def count(number: int) -> str:
    """A number of at most six cells."""
    return f"{number:,}" if number < 100_000 else f"{number / 1000:,.0f}k" if number < 10_000_000 else f"{number:.1e}"


def fixed(lines: Sequence[Line], number: int) -> list[Line]:
    """``number`` lines: the first, or with empty ones below."""
    return [*lines[:number], *([[("", "")]] * (number - len(lines)))]


def gap_at(columns: int) -> int:
    """Cells between the columns of a table."""
    return 2 if columns >= WIDE else 1


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table of ``T``: ``width`` cells, up to ``most`` where there is room.

    It is left out of a table narrower than ``from_width``, and of one that has no room for it: the column with the
    greatest ``from_width`` goes first.
    """

    title: str
    width: int
    cell: Callable[[T], Fragment]
    most: int = 0
    right: bool = False
    from_width: int = 0


def fit(columns: Iterable[Column[T]], width: int, gap: int) -> list[tuple[Column[T], int]]:
    """The columns that ``width`` has room for, and how wide each becomes."""
    shown = [column for column in columns if column.from_width <= width]
    while _least_width(shown, gap) > width and any(column.from_width for column in shown):
        shown.remove(max(shown, key=lambda column: column.from_width))
    widths = [column.width for column in shown]
    spare = width - _least_width(shown, gap)
    while spare > 0:
        growing = [number for number, column in enumerate(shown) if widths[number] < column.most]
        if not growing:
            break
        for number in growing[:spare]:
            widths[number] += 1
            spare -= 1
    return list(zip(shown, widths, strict=True))


def has_room(columns: Iterable[Column[T]], width: int, gap: int) -> bool:
    """Whether none has to go for want of room, but for those that ``width`` is too narrow for by their own."""
    return _least_width([column for column in columns if column.from_width <= width], gap) <= width


def _least_width(columns: Sequence[Column[T]], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def heading(fitted: Sequence[tuple[Column[T], int]], gap: int) -> Line:
    return _join([("bold", fill(column.title, width, right=column.right)) for column, width in fitted], gap)


def row(of: T, fitted: Sequence[tuple[Column[T], int]], gap: int) -> Line:
    cells: Line = []
    for column, width in fitted:
        style, text = column.cell(of)
        cells.append((style, fill(plain(text), width, right=column.right)))
    return _join(cells, gap)


def _join(cells: Line, gap: int) -> Line:
    return [fragment for cell in cells for fragment in (cell, ("", " " * gap))][:-1]
