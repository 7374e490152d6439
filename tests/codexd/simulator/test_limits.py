"""Counters, and everything that shows them."""

from __future__ import annotations

from typing import Any

import pytest

from codexd.simulator.limits import (
    FIVE_HOURS_S,
    WEEK_S,
    PlanLimits,
    make_events,
    make_headers,
    make_usage_document,
    refuse_used_up,
)
from codexd.simulator.options import Credits, MeteredLimit, Options

NOW = 1_795_000_000.0
METERED = MeteredLimit("gpt-x-spark", frozenset({"spark"}), budget_tokens=100)


def make_limits(**options: Any) -> PlanLimits:
    return PlanLimits(Options(primary_budget_tokens=1_000, secondary_budget_tokens=10_000, **options))


def test_tokens_fill_both_windows_and_all_views_agree() -> None:
    limits = make_limits()
    limits.read("a", "plus", NOW)
    limits.spend("a", "plus", 425, NOW + 100)
    standing = limits.read("a", "plus", NOW + 100)
    headers = make_headers(standing, NOW + 100)
    assert headers["x-codex-primary-used-percent"] == "42.5"
    assert headers["x-codex-primary-window-minutes"] == "300"
    assert headers["x-codex-primary-reset-after-seconds"] == str(FIVE_HOURS_S - 100)
    assert headers["x-codex-secondary-used-percent"] == "4.25"
    assert headers["x-codex-active-limit"] == "codex"
    assert headers["x-codex-credits-has-credits"] == "False"
    reset_at = int(NOW) + FIVE_HOURS_S
    assert headers["x-codex-primary-reset-at"] == str(reset_at)
    [event] = make_events(standing)
    assert event["rate_limits"]["primary"] == {"used_percent": 42.5, "window_minutes": 300, "reset_at": reset_at}
    assert event["metered_limit_name"] == "codex"
    usage = make_usage_document(standing, NOW + 100)["rate_limit"]
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
    standing = limits.read("a", "plus", NOW)
    refusal = refuse_used_up(standing, NOW)
    assert refusal is not None
    assert refusal.status == 429
    assert refusal.body["error"] == {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_at": int(NOW) + FIVE_HOURS_S,
        "resets_in_seconds": FIVE_HOURS_S,
    }
    assert refusal.headers["x-codex-primary-used-percent"] == "100"
    usage = make_usage_document(standing, NOW)
    assert (usage["rate_limit"]["allowed"], usage["rate_limit"]["limit_reached"]) == (False, True)
    assert usage["rate_limit_reached_type"] == {"type": "rate_limit_reached"}
    assert refuse_used_up(limits.read("a", "plus", NOW + FIVE_HOURS_S), NOW + FIVE_HOURS_S) is None


def test_the_window_that_resets_last_decides() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "primary", 100, NOW)
    limits.set_used("a", "plus", "secondary", 100, NOW)
    window = limits.read("a", "plus", NOW).main.used_up
    assert window is not None
    assert window.slot == "secondary"


def test_a_free_plan_has_one_week() -> None:
    standing = make_limits().read("a", "free", NOW)
    [window] = standing.main.windows
    assert (window.slot, window.length_s) == ("primary", WEEK_S)
    assert "x-codex-secondary-used-percent" not in make_headers(standing, NOW)


def test_accounts_do_not_share_windows() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "primary", 100, NOW)
    assert refuse_used_up(limits.read("b", "plus", NOW), NOW) is None


def test_a_reset_may_be_moved() -> None:
    limits = make_limits()
    limits.set_used("a", "plus", "secondary", 100, NOW, resets_in_s=6 * 86_400)
    refusal = refuse_used_up(limits.read("a", "plus", NOW), NOW)
    assert refusal is not None
    assert refusal.body["error"]["resets_at"] == int(NOW) + 6 * 86_400
    assert refusal.headers["x-codex-secondary-reset-after-seconds"] == str(6 * 86_400)
    assert limits.read("a", "plus", NOW + 6 * 86_400).main.used_up is None


def test_quota_may_be_restored_before_the_reset() -> None:
    limits = make_limits(metered_limits=(METERED,))
    for account in ("a", "b"):
        limits.set_used(account, "plus", "primary", 100, NOW)
    limits.set_used("a", "plus", "primary", 100, NOW, feature="codex_bengalfox")
    limits.restore("a")
    restored = limits.read("a", "plus", NOW)
    assert [window.used_percent for window in (*restored.main.windows, *restored.metered[0].windows)] == [0, 0, 0]
    assert limits.read("b", "plus", NOW).main.used_up is not None


def test_a_window_that_is_not_there_can_t_be_used() -> None:
    limits = make_limits()
    with pytest.raises(ValueError, match="no secondary window"):
        limits.set_used("a", "free", "secondary", 100, NOW)
    with pytest.raises(ValueError, match="codex_other"):
        limits.set_used("a", "plus", "primary", 100, NOW, feature="codex_other")


def test_credits_keep_the_account_open() -> None:
    limits = make_limits(credits=Credits(balance="12.50"))
    limits.set_used("a", "plus", "primary", 100, NOW)
    standing = limits.read("a", "plus", NOW)
    assert refuse_used_up(standing, NOW) is None
    headers = make_headers(standing, NOW)
    assert headers["x-codex-credits-has-credits"] == "True"
    assert headers["x-codex-credits-unlimited"] == "False"
    assert headers["x-codex-credits-balance"] == "12.50"
    [event] = make_events(standing)
    usage = make_usage_document(standing, NOW)
    assert event["credits"] == {"has_credits": True, "unlimited": False, "balance": "12.50"}
    assert usage["credits"] == {**event["credits"], "overage_limit_reached": False}
    for block in (event["rate_limits"], usage["rate_limit"]):
        assert (block["allowed"], block["limit_reached"]) == (True, True)
    assert usage["rate_limit_reached_type"] is None


def test_a_metered_limit_counts_its_models_only() -> None:
    limits = make_limits(metered_limits=(METERED,))
    limits.spend("a", "plus", 50, NOW, model="other")
    limits.spend("a", "plus", 50, NOW, model="spark")
    standing = limits.read("a", "plus", NOW)
    assert standing.main.windows[0].used_tokens == 100
    headers = make_headers(standing.for_model("spark"), NOW)
    assert headers["x-codex-bengalfox-limit-name"] == "gpt-x-spark"
    assert headers["x-codex-bengalfox-primary-used-percent"] == "50"
    assert headers["x-codex-active-limit"] == "codex"
    assert not [name for name in make_headers(standing.for_model("other"), NOW) if "bengalfox" in name]
    main, metered = make_events(standing.for_model("spark"))
    assert (main["metered_limit_name"], main["limit_name"]) == ("codex", None)
    assert (metered["metered_limit_name"], metered["limit_name"]) == ("codex_bengalfox", "gpt-x-spark")
    assert metered["rate_limits"]["primary"]["used_percent"] == 50
    [additional] = make_usage_document(standing, NOW)["additional_rate_limits"]
    assert (additional["limit_name"], additional["metered_feature"]) == ("gpt-x-spark", "codex_bengalfox")
    assert additional["rate_limit"]["primary_window"]["used_percent"] == 50


def test_a_used_up_metered_limit_refuses_its_models_only() -> None:
    limits = make_limits(metered_limits=(METERED,), credits=Credits())
    limits.set_used("a", "plus", "primary", 100, NOW, resets_in_s=77, feature="codex_bengalfox")
    standing = limits.read("a", "plus", NOW)
    refusal = refuse_used_up(standing.for_model("spark"), NOW)
    assert refusal is not None
    assert refusal.headers["x-codex-active-limit"] == "codex_bengalfox"
    assert refusal.headers["x-codex-primary-used-percent"] == "0"
    assert refusal.body["error"]["resets_in_seconds"] == 77
    assert refuse_used_up(standing.for_model("other"), NOW) is None
    usage = make_usage_document(standing, NOW)
    assert usage["rate_limit"]["allowed"] is True
    assert usage["additional_rate_limits"][0]["rate_limit"]["allowed"] is False


def test_of_two_used_up_limits_the_later_reset_is_told() -> None:
    limits = make_limits(metered_limits=(METERED,))
    limits.set_used("a", "plus", "primary", 100, NOW, resets_in_s=10)
    limits.set_used("a", "plus", "primary", 100, NOW, resets_in_s=5, feature="codex_bengalfox")
    standing = limits.read("a", "plus", NOW).for_model("spark")
    assert standing.refusing is standing.main
