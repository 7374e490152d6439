"""Plan limits: counters that the headers, the event, the 429 and ``/wham/usage`` all agree with.

Source: codex-backend.md, sections 4 and 5. A free plan has one window, a week long, in the primary slot.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal

FIVE_HOURS_S = 5 * 60 * 60
WEEK_S = 7 * 24 * 60 * 60


@frozen
class Window:
    """One window of a plan; it begins anew once ``resets_at`` has passed."""

    slot: str
    length_s: int
    budget_tokens: int
    used_tokens: float
    resets_at: int

    @property
    def used_percent(self) -> float:
        return min(100.0, round(100.0 * self.used_tokens / self.budget_tokens, 2))


class PlanLimits:
    """What each account has used of its windows."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._windows: dict[str, tuple[Window, ...]] = {}

    def read(self, account_id: str, plan: str, now: float) -> tuple[Window, ...]:
        """The account's windows as they stand at ``now``."""
        windows = self._windows.get(account_id) or self._open_windows(plan, now)
        windows = tuple(
            evolve(window, used_tokens=0, resets_at=int(now) + window.length_s) if now >= window.resets_at else window
            for window in windows
        )
        self._windows[account_id] = windows
        return windows

    def spend(self, account_id: str, plan: str, tokens: int, now: float) -> None:
        windows = self.read(account_id, plan, now)
        self._windows[account_id] = tuple(evolve(window, used_tokens=window.used_tokens + tokens) for window in windows)

    def set_used(self, account_id: str, plan: str, slot: str, percent: float, now: float) -> None:
        """Put a window at ``percent``; 100 makes the backend answer 429 until the window resets."""
        self._windows[account_id] = tuple(
            evolve(window, used_tokens=window.budget_tokens * percent / 100) if window.slot == slot else window
            for window in self.read(account_id, plan, now)
        )

    def _open_windows(self, plan: str, now: float) -> tuple[Window, ...]:
        start = int(now)
        week_budget = self._options.secondary_budget_tokens
        if plan == "free":
            return (Window("primary", WEEK_S, week_budget, 0, start + WEEK_S),)
        return (
            Window("primary", FIVE_HOURS_S, self._options.primary_budget_tokens, 0, start + FIVE_HOURS_S),
            Window("secondary", WEEK_S, week_budget, 0, start + WEEK_S),
        )


def find_used_up(windows: tuple[Window, ...]) -> Window | None:
    """The used-up window that resets last: until then nothing is served."""
    full = [window for window in windows if window.used_tokens >= window.budget_tokens]
    return max(full, key=lambda window: window.resets_at, default=None)


def make_headers(windows: tuple[Window, ...], plan: str, now: float) -> dict[str, str]:
    """The ``x-codex-*`` headers."""
    headers = {
        "x-codex-plan-type": plan,
        "x-codex-active-limit": "codex",
        "x-codex-primary-over-secondary-limit-percent": "0",
        "x-codex-credits-has-credits": "False",
        "x-codex-credits-unlimited": "False",
        "x-codex-credits-balance": "",
    }
    for window in windows:
        prefix = f"x-codex-{window.slot}"
        headers |= {
            f"{prefix}-used-percent": f"{window.used_percent:g}",
            f"{prefix}-window-minutes": str(window.length_s // 60),
            f"{prefix}-reset-after-seconds": str(_until(window, now)),
            f"{prefix}-reset-at": str(window.resets_at),
        }
    return headers


def make_event(windows: tuple[Window, ...], plan: str) -> dict[str, Any]:
    """The ``codex.rate_limits`` event."""
    limits: dict[str, Any] = {"primary": None, "secondary": None}
    for window in windows:
        limits[window.slot] = {
            "used_percent": window.used_percent,
            "window_minutes": window.length_s // 60,
            "reset_at": window.resets_at,
        }
    reached = find_used_up(windows) is not None
    return {
        "type": "codex.rate_limits",
        "plan_type": plan,
        "rate_limits": {"allowed": not reached, "limit_reached": reached, **limits},
        "code_review_rate_limits": None,
        "credits": {"has_credits": False, "unlimited": False, "balance": None},
        "metered_limit_name": "codex",
        "limit_name": None,
    }


def refuse_used_up(window: Window, windows: tuple[Window, ...], plan: str, now: float) -> Refusal:
    """The 429 of a used-up window."""
    body = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": plan,
        "resets_at": window.resets_at,
        "resets_in_seconds": _until(window, now),
    }
    return Refusal(429, {"error": body}, make_headers(windows, plan, now))


def make_usage_document(windows: tuple[Window, ...], plan: str, now: float) -> dict[str, Any]:
    """The reply of ``GET /backend-api/wham/usage``, less the account's own fields."""
    slots: dict[str, Any] = {"primary_window": None, "secondary_window": None}
    for window in windows:
        slots[f"{window.slot}_window"] = {
            "used_percent": int(window.used_percent),
            "limit_window_seconds": window.length_s,
            "reset_after_seconds": _until(window, now),
            "reset_at": window.resets_at,
        }
    reached = find_used_up(windows) is not None
    return {
        "plan_type": plan,
        "rate_limit": {"allowed": not reached, "limit_reached": reached, **slots},
        "code_review_rate_limit": None,
        "additional_rate_limits": [],
        "credits": {"has_credits": False, "unlimited": False, "overage_limit_reached": False, "balance": "0"},
        "spend_control": {"reached": False, "individual_limit": None},
        "rate_limit_reached_type": {"type": "rate_limit_reached"} if reached else None,
        "promo": None,
    }


def _until(window: Window, now: float) -> int:
    return max(0, window.resets_at - int(now))
