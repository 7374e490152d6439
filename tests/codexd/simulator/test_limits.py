"""Counters, and everything that shows them."""

from __future__ import annotations

from codexd.simulator.limits import (
    FIVE_HOURS_S,
    WEEK_S,
    PlanLimits,
    find_used_up,
    make_event,
    make_headers,
    make_usage_document,
    refuse_used_up,
)
from codexd.simulator.options import Options

NOW = 1_795_000_000.0


def make_limits() -> PlanLimits:
    return PlanLimits(Options(primary_budget_tokens=1_000, secondary_budget_tokens=10_000))


def test_tokens_fill_both_windows_and_all_views_agree() -> None:
    limits = make_limits()
    limits.read("a", "plus", NOW)
    limits.spend("a", "plus", 425, NOW + 100)
    windows = limits.read("a", "plus", NOW + 100)
    headers = make_headers(windows, "plus", NOW + 100)
    assert headers["x-codex-primary-used-percent"] == "42.5"
    assert headers["x-codex-primary-window-minutes"] == "300"
    assert headers["x-codex-primary-reset-after-seconds"] == str(FIVE_HOURS_S - 100)
    assert headers["x-codex-secondary-used-percent"] == "4.25"
    reset_at = int(NOW) + FIVE_HOURS_S
    assert headers["x-codex-primary-reset-at"] == str(reset_at)
    event = make_event(windows, "plus")
    assert event["rate_limits"]["primary"] == {"used_percent": 42.5, "window_minutes": 300, "reset_at": reset_at}
    usage = make_usage_document(windows, "plus", NOW + 100)["rate_limit"]
    assert usage["primary_window"] == {
        "used_percent": 42,
        "limit_window_seconds": FIVE_HOURS_S,
        "reset_after_seconds": FIVE_HOURS_S - 100,
        "reset_at": reset_at,
    }
    assert usage["allowed"] is True


def test_a_used_up_window_refuses_until_it_resets() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "primary", 100, NOW)
    windows = limits.read("a", "plus", NOW)
    window = find_used_up(windows)
    assert window is not None
    refusal = refuse_used_up(window, windows, "plus", NOW)
    assert refusal.status == 429
    assert refusal.body["error"] == {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_at": int(NOW) + FIVE_HOURS_S,
        "resets_in_seconds": FIVE_HOURS_S,
    }
    assert refusal.headers["x-codex-primary-used-percent"] == "100"
    assert make_usage_document(windows, "plus", NOW)["rate_limit"]["limit_reached"] is True
    assert find_used_up(limits.read("a", "plus", NOW + FIVE_HOURS_S)) is None


def test_the_window_that_resets_last_decides() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "primary", 100, NOW)
    limits.set_used("a", "plus", "secondary", 100, NOW)
    window = find_used_up(limits.read("a", "plus", NOW))
    assert window is not None
    assert window.slot == "secondary"


def test_a_free_plan_has_one_week() -> None:
    [window] = make_limits().read("a", "free", NOW)
    assert (window.slot, window.length_s) == ("primary", WEEK_S)
    assert "x-codex-secondary-used-percent" not in make_headers((window,), "free", NOW)


def test_accounts_do_not_share_windows() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "primary", 100, NOW)
    assert find_used_up(limits.read("b", "plus", NOW)) is None
