import pytest

from codexd.translation.moments import say_until, seconds_until

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("left_s", "seconds", "words"),
    [
        (3600, 3600, "in 1 h 0 min (2026-11-18 12:06 UTC)"),
        (59.2, 60, "in 1 min (2026-11-18 11:07 UTC)"),
        (200_000, 200_000, "in 2 d 7 h (2026-11-20 18:40 UTC)"),
        (-50, 1, "in 1 min (2026-11-18 11:05 UTC)"),
    ],
)
def test_a_moment_is_said_both_ways(left_s, seconds, words):
    assert say_until(NOW + left_s, NOW) == words
    assert seconds_until(NOW + left_s, NOW) == seconds
