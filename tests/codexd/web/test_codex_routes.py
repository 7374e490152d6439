"""Limits as the Codex CLI reads them."""

import pytest

from codexd.accounts.limits.windows import Limits, Window, parse_usage
from codexd.api.accounts import CreditsInfo
from codexd.web.codex_routes import to_usage

NOW = 1_800_000_000.0
FIVE_HOURS = Window("5h", 41.6, 18000.0, NOW + 1200)
WEEK = Window("weekly", 12.0, 604800.0, NOW + 500_000)
SPARK = Window("spark 5h", 100.0, 18000.0, NOW + 60, "spark")


def test_the_shortest_window_is_the_first():
    limit = to_usage(Limits((WEEK, FIVE_HOURS)), "plus", NOW)["rate_limit"]
    assert limit["primary_window"] == {
        "used_percent": 42,
        "limit_window_seconds": 18000,
        "reset_after_seconds": 1200,
        "reset_at": int(NOW + 1200),
    }
    assert limit["secondary_window"]["limit_window_seconds"] == 604800


def test_a_metered_limit_stands_apart():
    usage = to_usage(Limits((FIVE_HOURS, SPARK)), "plus", NOW)
    assert usage["rate_limit"]["secondary_window"] is None
    (spark,) = usage["additional_rate_limits"]
    assert (spark["limit_name"], spark["rate_limit"]["limit_reached"]) == ("spark", True)
    assert usage["rate_limit"]["limit_reached"] is False


@pytest.mark.parametrize(("credit", "reached"), [(None, True), (CreditsInfo(True, False, "5.00"), False)])
def test_a_full_window_is_the_end_but_for_credits(credit, reached):
    full = Window("5h", 100.0, 18000.0, NOW + 1200)
    usage = to_usage(Limits((full,), credits=credit), None, NOW)
    assert (usage["rate_limit"]["limit_reached"], usage["rate_limit"]["allowed"]) == (reached, not reached)
    assert usage["plan_type"] == "unknown"


def test_nothing_known_is_said_as_nothing():
    usage = to_usage(Limits(), "plus", NOW)
    assert (usage["rate_limit"]["primary_window"], usage["credits"], usage["additional_rate_limits"]) == (
        None,
        None,
        [],
    )


def test_what_is_said_is_read_back_the_same():
    observation = parse_usage(to_usage(Limits((FIVE_HOURS, WEEK)), "pro", NOW), NOW)
    assert observation.plan == "pro"
    assert {window.name: round(window.used_percent) for window in observation.windows} == {"5h": 42, "weekly": 12}
