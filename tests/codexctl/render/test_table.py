from functools import partial

import pytest

from codexctl.render.table import Cell, aligned, table
from codexctl.render.text import Style, cell_width

ROWS = [
    [Cell(["日本語のアカウント"], "bold"), Cell(["ok", "for 2 h"])],
    [Cell(["work@example.com"]), Cell(["limited"])],
]


def test_in_a_pipe_a_row_is_a_line_of_cells_between_tabs_and_nothing_is_cut():
    long = [Cell(["x" * 300]), Cell([""]), Cell(["   7"])]
    assert table(("NAME", "", "COUNT"), [long], Style(0.0)) == ["NAME\t\tCOUNT", f"{'x' * 300}\t\t7"]
    assert table(("NAME", "STATE"), ROWS, Style(0.0))[1] == "日本語のアカウント\tok for 2 h"


@pytest.mark.parametrize("layout", [partial(table, style=Style(0.0, 80)), partial(aligned, style=Style(0.0))])
def test_columns_line_up_with_wide_characters(layout):
    assert layout(("NAME", "STATE"), ROWS) == [
        "NAME                STATE",
        "日本語のアカウント  ok",
        "                    for 2 h",
        "work@example.com    limited",
    ]


@pytest.mark.parametrize("width", range(12, 40))
def test_a_table_fits_the_terminal(width):
    lines = table(("NAME", "STATE"), ROWS, Style(0.0, width), cut_first=0)
    assert max(map(cell_width, lines)) <= width


def test_the_first_to_be_cut_keeps_enough_to_be_read():
    lines = table(("NAME", "STATE"), ROWS, Style(0.0, 25), cut_first=0)
    assert lines[1] == "日本語のアカウ…   ok"
    assert lines[3] == "work@example.com  limited"


def test_only_the_text_is_coloured():
    assert table(("A", "B"), [[Cell(["x"], "red"), Cell(["y"])]], Style(0.0, 80, colour=True)) == [
        "\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m",
        "\x1b[31mx\x1b[0m  y",
    ]
