"""How long to leave an account alone after the backend refused it because of its limits. Pure.

A cooldown is a hint: it ends when quota is seen again, and only a new refusal extends it.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from codexd.accounts.limits.windows import Observation
from codexd.api.accounts import CreditsInfo
from codexd.errors import CreditsUsedUp, RateLimited, UpstreamError

DEFAULT_S = 60.0
"""The length if the backend states none."""

SPENT_S = 3600.0
"""Its length if credits or a spending limit are used up, which only a person can change."""

SETTLE_S = 30.0
"""For this long after a short limit was hit, quota left in the windows proves nothing about that limit."""


class Reason(StrEnum):
    """What was hit, as shown to the user."""

    USAGE_LIMIT = "usage limit reached"
    MODEL_LIMIT = "the model's own limit reached"
    RATE_LIMIT = "too many requests in a short time"
    SPENT = "credits or spending limit used up"


@frozen
class Cooldown:
    """How long an account is left alone. All times are in seconds since the epoch.

    ``model`` is the only model that the cooldown applies to, or None for the whole account; ``limit`` then names the
    metered limit that was hit. ``since`` is when the backend refused, ``checked_at`` when the quota was last checked.
    """

    until: float
    reason: str
    model: str | None
    since: float
    checked_at: float
    limit: str | None = None

    def is_over(self, now: float) -> bool:
        return self.until <= now


def make_cooldown(error: UpstreamError, *, model: str, observation: Observation | None, now: float) -> Cooldown:
    """The cooldown that a refusal starts.

    Args:
        error: ``UsageLimitReached`` or ``RateLimited``.
        model: the requested upstream model.
        observation: what the headers of the refusal reported.
        now: seconds since the epoch.
    """
    limit = observation.find_metered_limit(now) if observation else None
    reason = Reason.MODEL_LIMIT if limit else Reason.USAGE_LIMIT
    default_s = DEFAULT_S
    if isinstance(error, CreditsUsedUp):
        limit, reason, default_s = None, Reason.SPENT, SPENT_S
    own_ends = (error.resets_at, None if error.retry_after_s is None else now + error.retry_after_s)
    if isinstance(error, RateLimited):
        reason, own_ends = Reason.RATE_LIMIT, own_ends[::-1]
    ends = (*own_ends, observation.find_reset(now) if observation else None)
    return Cooldown(
        until=next((at for at in ends if at and at > now), now + default_s),
        reason=reason,
        model=model if limit else None,
        since=now,
        checked_at=now,
        limit=limit,
    )


def is_quota_back(cooldown: Cooldown, seen: Observation, known_credits: CreditsInfo | None) -> bool:
    """Whether ``seen`` ends the cooldown: quota in every window of its limit, ``allowed``, or new credits.

    ``known_credits`` are those known before ``seen``: if they could already pay, they did not prevent the refusal.
    """
    if seen.at <= cooldown.since + (SETTLE_S if cooldown.reason == Reason.RATE_LIMIT else 0.0):
        return False
    if cooldown.reason == Reason.SPENT:
        return seen.tells_spent and seen.spent is None
    windows = seen.of_limit(cooldown.limit)
    has_room = bool(windows) and all(window.used_percent < 100 for window in windows)
    if cooldown.limit is not None:
        return has_room
    could_pay = known_credits is not None and known_credits.can_pay
    can_pay = seen.credits is not None and seen.credits.can_pay
    return seen.allowed is True or (has_room and seen.allowed is None) or (can_pay and not could_pay)
