import pytest
from support.top_world import (
    NOW,
    account,
    busy,
    done,
    model,
    request,
    styles_of,
    text_of,
    tokens,
    window,
)

from codexctl.top.keys import press
from codexctl.top.model import Shown


def test_a_wide_screen_says_more():
    lines = text_of(busy(), 200, 50)
    assert lines[6].split() == [
        *("REQUEST", "STARTED", "STATE", "CLIENT", "ASKED", "FOR", "MODEL", "ACCOUNT", "TTFT", "TIME", "IN", "CACHED"),
        *("OUT", "TOK/S"),
    ]
    assert "claude-opus-5" in lines[7]
    assert lines[3].endswith("5h ███████░░░░░░░░░░░░░  34% in 2 h 10 min   weekly █████████████████░░░  85% in 2 d 7 h")


@pytest.mark.parametrize("columns", range(80, 221))
def test_no_column_of_a_table_is_cut_by_the_edge(columns):
    lines = text_of(busy(), columns, 50)
    tables = [line for line in lines if line.startswith(("  ACCOUNT", "* work@", "  REQUEST", "> 4f1c"))]
    assert len(tables) == 4
    assert not any("…" in line for line in tables)
    assert all("weekly" in line for line in tables if line.startswith("* "))
    assert all("TOK/S" in line for line in tables if line.startswith("  REQUEST"))


def test_the_active_account_is_shown_of_many():
    accounts = [account(f"{number}@example.com", active=number == 9) for number in range(12)]
    lines = text_of(model(accounts=accounts))
    assert lines[2].startswith("* 9@example.com")
    assert any("and 9 more" in line for line in lines)


def test_a_long_list_scrolls_with_the_choice():
    made = model(*(done(f"req_{number:08}", started_at=NOW - number) for number in range(60)))
    for key in ["down"] * 30:
        press(made, key)
    lines = text_of(made)
    place = next(number for number, line in enumerate(lines) if line.startswith("> "))
    assert lines[place].startswith("> 00000030")
    assert lines[place - 1].startswith("  00000029")
    assert lines[place + 1].startswith("  00000031")


def test_a_silent_answer_and_one_that_waits():
    made = model(request("req_a", tokens=tokens(10)), request("req_b", ttft_ms=None))
    lines = text_of(made, now=NOW + 65)
    assert any("silent 1m5s" in line for line in lines)
    assert any("waiting" in line and "1m25s" in line for line in lines)


def test_the_error_of_the_chosen_request_is_said():
    made = busy()
    press(made, "down")
    lines = text_of(made)
    assert "  the backend is overloaded" in lines
    assert styles_of(made, "the backend is overloaded") == {"red"}


def test_a_filter_is_named():
    made = busy()
    made.filter, made.shown = "gpt", Shown.FAILED
    assert "  Only failed requests with 'gpt': 1 of 3. Press Esc to see all." in text_of(made)
    made.filter = "no such"
    assert "  No request matches." in text_of(made)


def test_a_window_of_one_model_is_left_out():
    lines = text_of(model(accounts=[account(quota=[window("spark 5h", 99.0, None, "spark"), window("5h", 1.0, None)])]))
    assert "spark" not in lines[2]
    assert "5h" in lines[2]


def test_figures_that_are_old_are_dim():
    assert styles_of(model(accounts=[account(quota_stale=True)]), "34%") == {"dim"}
