"""Rate limits as the backend reports them: in headers, in ``codex.rate_limits`` events, at its usage endpoint. Pure.

The fields are described in ``codexd/upstream/README.md``. A window is identified by its length, not by its slot: on
free plans ``primary`` is the weekly one. Numbers may be strings, floats, empty or absent; unreadable values are left
out, and nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from codexd.api.accounts import CreditsInfo
from codexd.translation.backend import SPENT_HEADER, is_spent

SLOTS = ("primary", "secondary")
MAIN_LIMIT = "codex"
"""What the backend calls the plan's own limit."""

CODE_REVIEW = "code-review"

STALE_S = 15 * 60.0
"""Figures older than this are shown as stale."""

MAX_NUMBER = 1e11
"""Larger than any plausible percentage, length or time; NaN and infinity are not accepted either."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_CREDITS = ("has_credits", "unlimited", "balance")
_NAMES = {300: "5h", 1440: "daily", 10_080: "weekly", 525_600: "yearly"}
_MONTH_MIN = range(28 * 1440, 31 * 1440 + 1)
_UNITS = ((10_080, "week"), (1440, "day"), (60, "hour"), (1, "minute"))
_USED_HEADER = re.compile(r"x-codex-(?:(?P<limit>.+)-)?(?P<slot>primary|secondary)-used-percent")


@frozen
class Window:
    """One rate-limit window.

    ``name`` is its length (``name_length``). For a metered limit (``limit`` is not None: one model, or code reviews)
    it begins with the limit's name. ``window_s`` is the length, ``resets_at`` seconds since the epoch.
    """

    name: str
    used_percent: float
    window_s: float
    resets_at: float
    limit: str | None = None

    def is_full(self, now: float) -> bool:
        """Whether it blocks everything until it is reset."""
        return self.used_percent >= 100 and self.resets_at > now

    def is_used_up(self, now: float) -> bool:
        """Whether this window blocks the whole plan; a metered limit blocks only what it meters."""
        return self.limit is None and self.is_full(now)


@frozen
class Observation:
    """What one reply reported, at ``at`` seconds since the epoch.

    ``allowed`` is the backend's statement whether the main limit lets requests through, None if it made none.
    ``active_limit`` is the limit that the reply counted against: ``MAIN_LIMIT``, or a metered limit's name as in its
    windows. ``complete``: there are no other main windows. ``spent`` is what the backend calls the credits or the
    spending limit that are used up, if any; they have neither a window nor a reset.
    """

    windows: tuple[Window, ...]
    plan: str | None
    at: float
    credits: CreditsInfo | None = None
    allowed: bool | None = None
    active_limit: str | None = None
    complete: bool = False
    spent: str | None = None

    @property
    def tells_spent(self) -> bool:
        """Whether ``spent`` is up to date: a refusal because of it always says so, an answer never does."""
        return self.complete or self.spent is not None or bool(self.of_limit(None))

    def of_limit(self, limit: str | None) -> tuple[Window, ...]:
        """The windows of one limit; None means the main limit."""
        return tuple(window for window in self.windows if window.limit == limit)

    def find_metered_limit(self, now: float) -> str | None:
        """For a refusal: the metered limit that caused it, or None if the main limit did or is used up as well."""
        if self.active_limit in (None, MAIN_LIMIT) or any(window.is_used_up(now) for window in self.windows):
            return None
        return self.active_limit

    def find_reset(self, now: float) -> float | None:
        """For a refusal: when all used-up windows of the limit that caused it will have been reset."""
        windows = self.of_limit(self.find_metered_limit(now))
        return max((window.resets_at for window in windows if window.is_full(now)), default=None)

    def find_plan_reset(self, now: float) -> float | None:
        """For a refusal because of a used-up plan: as ``find_reset``, or else the reset of the first main window."""
        reset = self.find_reset(now)
        return reset or next((window.resets_at for window in self.of_limit(None)), None)


@frozen
class Limits:
    """What is known about an account: its observations combined. ``fetched_at`` is the time of the newest.

    ``spent`` is as in ``Observation``.
    """

    windows: tuple[Window, ...] = ()
    plan: str | None = None
    credits: CreditsInfo | None = None
    allowed: bool | None = None
    fetched_at: float | None = None
    spent: str | None = None

    def tightest(self, now: float) -> Window | None:
        """The main window with the least left, of those not reset yet; if two are equal, the one that resets later."""
        current = [window for window in self.windows if window.limit is None and window.resets_at > now]
        return max(current, key=lambda window: (window.used_percent, window.resets_at), default=None)

    def is_stale(self, now: float) -> bool:
        """Whether the figures are too old to rely on, or a window has been reset since."""
        if self.fetched_at is None or now - self.fetched_at > STALE_S:
            return True
        return any(window.resets_at <= now for window in self.windows)

    def is_used_up(self, now: float) -> bool:
        """Whether credits are used up, or a main window is full and neither they nor ``allowed`` help."""
        if self.spent is not None:
            return True
        if self.allowed or (self.credits is not None and self.credits.can_pay):
            return False
        return any(window.is_used_up(now) for window in self.windows)

    def find_reset(self, now: float) -> float | None:
        """When every main window that is full now will have been reset."""
        return max((window.resets_at for window in self.windows if window.is_used_up(now)), default=None)


def parse_headers(headers: Mapping[str, str], now: float) -> Observation | None:
    """What the headers of a reply report about the limits, or None."""
    fields = {name.lower(): value for name, value in headers.items()}
    windows = []
    for name, used in sorted(fields.items()):
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
    return _if_anything(
        Observation(
            _readable(windows),
            plan=_text(fields.get("x-codex-plan-type")),
            at=now,
            credits=_read_credits({key: fields.get(f"x-codex-credits-{key.replace('_', '-')}") for key in _CREDITS}),
            active_limit=_read_active_limit(fields),
            spent=spent if is_spent(spent := fields.get(SPENT_HEADER, "")) else None,
        )
    )


def parse_event(event: Mapping[str, Any], now: float) -> Observation | None:
    """What a ``codex.rate_limits`` event reports about the limits, or None."""
    metered = _text(event.get("metered_limit_name"))
    limit = None if metered in (None, MAIN_LIMIT) else _text(event.get("limit_name")) or _short_id(metered)
    block = event.get("rate_limits")
    windows = [*_parse_block(block, limit, now), *_parse_block(event.get("code_review_rate_limits"), CODE_REVIEW, now)]
    return _if_anything(
        Observation(
            _readable(windows),
            plan=_text(event.get("plan_type")),
            at=now,
            credits=_read_credits(event.get("credits")),
            allowed=None if limit else _read_allowed(block),
        )
    )


def parse_usage(document: Mapping[str, Any], now: float) -> Observation | None:
    """What the usage endpoint's document reports about the limits, or None."""
    main = document.get("rate_limit")
    windows = [*_parse_block(main, None, now), *_parse_block(document.get("code_review_rate_limit"), CODE_REVIEW, now)]
    additional = document.get("additional_rate_limits")
    for metered in additional if isinstance(additional, list) else []:
        if isinstance(metered, dict):
            limit = _text(metered.get("limit_name")) or _short_id(_text(metered.get("metered_feature")))
            windows += _parse_block(metered.get("rate_limit"), limit, now) if limit else []
    return _if_anything(
        Observation(
            _readable(windows),
            plan=_text(document.get("plan_type")),
            at=now,
            credits=_read_credits(document.get("credits")),
            allowed=_read_allowed(main),
            complete=isinstance(main, dict),
            spent=_read_spent(document),
        )
    )


def _parse_block(block: object, limit: str | None, now: float) -> Iterable[Window | None]:
    """The windows of a limit, as written by an event or by the usage endpoint."""
    fields: dict[str, Any] = block if isinstance(block, dict) else {}
    for slot in SLOTS:
        window = fields.get(slot) or fields.get(f"{slot}_window")
        if isinstance(window, dict):
            length_s = _number(window.get("limit_window_seconds"))
            yield _make_window(
                limit,
                used=window.get("used_percent"),
                minutes=window.get("window_minutes") if length_s is None else length_s / 60,
                resets_at=window.get("reset_at"),
                resets_in=window.get("reset_after_seconds"),
                now=now,
            )


def _make_window(
    limit: str | None, *, used: object, minutes: object, resets_at: object, resets_in: object, now: float
) -> Window | None:
    """The window, or None if its use or length is missing. ``resets_at`` is preferred: ``resets_in`` drifts."""
    used_percent, length_min, ends_at, ends_in_s = (_number(value) for value in (used, minutes, resets_at, resets_in))
    if used_percent is None or not length_min:
        return None
    window_s = length_min * 60
    if not ends_at:
        ends_at = now + (window_s if ends_in_s is None else ends_in_s)
    name = name_length(round(length_min))
    return Window(f"{limit} {name}" if limit else name, used_percent, window_s, ends_at, limit or None)


def name_length(minutes: int) -> str:
    """How a window of this length is called: ``5h``, ``weekly``, ``monthly``, or for any other such as ``36-hour``."""
    if minutes in _MONTH_MIN:
        return "monthly"
    size, unit = next((size, unit) for size, unit in _UNITS if minutes % size == 0)
    return _NAMES.get(minutes, f"{minutes // size}-{unit}")


def _readable(windows: Iterable[Window | None]) -> tuple[Window, ...]:
    return tuple(window for window in windows if window is not None)


def _if_anything(seen: Observation) -> Observation | None:
    """``seen``, or None if it is empty."""
    parts = (seen.windows or None, seen.plan, seen.credits, seen.allowed, seen.active_limit, seen.spent)
    return None if all(part is None for part in parts) else seen


def _read_active_limit(fields: Mapping[str, str]) -> str | None:
    """The limit that the headers name as active, under the name that its windows have."""
    active = _text(fields.get("x-codex-active-limit"))
    if active in (None, MAIN_LIMIT):
        return active
    short = _short_id(active)
    if any(f"x-codex-{short}-{slot}-used-percent" in fields for slot in SLOTS):
        return _text(fields.get(f"x-codex-{short}-limit-name")) or short
    return active


def _short_id(limit: str | None) -> str | None:
    """A metered limit's id as written in headers: ``bengalfox`` for ``codex_bengalfox``."""
    return limit and limit.lower().replace("_", "-").removeprefix(f"{MAIN_LIMIT}-")


def _read_credits(fields: object) -> CreditsInfo | None:
    if not isinstance(fields, dict):
        return None
    has_credits, unlimited = _boolean(fields.get("has_credits")), _boolean(fields.get("unlimited"))
    if has_credits is None and unlimited is None:
        return None
    return CreditsInfo(bool(has_credits), bool(unlimited), _text(fields.get("balance")))


def _read_allowed(block: object) -> bool | None:
    return _boolean(block.get("allowed")) if isinstance(block, dict) else None


def _read_spent(document: Mapping[str, Any]) -> str | None:
    """``rate_limit_reached_type``, if it is not an ordinary window, or that ``spend_control`` has been reached."""
    reached, control = document.get("rate_limit_reached_type"), document.get("spend_control")
    kind = _text(reached.get("type")) if isinstance(reached, dict) else _text(reached)
    if kind is not None and is_spent(kind):
        return kind
    is_reached = isinstance(control, dict) and _boolean(control.get("reached"))
    return "spend_control" if is_reached else None


def _boolean(value: object) -> bool | None:
    """A boolean, or one as text: ``true``, ``True``, ``1``."""
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None


def _number(value: object) -> float | None:
    """A number from 0 to ``MAX_NUMBER``, or one as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= MAX_NUMBER else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
