"""How long an account is better left alone after the backend refused it for its limits. Pure.

A cooldown is a hint: it ends when quota is seen again, and nothing but a new refusal prolongs it.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from codexd.accounts.limits.windows import MAIN_LIMIT, Credits, Observation, Window
from codexd.errors import RateLimited, UpstreamError

DEFAULT_S = 60.0
"""The length where the backend tells none."""

SETTLE_S = 30.0
"""So long after a short limit was hit, quota left in the windows says nothing about it."""


class Reason(StrEnum):
    """What was hit, in words for the user."""

    USAGE_LIMIT = "usage limit reached"
    MODEL_LIMIT = "the model's own limit reached"
    RATE_LIMIT = "too many requests in a short time"


@frozen
class Cooldown:
    """Until when an account is left alone, all times in seconds since the epoch.

    ``model`` is None for the whole account, else the one model that it holds for; ``limit`` then names the metered
    limit that was hit. ``since`` is when the backend refused, ``checked_at`` when its quota was last asked for.
    """

    until: float
    reason: str
    model: str | None
    since: float
    checked_at: float
    limit: str | None = None

    def is_over(self, now: float) -> bool:
        return self.until <= now


def cooldown_of(error: UpstreamError, *, model: str, observation: Observation | None, now: float) -> Cooldown:
    """The cooldown that a refusal begins.

    Args:
        error: ``UsageLimitReached`` or ``RateLimited``.
        model: the upstream model that was asked for.
        observation: what the refusal's own headers said.
        now: seconds since the epoch.
    """
    limit = _find_metered_limit(observation, now)
    told = (_find_own_reset(error, observation), _after(now, error.retry_after_s))
    reason = Reason.MODEL_LIMIT if limit else Reason.USAGE_LIMIT
    if isinstance(error, RateLimited):
        told, reason = told[::-1], Reason.RATE_LIMIT
    return Cooldown(
        until=next((at for at in (*told, _find_reset(observation, limit, now)) if at and at > now), now + DEFAULT_S),
        reason=reason,
        model=model if limit else None,
        since=now,
        checked_at=now,
        limit=limit,
    )


def is_quota_back(cooldown: Cooldown, seen: Observation, known_credits: Credits | None) -> bool:
    """Whether ``seen`` ends the cooldown: quota in every window of its limit, the backend's word, or new credits.

    ``known_credits`` are those known before: what could not pay at the refusal does not pay now.
    """
    if seen.at <= cooldown.since + (SETTLE_S if cooldown.reason == Reason.RATE_LIMIT else 0.0):
        return False
    windows = seen.of_limit(cooldown.limit)
    has_room = bool(windows) and all(window.used_percent < 100 for window in windows)
    if cooldown.limit is not None:
        return has_room
    could_pay = known_credits is not None and known_credits.can_pay
    can_pay = seen.credits is not None and seen.credits.can_pay
    return seen.allowed is True or (has_room and seen.allowed is None) or (can_pay and not could_pay)


def _find_metered_limit(observation: Observation | None, now: float) -> str | None:
    """The metered limit that refused, or None when the main one did or is used up as well."""
    if observation is None or observation.active_limit in (None, MAIN_LIMIT):
        return None
    main_too = any(window.is_used_up(now) for window in observation.windows)
    return None if main_too else observation.active_limit


def _find_reset(observation: Observation | None, limit: str | None, now: float) -> float | None:
    """When the used-up windows of the limit will all have been reset."""
    windows: tuple[Window, ...] = observation.of_limit(limit) if observation else ()
    full = [window.resets_at for window in windows if window.used_percent >= 100 and window.resets_at > now]
    return max(full, default=None)


def _find_own_reset(error: UpstreamError, observation: Observation | None) -> float | None:
    """The reset that the error tells, unless it is that of a window with room, read off the headers for want of one."""
    windows = observation.windows if observation else ()
    other_limit_hit = isinstance(error, RateLimited) or any(window.used_percent >= 100 for window in windows)
    if other_limit_hit and any(window.resets_at == error.resets_at and window.used_percent < 100 for window in windows):
        return None
    return error.resets_at


def _after(now: float, seconds: float | None) -> float | None:
    return None if seconds is None else now + seconds
