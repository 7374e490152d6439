"""Rate-limit windows as the backend reports them: in ``x-codex-*`` headers and ``codex.rate_limits`` events. Pure.

Source: sections 5.1 and 5.2 of the backend's contract as public clients use it. A window is known by its length, not
by its slot: on free plans ``primary`` is the weekly one. Numbers may be strings, floats, empty or absent; what can't
be read is left out, and nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

SLOTS = ("primary", "secondary")
MAIN_LIMIT = "codex"
"""What the backend calls the plan's own limit."""

LARGEST = 1e11
"""Beyond any percent, length or time that a server may mean; NaN and infinity are no better."""

_NAMES = {300: "5h", 10080: "weekly"}
_USED_HEADER = re.compile(r"x-codex-(?:(?P<limit>.+)-)?(?P<slot>primary|secondary)-used-percent")


@frozen
class Window:
    """One rate-limit window.

    ``name`` is ``5h``, ``weekly`` or ``<n>m``; that of a metered limit (``limit`` not None: one model's, or code
    review's) begins with the limit's name. ``window_s`` is its length, ``resets_at`` seconds since the epoch.
    """

    name: str
    used_percent: float
    window_s: float
    resets_at: float
    limit: str | None = None

    def is_used_up(self, now: float) -> bool:
        """Whether the whole plan waits for this window; a metered limit stops only what it meters."""
        return self.limit is None and self.used_percent >= 100 and self.resets_at > now


@frozen
class Observation:
    """What one reply said, at ``at`` seconds since the epoch."""

    windows: tuple[Window, ...]
    plan: str | None
    at: float


def parse_headers(headers: Mapping[str, str], now: float) -> Observation | None:
    """What the headers of a reply say of the limits, or None when they say nothing."""
    fields = {name.lower(): value for name, value in headers.items()}
    windows = []
    for name, used in fields.items():
        if match := _USED_HEADER.fullmatch(name):
            prefix = name.removesuffix("used-percent")
            limit = match["limit"]
            windows.append(
                _make_window(
                    _text(fields.get(f"x-codex-{limit}-limit-name")) or limit,
                    used=used,
                    minutes=fields.get(f"{prefix}window-minutes"),
                    resets_at=fields.get(f"{prefix}reset-at"),
                    resets_in=fields.get(f"{prefix}reset-after-seconds"),
                    now=now,
                )
            )
    return _observe(windows, fields.get("x-codex-plan-type"), now)


def parse_event(event: Mapping[str, Any], now: float) -> Observation | None:
    """What a ``codex.rate_limits`` event says of the limits, or None when it says nothing."""
    metered = _text(event.get("metered_limit_name"))
    limit = None if metered in (None, MAIN_LIMIT) else _text(event.get("limit_name")) or metered
    windows = [
        *_parse_block(event.get("rate_limits"), limit, now),
        *_parse_block(event.get("code_review_rate_limits"), "code-review", now),
    ]
    return _observe(windows, event.get("plan_type"), now)


def _parse_block(block: object, limit: str | None, now: float) -> Iterable[Window | None]:
    slots = [block.get(slot) for slot in SLOTS] if isinstance(block, dict) else []
    for slot in slots:
        if isinstance(slot, dict):
            yield _make_window(
                limit,
                used=slot.get("used_percent"),
                minutes=slot.get("window_minutes"),
                resets_at=slot.get("reset_at"),
                resets_in=slot.get("reset_after_seconds"),
                now=now,
            )


def _make_window(
    limit: str | None, *, used: object, minutes: object, resets_at: object, resets_in: object, now: float
) -> Window | None:
    """The window, or None without its use or its length. ``resets_at`` is preferred: ``resets_in`` drifts."""
    used_percent, length_min, ends_at, ends_in_s = (_number(value) for value in (used, minutes, resets_at, resets_in))
    if used_percent is None or not length_min:
        return None
    window_s = length_min * 60
    if not ends_at:
        ends_at = now + (window_s if ends_in_s is None else ends_in_s)
    name = _NAMES.get(round(length_min), f"{round(length_min)}m")
    return Window(f"{limit} {name}" if limit else name, used_percent, window_s, ends_at, limit or None)


def _observe(windows: Iterable[Window | None], plan: object, now: float) -> Observation | None:
    found = tuple(window for window in windows if window is not None)
    name = _text(plan)
    return Observation(found, name, now) if found or name else None


def _number(value: object) -> float | None:
    """A number from 0 to ``LARGEST``, written as one or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= LARGEST else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
