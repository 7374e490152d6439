"""The tables on the screen of ``codexctl top``: accounts, requests, and details of the chosen request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codexctl.render.format import (
    ADD,
    STATE_COLOURS,
    Json,
    bar,
    bar_colour,
    clock_time,
    milliseconds,
    plan_windows,
    short_count,
    short_duration,
    state_words,
    until,
)
from codexctl.render.requests import purpose_of, short_id, state_of
from codexctl.render.text import Fragment, cell_width, cut_distinct, pad, plain
from codexctl.top.layout import (
    MARK_CELLS,
    Column,
    Line,
    Size,
    draw_heading,
    draw_row,
    fill_line,
    fill_rows,
    fit,
    gap_at,
    has_room,
)
from codexctl.top.model import SILENT_S, Model, Request, Shown, account_names

TWO_WINDOWS_FROM_WIDTH = 76
NARROW_BAR_CELLS, WIDE_BAR_CELLS = 5, 20
SHORT_RESET_CELLS, LONG_RESET_CELLS = len("23h59m"), len("in 23 h 59 min")

MIN_ROWS_WITH_DETAILS = 7
"""With fewer rows for the requests, the details of one would take too many of them."""

SIMULATED = " (simulated)"


# -- accounts


@dataclass(frozen=True)
class _AccountRow:
    account: Json
    name: str
    now: float

    def window(self, place: int) -> Json | None:
        windows = plan_windows(self.account)
        return windows[place] if place < len(windows) else None


def account_lines(model: Model, columns: int, max_lines: int, now: float) -> list[Line]:
    """At most ``max_lines`` lines, including the heading and always the active account."""
    if not model.accounts:
        words = f"No account is signed in. Sign in with: {ADD}" if model.status else ""
        return [[("bold", "ACCOUNTS  "), ("yellow", words)]]
    shown = model.accounts
    if len(shown) >= max_lines:
        shown = sorted(shown, key=lambda each: not each["active"])[: max(1, max_lines - 2)]
    lines = account_table(shown, account_names(model.accounts), columns, now)
    left_out = len(model.accounts) - len(shown)
    return [*lines, [("dim", f"  and {left_out} more; press s to see them")]] if left_out else lines


def account_table(listed: list[Json], names: Mapping[str, str], columns: int, now: float) -> list[Line]:
    """A heading, and one row per account."""
    gap, width = gap_at(columns), columns - MARK_CELLS
    rows = [_AccountRow(each, names[each["id"]], now) for each in listed]
    wide = _account_columns(rows, wide=True)
    fitted = fit(wide if has_room(wide, width, gap) else _account_columns(rows, wide=False), width, gap)
    shown = cut_distinct([row.name for row in rows], fitted[0][1])
    rows = [replace(row, name=name) for row, name in zip(rows, shown, strict=True)]
    lines: list[Line] = [[("bold", "  "), *draw_heading(fitted, gap)]]
    for each in rows:
        mark = ("bold", "* ") if each.account["active"] else ("", "  ")
        lines.append([mark, *draw_row(each, fitted, gap)])
    return lines


def _account_columns(listed: list[_AccountRow], *, wide: bool) -> tuple[Column[_AccountRow], ...]:
    return (
        Column("ACCOUNT", 18, lambda row: ("bold" if row.account["active"] else "", row.name), max_width=40),
        Column("PLAN", 6, lambda row: ("", row.account["plan"]), max_width=12, from_width=100),
        Column("STATE", 13, _account_state, max_width=20),
        _window_column("QUOTA, RESET", 0, listed, wide=wide),
        _window_column("", 1, listed, wide=wide),
        Column("", 0, lambda row: ("yellow", row.account["reason"] or ""), max_width=60, from_width=140),
    )


def _account_state(row: _AccountRow) -> Fragment:
    account = row.account
    state, limited_until = account["state"], account["limited_until"]
    left = f" {short_duration(limited_until - row.now)}" if limited_until and limited_until > row.now else ""
    return STATE_COLOURS.get(state, "red"), state_words(state) + left


def _window_column(title: str, place: int, listed: list[_AccountRow], *, wide: bool) -> Column[_AccountRow]:
    """Rate-limit window number ``place`` of each account, with a bar."""
    names = [plain(window["name"]) for row in listed if (window := row.window(place)) is not None]
    name_width = max(map(cell_width, names), default=2)
    cells = WIDE_BAR_CELLS if wide else NARROW_BAR_CELLS

    def cell(row: _AccountRow) -> Fragment:
        window = row.window(place)
        if window is None:
            return "dim", "not known yet" if place == 0 else ""
        used, resets_at = window["used_percent"], window["resets_at"]
        text = f"{pad(plain(window['name']), name_width)} {bar(used, cells)}"
        if resets_at is not None:
            text += f" {until(resets_at, row.now) if wide else short_duration(resets_at - row.now)}"
        if row.account["quota_stale"]:
            return "dim", text
        return bar_colour(used), text

    bar_width = name_width + 1 + cells + len(" 100%")
    width = bar_width + 1 + (LONG_RESET_CELLS if wide else SHORT_RESET_CELLS)
    return Column(title, width, cell, from_width=TWO_WINDOWS_FROM_WIDTH if place else 0)


# -- requests


@dataclass(frozen=True)
class _RequestRow:
    """A request as a row shows it at the time ``now``."""

    request: Request
    now: float

    @property
    def info(self) -> Json:
        return self.request.info


def request_lines(model: Model, size: Size, now: float) -> list[Line]:
    """A heading, the requests around the chosen one and its details, in exactly ``size.rows`` lines."""
    listed, chosen = model.listed(), model.chosen()
    gap = gap_at(size.columns)
    fitted = fit(REQUEST_COLUMNS, size.columns - MARK_CELLS, gap)
    head: list[Line] = [[("bold", "  "), *draw_heading(fitted, gap)]]
    if filtered := _describe_filter(model, len(listed)):
        head.insert(0, [("bold yellow", filtered)])
    if chosen is None:
        none = "No request matches." if model.requests else "No requests since codexd started."
        return fill_rows([*head, [("dim", f"  {none}")]], size.rows)
    details = _details(chosen, size.columns, now) if size.rows >= MIN_ROWS_WITH_DETAILS else []
    room = max(1, size.rows - len(head) - len(details))
    shown = _around(listed, chosen, room)
    more = sum(each.is_running for each in listed) - sum(each.is_running for each in shown)
    if more:
        shown = _around(listed, chosen, max(1, room - 1))
        more = sum(each.is_running for each in listed) - sum(each.is_running for each in shown)
        details = [[("green", f"  +{more} more running")], *details]
    lines = head
    for each in shown:
        is_chosen = each is chosen
        cells = draw_row(_RequestRow(each, now), fitted, gap)
        line = fill_line([("", "> " if is_chosen else "  "), *cells], size.columns)
        lines.append([("reverse", text) for _, text in line] if is_chosen else line)
    return [*fill_rows(lines, size.rows - len(details)), *details]


def _around(listed: list[Request], chosen: Request, room: int) -> list[Request]:
    """``room`` requests, ``chosen`` among them."""
    first = max(0, min(listed.index(chosen) - room // 2, len(listed) - room))
    return listed[first : first + room]


def _describe_filter(model: Model, number: int) -> str:
    if not model.filter and model.shown is Shown.ALL:
        return ""
    kind = "" if model.shown is Shown.ALL else f"{model.shown.value} "
    text = f" with {plain(model.filter)!r}" if model.filter else ""
    return f"  Only {kind}requests{text}: {number} of {len(model.requests)}. Press Esc to see all."


def _state(row: _RequestRow) -> Fragment:
    info = row.info
    if not row.request.is_running:
        return "red" if row.request.is_failed else "", state_of(info)
    if (since := info["silent_since"]) is not None:
        return "red", f"silent {short_duration(row.now - since)}"
    if info["ttft_ms"] is None:
        return "yellow", "waiting"
    silent_s = row.request.silent_s(row.now)
    return ("yellow", f"silent {short_duration(silent_s)}") if silent_s >= SILENT_S else ("green", "streaming")


def _model(row: _RequestRow) -> Fragment:
    return "", row.info["model_used"] or row.info["model"] or ""


def _account(row: _RequestRow) -> Fragment:
    return "", (row.info["account"] or "").removesuffix(SIMULATED)  # the first line of the screen says it


def _asked(row: _RequestRow) -> Fragment:
    return "", row.info["model"] or ""


def _ttft(row: _RequestRow) -> Fragment:
    return "", _ms(row.info["ttft_ms"])


def _time(row: _RequestRow) -> Fragment:
    elapsed_s = row.request.elapsed_s(row.now)
    return "", short_duration(elapsed_s) if row.request.is_running else _ms(elapsed_s * 1000)


def _input(row: _RequestRow) -> Fragment:
    tokens = row.info["tokens"]
    return "", short_count(tokens["input"]) if tokens and not tokens["estimated"] else ""


def _cached(row: _RequestRow) -> Fragment:
    tokens = row.info["tokens"]
    return "", f"{tokens['cached'] / tokens['input']:.0%}" if tokens and tokens["input"] else ""


def _output(row: _RequestRow) -> Fragment:
    output = row.request.output_tokens
    return "", short_count(output) if output is not None else ""


def _rate(row: _RequestRow) -> Fragment:
    rate = row.request.tokens_per_s(row.now)
    return "", f"{rate:,.0f}" if rate is not None else ""


def _ms(value: float | None) -> str:
    return "" if value is None else milliseconds(value).replace(" ", "")


REQUEST_COLUMNS: tuple[Column[_RequestRow], ...] = (
    Column("REQUEST", 8, lambda row: ("", short_id(row.request.id))),
    Column("STARTED", 8, lambda row: ("", clock_time(row.info["started_at"], row.now)), from_width=110),
    Column("STATE", 11, _state),
    Column(
        "CLIENT", 18, lambda row: ("", "".join(purpose_of(row.info)) or row.info["client"]), max_width=34, from_width=96
    ),
    Column("ASKED FOR", 18, _asked, max_width=26, from_width=130),
    Column("MODEL", 13, _model, max_width=20, from_width=48),
    Column("ACCOUNT", 17, _account, max_width=32, from_width=76),
    Column("TTFT", 6, _ttft, right=True, from_width=96),
    Column("TIME", 6, _time, right=True),
    Column("IN", 8, _input, right=True, from_width=110),
    Column("CACHED", 6, _cached, right=True, from_width=130),
    Column("OUT", 7, _output, right=True, from_width=56),
    Column("TOK/S", 5, _rate, right=True),
)


def _details(request: Request, columns: int, now: float) -> list[Line]:
    """What the chosen request's row has no room for."""
    info, tokens = request.info, request.info["tokens"]
    asked, used = info["model"], info["model_used"]
    facts = [
        request.id,
        clock_time(info["started_at"], now),
        info["client"],
        *purpose_of(info),
        f"{asked} -> {used}" if asked and used and asked != used else asked or used,
        f"first token after {milliseconds(info['ttft_ms'])}" if info["ttft_ms"] is not None else None,
        f"{tokens['input']:,} in ({tokens['cached']:,} cached)" if tokens and not tokens["estimated"] else None,
        f"{info['retries']} retried" if info["retries"] else None,
    ]
    why = f"{info['account']}: {info['account_reason']}" if info["account"] and info["account_reason"] else ""
    note: Fragment = ("red", info["error"]) if info["error"] else ("dim", why)
    lines: list[Line] = [_join_fitting([plain(fact) for fact in facts if fact], columns)]
    return [*lines, [("", "  "), (note[0], plain(note[1] or ""))]]


def _join_fitting(facts: Sequence[str], columns: int) -> Line:
    """As many of ``facts`` as fit, without cutting any."""
    text = "  " + facts[0]
    for fact in facts[1:]:
        longer = f"{text}  {fact}"
        text = longer if cell_width(longer) <= columns else text
    return [("dim", text)]
