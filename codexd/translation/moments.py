"""A moment in the future, in words for the user. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def say_until(moment: float, now: float) -> str:
    """``in 1 h 5 min (2026-11-18 12:06 UTC)``; both in seconds since the epoch. The past is a minute off."""
    return f"in {say_duration(seconds_until(moment, now))} ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC)"


def seconds_until(moment: float, now: float) -> int:
    """Whole seconds until ``moment``, at least one."""
    return max(1, math.ceil(moment - now))


def say_duration(seconds: float) -> str:
    """``2 d 7 h``, ``1 h 5 min`` or ``6 min``, rounded up to the minute."""
    minutes = math.ceil(seconds / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"
