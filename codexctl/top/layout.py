"""Lines of styled text for a full screen, and tables of columns that fit its width. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from codexctl.render.text import Fragment, cell_width, cut_fragments, pad, plain

Line: TypeAlias = list[Fragment]
"""Its styles are names separated by spaces, such as ``bold red``."""

T = TypeVar("T")

MARK_CELLS = 2
"""The space before the columns of a table, for a row's mark."""

WIDE_COLUMNS = 120


@dataclass(frozen=True)
class Size:
    """Cells of the terminal."""

    columns: int
    rows: int


def fill_line(line: Line, width: int) -> Line:
    """``line`` in exactly ``width`` cells. The padding has the style of its last fragment."""
    fitted = cut_fragments(line, width)
    used = sum(cell_width(text) for _, text in fitted)
    return [*fitted, (line[-1][0] if line else "", " " * (width - used))]


def spread(left: Line, right: Line, width: int) -> Line:
    """``left`` and ``right`` at the two ends of a line; only ``left`` if both do not fit."""
    if not fits(left, right, width):
        return fill_line(left, width)
    return [*left, ("", " " * (width - _count_cells(left) - _count_cells(right))), *right]


def fits(left: Line, right: Line, width: int) -> bool:
    """Whether ``left`` and ``right`` fit a line, with some space between them."""
    return width - _count_cells(left) - _count_cells(right) > 1


def _count_cells(line: Line) -> int:
    return sum(cell_width(text) for _, text in line)


def fill_rows(lines: Sequence[Line], rows: int) -> list[Line]:
    """Exactly ``rows`` lines: the first of ``lines``, or all of them and empty lines below."""
    return [*lines[:rows], *([[("", "")]] * (rows - len(lines)))]


def gap_at(columns: int) -> int:
    """How many cells are between the columns of a table on a screen of ``columns`` cells."""
    return 2 if columns >= WIDE_COLUMNS else 1


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table with a ``T`` per row: ``width`` cells, up to ``max_width`` if there is room.

    It is left out if the table is narrower than ``from_width`` or has no room for it; the column with the greatest
    ``from_width`` is left out first.
    """

    title: str
    width: int
    cell: Callable[[T], Fragment]
    max_width: int = 0
    right: bool = False
    from_width: int = 0


FittedColumns: TypeAlias = Sequence[tuple[Column[T], int]]
"""Each column with its width in cells."""


def fit(columns: Iterable[Column[T]], width: int, gap: int) -> list[tuple[Column[T], int]]:
    """The columns that ``width`` cells have room for, and how wide each becomes."""
    shown = [column for column in columns if column.from_width <= width]
    while _min_width(shown, gap) > width and any(column.from_width for column in shown):
        shown.remove(max(shown, key=lambda column: column.from_width))
    widths = [column.width for column in shown]
    spare = width - _min_width(shown, gap)
    while spare > 0:
        growing = [number for number, column in enumerate(shown) if widths[number] < column.max_width]
        if not growing:
            break
        for number in growing[:spare]:
            widths[number] += 1
            spare -= 1
    return list(zip(shown, widths, strict=True))


def has_room(columns: Iterable[Column[T]], width: int, gap: int) -> bool:
    """Whether ``width`` cells have room for every column that may be in a table of that width."""
    return _min_width([column for column in columns if column.from_width <= width], gap) <= width


def _min_width(columns: Sequence[Column[T]], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def draw_heading(fitted: FittedColumns[T], gap: int) -> Line:
    return _join([("bold", pad(column.title, width, right=column.right)) for column, width in fitted], gap)


def draw_row(row: T, fitted: FittedColumns[T], gap: int) -> Line:
    cells: Line = []
    for column, width in fitted:
        style, text = column.cell(row)
        cells.append((style, pad(plain(text), width, right=column.right)))
    return _join(cells, gap)


def _join(cells: Line, gap: int) -> Line:
    return [fragment for cell in cells for fragment in (cell, ("", " " * gap))][:-1]
