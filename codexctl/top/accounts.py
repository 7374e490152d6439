"""The accounts on the screen of ``codexctl top``: a row each, with quota bars and when they begin anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codexctl.render.base import ADD, STATE_COLOURS, Json, bar, bar_colour, plain, plan_windows, until
from codexctl.top.model import Model, account_names
from codexctl.top.text import MARK, Column, Fragment, Line, fit, gap_at, has_room, heading, row, short

TWO_WINDOWS_FROM = 76
NARROW_BAR, WIDE_BAR = 5, 20
LONGEST_SHORT, LONGEST_UNTIL = len("23h59m"), len("in 23 h 59 min")


@dataclass(frozen=True)
class _Seen:
    account: Json
    name: str
    now: float

    def window(self, place: int) -> Json | None:
        windows = plan_windows(self.account)
        return windows[place] if place < len(windows) else None


def account_lines(model: Model, columns: int, most: int, now: float) -> list[Line]:
    """At most ``most`` lines, the heading one of them; the active account is always there."""
    if not model.accounts:
        words = f"No account is signed in. To sign in: {ADD}" if model.status else ""
        return [[("bold", "ACCOUNTS  "), ("yellow", words)]]
    shown = model.accounts
    if len(shown) >= most:
        shown = sorted(shown, key=lambda each: not each["active"])[: max(1, most - 2)]
    lines = table(shown, account_names(model.accounts), columns, now)
    left_out = len(model.accounts) - len(shown)
    return [*lines, [("dim", f"  and {left_out} more: s shows them")]] if left_out else lines


def table(listed: list[Json], names: Mapping[str, str], columns: int, now: float) -> list[Line]:
    """A heading and a row an account."""
    gap, width = gap_at(columns), columns - MARK
    seen = [_Seen(each, names[each["id"]], now) for each in listed]
    wide = _columns(seen, wide=True)
    fitted = fit(wide if has_room(wide, width, gap) else _columns(seen, wide=False), width, gap)
    lines: list[Line] = [[("bold", "  "), *heading(fitted, gap)]]
    for each in seen:
        mark = ("bold", "* ") if each.account["active"] else ("", "  ")
        lines.append([mark, *row(each, fitted, gap)])
    return lines


def _columns(listed: list[_Seen], *, wide: bool) -> tuple[Column[_Seen], ...]:
    return (
        Column("ACCOUNT", 18, lambda seen: ("bold" if seen.account["active"] else "", seen.name), most=40),
        Column("PLAN", 6, lambda seen: ("", seen.account["plan"]), most=12, from_width=100),
        Column("STATE", 13, _state, most=20),
        _window_column("QUOTA, RESET", 0, listed, wide=wide),
        _window_column("", 1, listed, wide=wide),
        Column("", 0, lambda seen: ("yellow", seen.account["reason"] or ""), most=60, from_width=140),
    )


def _state(seen: _Seen) -> Fragment:
    account = seen.account
    state, limited_until = account["state"], account["limited_until"]
    left = f" {short(limited_until - seen.now)}" if limited_until and limited_until > seen.now else ""
    return STATE_COLOURS.get(state, "red"), state.replace("_", " ") + left


def _window_column(title: str, place: int, listed: list[_Seen], *, wide: bool) -> Column[_Seen]:
    """A bar for the window at ``place`` of each account."""
    names = [plain(window["name"]) for seen in listed if (window := seen.window(place)) is not None]
    name_width = max(map(len, names), default=2)
    cells = WIDE_BAR if wide else NARROW_BAR

    def cell(seen: _Seen) -> Fragment:
        window = seen.window(place)
        if window is None:
            return "dim", "not known yet" if place == 0 else ""
        used, resets_at = window["used_percent"], window["resets_at"]
        text = f"{window['name']:{name_width}} {bar(used, cells)}"
        if resets_at is not None:
            text += f" {until(resets_at, seen.now) if wide else short(resets_at - seen.now)}"
        if seen.account["quota_stale"]:
            return "dim", text
        return bar_colour(used), text

    bar_width = name_width + 1 + cells + len(" 100%")
    width = bar_width + 1 + (LONGEST_UNTIL if wide else LONGEST_SHORT)
    return Column(title, width, cell, from_width=TWO_WINDOWS_FROM if place else 0)
