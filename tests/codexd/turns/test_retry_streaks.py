"""Failures in a row, by session or account."""

from hypothesis import given
from hypothesis import strategies as st

from codexd import bounds
from codexd.turns.retry import Streak, Streaks


def test_failures_in_a_row_are_counted_until_a_success():
    streaks = Streaks(lasts_s=60.0)
    assert streaks.add("a", 100.0) == Streak(1, 100.0, 100.0)
    assert streaks.add("b", 101.0).count == 1
    assert streaks.add("a", 130.0) == Streak(2, 100.0, 130.0)
    streaks.end("a")
    assert streaks.add("a", 131.0) == Streak(1, 131.0, 131.0)


def test_a_pause_ends_a_streak():
    streaks = Streaks(lasts_s=60.0)
    streaks.add("a", 100.0)
    assert streaks.add("a", 160.0).count == 2
    assert streaks.add("a", 220.1).count == 1


@given(st.lists(st.tuples(st.integers(0, 3 * bounds.STREAKS), st.floats(0, 1e9)), max_size=50))
def test_the_count_is_at_least_one(failures):
    streaks = Streaks(lasts_s=60.0)
    assert all(streaks.add(str(key), now).count >= 1 for key, now in failures)


def test_the_memory_is_bounded():
    streaks = Streaks(lasts_s=60.0)
    for key in range(bounds.STREAKS + 1):
        streaks.add(str(key), 0.0)
    assert streaks.add("1", 1.0).count == 2
    assert streaks.add("0", 1.0).count == 1
