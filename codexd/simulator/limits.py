"""Plan limits: counters that the headers, the event, the 429 and ``/wham/usage`` all agree with.

A free plan has one window, a week long, in the primary slot.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from codexd.simulator.options import Credits, MeteredLimit, Options
from codexd.simulator.refusals import Refusal

FIVE_HOURS_S = 5 * 60 * 60
WEEK_S = 7 * 24 * 60 * 60
MAIN_LIMIT = "codex"
PLAN_LIMIT = "rate_limit_reached"
USED_UP = "The usage limit has been reached"


@frozen
class Window:
    """One window of a limit. It starts again once ``resets_at`` has passed."""

    slot: str
    length_s: int
    budget_tokens: int
    used_tokens: float
    resets_at: int

    @property
    def used_percent(self) -> float:
        return min(100.0, round(100.0 * self.used_tokens / self.budget_tokens, 2))


@frozen
class Limit:
    """The plan's own limit, ``codex``, or a limit on some models, which has a display name."""

    feature: str
    windows: tuple[Window, ...]
    name: str | None = None
    models: frozenset[str] = frozenset()

    @property
    def used_up(self) -> Window | None:
        """The used-up window that resets last: until then the limit refuses every request."""
        full = [window for window in self.windows if window.used_tokens >= window.budget_tokens]
        return max(full, key=lambda window: window.resets_at, default=None)


@frozen
class Standing:
    """What an account has used of its plan's limit and of the metered ones."""

    plan: str
    main: Limit
    metered: tuple[Limit, ...] = ()
    credits: Credits | None = None
    spent: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the main limit lets requests through. Credits pay for anything above it."""
        return self.credits is not None or self.main.used_up is None

    @property
    def refusing(self) -> Limit | None:
        """The limit that refuses a request, or None. Of several, the one that resets last."""
        limits = self.metered if self.is_open else (self.main, *self.metered)
        full = [(limit.used_up.resets_at, limit) for limit in limits if limit.used_up]
        return max(full, key=lambda pair: pair[0], default=(0, None))[1]

    def for_model(self, model: str) -> Standing:
        """The limits that a request for this model counts against."""
        return evolve(self, metered=tuple(limit for limit in self.metered if model in limit.models))


class PlanLimits:
    """What each account has used of its windows."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._windows: dict[tuple[str, str], tuple[Window, ...]] = {}

    def read(self, account_id: str, plan: str, now: float) -> Standing:
        """The limits of the account at ``now``."""
        main = Limit(MAIN_LIMIT, self._renew(account_id, MAIN_LIMIT, self._open_windows(plan, now), now))
        metered = tuple(self._read_metered(account_id, each, now) for each in self._options.metered_limits)
        return Standing(plan, main, metered, self._options.credits, self._options.spent)

    def spend(self, account_id: str, plan: str, tokens: int, now: float, *, model: str = "") -> None:
        """Count ``tokens`` against every limit that applies to the model."""
        standing = self.read(account_id, plan, now).for_model(model)
        for limit in (standing.main, *standing.metered):
            self._windows[account_id, limit.feature] = tuple(
                evolve(window, used_tokens=window.used_tokens + tokens) for window in limit.windows
            )

    def set_used(
        self,
        account_id: str,
        plan: str,
        slot: str,
        percent: float,
        now: float,
        *,
        resets_in_s: int | None = None,
        feature: str = MAIN_LIMIT,
    ) -> None:
        """Set a window to ``percent``; at 100 the backend answers 429 until the window resets.

        Raises:
            ValueError: the account has no such window.
        """
        standing = self.read(account_id, plan, now)
        limit = next((each for each in (standing.main, *standing.metered) if each.feature == feature), None)
        window = next((each for each in limit.windows if each.slot == slot), None) if limit else None
        if limit is None or window is None:
            raise ValueError(f"The limit {feature} of a {plan} plan has no {slot} window.")
        changed = evolve(
            window,
            used_tokens=window.budget_tokens * percent / 100,
            resets_at=window.resets_at if resets_in_s is None else int(now) + resets_in_s,
        )
        self._windows[account_id, feature] = tuple(changed if each is window else each for each in limit.windows)

    def restore(self, account_id: str) -> None:
        """Give the whole quota back: each window of the account starts again when it is next read."""
        for key in [key for key in self._windows if key[0] == account_id]:
            del self._windows[key]

    def _read_metered(self, account_id: str, limit: MeteredLimit, now: float) -> Limit:
        fresh = (Window("primary", limit.length_s, limit.budget_tokens, 0, int(now) + limit.length_s),)
        windows = self._renew(account_id, limit.feature, fresh, now)
        return Limit(limit.feature, windows, limit.name, limit.models)

    def _renew(self, account_id: str, feature: str, fresh: tuple[Window, ...], now: float) -> tuple[Window, ...]:
        """The current windows: one past its end starts again, and a new limit gets the ``fresh`` ones."""
        windows = tuple(
            evolve(window, used_tokens=0, resets_at=int(now) + window.length_s) if now >= window.resets_at else window
            for window in self._windows.get((account_id, feature), fresh)
        )
        self._windows[account_id, feature] = windows
        return windows

    def _open_windows(self, plan: str, now: float) -> tuple[Window, ...]:
        start = int(now)
        week_budget = self._options.secondary_budget_tokens
        if plan == "free":
            return (Window("primary", WEEK_S, week_budget, 0, start + WEEK_S),)
        return (
            Window("primary", FIVE_HOURS_S, self._options.primary_budget_tokens, 0, start + FIVE_HOURS_S),
            Window("secondary", WEEK_S, week_budget, 0, start + WEEK_S),
        )


def make_headers(standing: Standing, now: float) -> dict[str, str]:
    """The ``x-codex-*`` headers. The active limit is the one that refuses, or else the main one."""
    paid = _make_credits(standing.credits, "")
    headers = {
        "x-codex-plan-type": standing.plan,
        "x-codex-active-limit": (standing.refusing or standing.main).feature,
        "x-codex-primary-over-secondary-limit-percent": "0",
        "x-codex-credits-has-credits": str(paid["has_credits"]),
        "x-codex-credits-unlimited": str(paid["unlimited"]),
        "x-codex-credits-balance": paid["balance"],
    }
    reached = standing.spent or (PLAN_LIMIT if standing.refusing else None)
    if reached is not None:
        headers["x-codex-rate-limit-reached-type"] = reached
    for limit in (standing.main, *standing.metered):
        headers |= _make_limit_headers(limit, now)
    return headers


def _make_limit_headers(limit: Limit, now: float) -> dict[str, str]:
    family = f"x-{limit.feature.replace('_', '-')}"
    headers = {f"{family}-limit-name": limit.name} if limit.name else {}
    for window in limit.windows:
        prefix = f"{family}-{window.slot}"
        headers |= {
            f"{prefix}-used-percent": f"{window.used_percent:g}",
            f"{prefix}-window-minutes": str(window.length_s // 60),
            f"{prefix}-reset-after-seconds": str(_until(window, now)),
            f"{prefix}-reset-at": str(window.resets_at),
        }
    return headers


def make_events(standing: Standing) -> tuple[dict[str, Any], ...]:
    """The ``codex.rate_limits`` events, one per limit."""
    return tuple(_make_event(standing, limit) for limit in (standing.main, *standing.metered))


def _make_event(standing: Standing, limit: Limit) -> dict[str, Any]:
    windows: dict[str, Any] = {"primary": None, "secondary": None}
    for window in limit.windows:
        windows[window.slot] = {
            "used_percent": window.used_percent,
            "window_minutes": window.length_s // 60,
            "reset_at": window.resets_at,
        }
    return {
        "type": "codex.rate_limits",
        "plan_type": standing.plan,
        "rate_limits": {**_make_verdict(standing, limit), **windows},
        "code_review_rate_limits": None,
        "credits": _make_credits(standing.credits, None),
        "metered_limit_name": limit.feature,
        "limit_name": limit.name,
    }


def refuse_used_up(standing: Standing, now: float) -> Refusal | None:
    """The 429 of the limit that refuses the request, or None."""
    if standing.spent is not None:  # it has no window, and so no reset
        spent = {"type": "usage_limit_reached", "message": USED_UP, "plan_type": standing.plan}
        return Refusal(429, {"error": spent}, make_headers(standing, now))
    window = standing.refusing.used_up if standing.refusing else None
    if window is None:
        return None
    body = {
        "type": "usage_limit_reached",
        "message": USED_UP,
        "plan_type": standing.plan,
        "resets_at": window.resets_at,
        "resets_in_seconds": _until(window, now),
    }
    return Refusal(429, {"error": body}, make_headers(standing, now))


def make_usage_document(standing: Standing, now: float) -> dict[str, Any]:
    """The reply of ``GET /backend-api/wham/usage``, without the fields about the account itself."""
    reached = standing.spent is not None or not standing.is_open
    return {
        "plan_type": standing.plan,
        "rate_limit": _make_usage_block(standing, standing.main, now),
        "code_review_rate_limit": None,
        "additional_rate_limits": [
            {
                "limit_name": limit.name,
                "metered_feature": limit.feature,
                "rate_limit": _make_usage_block(standing, limit, now),
            }
            for limit in standing.metered
        ],
        "credits": {**_make_credits(standing.credits, "0"), "overage_limit_reached": False},
        "spend_control": {"reached": standing.spent is not None, "individual_limit": None},
        "rate_limit_reached_type": {"type": standing.spent or PLAN_LIMIT} if reached else None,
        "promo": None,
    }


def _make_usage_block(standing: Standing, limit: Limit, now: float) -> dict[str, Any]:
    slots: dict[str, Any] = {"primary_window": None, "secondary_window": None}
    for window in limit.windows:
        slots[f"{window.slot}_window"] = {
            "used_percent": int(window.used_percent),
            "limit_window_seconds": window.length_s,
            "reset_after_seconds": _until(window, now),
            "reset_at": window.resets_at,
        }
    return {**_make_verdict(standing, limit), **slots}


def _make_verdict(standing: Standing, limit: Limit) -> dict[str, bool]:
    """Whether the limit lets requests through, and whether it is used up. With credits the main one can be both."""
    reached = limit.used_up is not None
    return {"allowed": standing.is_open if limit is standing.main else not reached, "limit_reached": reached}


def _make_credits(paid: Credits | None, no_balance: str | None) -> dict[str, Any]:
    if paid is None:
        return {"has_credits": False, "unlimited": False, "balance": no_balance}
    return {"has_credits": True, "unlimited": paid.unlimited, "balance": paid.balance}


def _until(window: Window, now: float) -> int:
    return max(0, window.resets_at - int(now))
