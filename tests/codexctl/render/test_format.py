import pytest

from codexctl.render import format as render

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7800, "2 h 10 min"),
        (7200, "2 h"),
        (86400 + 60, "1 d"),
        (9 * 86400 + 3 * 3600, "9 d 3 h"),
    ],
)
def test_durations(seconds, text):
    assert render.duration(seconds) == text


def test_times_relative_to_now():
    assert render.until(NOW + 7800, NOW) == "in 2 h 10 min"
    assert render.until(NOW - 7800, NOW) == "2 h ago"
    assert render.ago(NOW - 200, NOW) == "3 min ago"
    assert render.ago(NOW + 1, NOW) == "now"


@pytest.mark.parametrize(("percent", "filled"), [(0, 0), (34, 3), (100, 8), (250, 8), (-3, 0)])
def test_quota_bars_have_one_width(percent, filled):
    bar = render.bar(percent)
    assert bar.count("█") == filled
    assert len(bar.split(" ")[0]) == 8
    assert len(bar) == 13


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (60, "1m"),
        (7800, "2h10m"),
        (7205, "2h"),
        (200_000, "2d7h"),
        (-5, "0s"),
        (86_400 * 30, "30d"),
    ],
)
def test_short_durations(seconds, text):
    assert render.short_duration(seconds) == text
