"""Tables: aligned columns below bold headings, cut if the terminal is too narrow; in a pipe, tab-separated. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codexctl.render.text import Style, cell_width, cut_distinct, pad

GAP = "  "
MIN_FIRST_CUT = 16
"""The cells that the column ``cut_first`` keeps."""

MIN_COLUMN = 4


class Cell(NamedTuple):
    """The lines of one cell of a table, all in one colour."""

    lines: Sequence[str]
    colour: str | None = None


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], style: Style, *, cut_first: int | None = None
) -> list[str]:
    """The lines of a table. In a pipe, each row is one line, and tabs separate its cells.

    On a terminal, columns are cut until a row fits: first the column with the index ``cut_first``, which has names,
    then always the widest one.
    """
    if style.width is not None:
        return aligned(headings, rows, style, cut_first=cut_first)
    cells = ([" ".join(" ".join(cell.lines).split()) for cell in row] for row in rows)
    return ["\t".join(row).rstrip("\t") for row in ([heading.strip() for heading in headings], *cells)]


def natural_width(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> int:
    """The cells that a row needs so that nothing is cut."""
    widths = _measure([[Cell([heading]) for heading in headings], *rows])
    return sum(widths) + len(GAP) * (len(widths) - 1)


def aligned(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], style: Style, *, cut_first: int | None = None
) -> list[str]:
    """The same, but with aligned columns in a pipe, too: for people, inside other text."""
    head = [Cell([heading], "bold") for heading in headings]
    body = list(rows)
    widths = _measure([head, *body])
    if style.width is not None:
        _fit(widths, style.width - len(GAP) * (len(widths) - 1), cut_first)
    if cut_first is not None:
        body = _cut_names(body, cut_first, widths[cut_first])
    return [line for row in (head, *body) for line in _draw_row(row, widths, style)]


def _measure(rows: Iterable[Sequence[Cell]]) -> list[int]:
    columns = zip(*rows, strict=True)
    return [max(cell_width(line) for cell in column for line in cell.lines or [""]) for column in columns]


def _fit(widths: list[int], room: int, cut_first: int | None) -> None:
    if cut_first is not None:
        spare = max(0, widths[cut_first] - MIN_FIRST_CUT)
        widths[cut_first] -= min(spare, max(0, sum(widths) - room))
    while sum(widths) > room and max(widths) > MIN_COLUMN:
        widths[widths.index(max(widths))] -= 1


def _cut_names(rows: Sequence[Sequence[Cell]], column: int, width: int) -> list[Sequence[Cell]]:
    """``rows`` with the first line of each cell of ``column`` cut so that those that differ still do."""
    names = cut_distinct([row[column].lines[0] for row in rows], width)
    return [
        [*row[:column], row[column]._replace(lines=[name, *row[column].lines[1:]]), *row[column + 1 :]]
        for row, name in zip(rows, names, strict=True)
    ]


def _draw_row(row: Sequence[Cell], widths: Sequence[int], style: Style) -> Iterable[str]:
    for number in range(max(len(cell.lines) for cell in row)):
        texts = []
        for cell, width in zip(row, widths, strict=True):
            padded = pad(cell.lines[number] if number < len(cell.lines) else "", width)
            text = padded.rstrip()
            texts.append(style.paint(text, cell.colour) + padded[len(text) :])
        yield GAP.join(texts).rstrip()
