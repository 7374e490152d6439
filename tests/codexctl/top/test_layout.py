import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexctl.render.text import cell_width
from codexctl.top.layout import Column, draw_heading, draw_row, fill_line, fill_rows, fit, gap_at, has_room, spread

COLUMNS = (
    Column("NAME", 6, lambda row: ("bold", row[0]), max_width=20),
    Column("PLAN", 5, lambda row: ("", "plus"), from_width=30),
    Column("SIZE", 5, lambda row: ("dim", row[1]), right=True),
    Column("NOTE", 10, lambda row: ("", "a note"), from_width=40),
)
LINES = st.lists(st.tuples(st.just(""), st.text("ab日é")), max_size=4)


def width_of(line):
    return sum(cell_width(text) for _, text in line)


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (12, ["NAME", "SIZE"]),
        (29, ["NAME", "SIZE"]),
        (30, ["NAME", "PLAN", "SIZE"]),
        (40, ["NAME", "PLAN", "SIZE", "NOTE"]),
    ],
)
def test_a_narrow_table_leaves_columns_out(width, titles):
    fitted = fit(COLUMNS, width, 1)
    assert [column.title for column, _ in fitted] == titles
    assert sum(cells for _, cells in fitted) + len(fitted) - 1 <= width


def test_without_room_the_least_important_column_goes_first():
    wide = (*COLUMNS, Column("LONG", 30, lambda row: ("", ""), from_width=20))
    assert [column.title for column, _ in fit(wide, 44, 1)] == ["NAME", "SIZE", "LONG"]
    assert not has_room(wide, 44, 1)
    assert has_room(COLUMNS, 44, 1)


def test_rows_stand_below_their_headings():
    fitted = fit(COLUMNS, 20, 1)
    assert "".join(text for _, text in draw_heading(fitted, 1)) == "NAME            SIZE"
    assert draw_row(("日本\x1b", "12"), fitted, 1) == [("bold", "日本\\x1b      "), ("", " "), ("dim", "   12")]


@given(LINES, st.integers(0, 30))
def test_a_filled_line_has_its_width(line, width):
    assert width_of(fill_line(line, width)) == width


@given(LINES, LINES, st.integers(0, 30))
def test_two_ends_of_a_line_are_spread(left, right, width):
    line = spread(left, right, width)
    assert width_of(line) == width
    assert line[: len(left)] == left or width_of(left) + width_of(right) + 2 > width


def test_a_screen_has_its_rows():
    assert fill_rows([[("", "a")], [("", "b")]], 1) == [[("", "a")]]
    assert fill_rows([[("", "a")]], 3) == [[("", "a")], [("", "")], [("", "")]]
    assert [gap_at(columns) for columns in (80, 119, 120)] == [1, 1, 2]
