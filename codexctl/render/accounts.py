"""What the commands for accounts print: results from the control socket in, lines of text out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from codexctl.render.format import (
    ADD,
    STATE_COLOURS,
    USED_UP_PERCENT,
    Json,
    ago,
    bar,
    bar_cells,
    clock_time,
    counted,
    duration,
    name_of,
    plan_windows,
    state_words,
    until,
)
from codexctl.render.table import Cell, natural_width, table
from codexctl.render.text import Style, cell_width, pad, plain

SWITCH = "codexctl accounts switch"


def no_accounts(style: Style) -> list[str]:
    return [
        *style.prose("No account is signed in. Sign in to ChatGPT, or import the login of the Codex CLI:"),
        f"  {ADD}",
        "  codexctl accounts import",
    ]


def accounts_with_ids(result: Json, style: Style) -> list[str]:
    """``accounts.list`` with a column for the ids."""
    return accounts(result, style, ids=True)


def accounts(result: Json, style: Style, *, ids: bool = False) -> list[str]:
    """``accounts.list``: one row per account, the active one marked, and notes below."""
    listed = result["accounts"]
    if not listed:
        return no_accounts(style)
    headings = ["", "ACCOUNT", "STATE", "QUOTA", "RESETS"]
    rows = [_account_row(each, style) for each in listed]
    lines = _table_with_ids(headings, rows, listed, style) if ids else table(headings, rows, style, cut_first=1)
    for each in listed:
        lines += _account_notes(each, style)
    if result["active"] is None:
        lines += ["", *style.prose(f"No account is active. Choose one with: {SWITCH} NAME")]
    return lines


def _table_with_ids(
    headings: Sequence[str], rows: Sequence[list[Cell]], listed: Sequence[Json], style: Style
) -> list[str]:
    """The ids are a column of their own, or a line for each account below if that would cut them."""
    widened = (
        [*headings, "ID, WORKSPACE"],
        [[*row, Cell([plain(each["id"]), plain(each["workspace"])])] for row, each in zip(rows, listed, strict=True)],
    )
    if style.width is None or natural_width(*widened) <= style.width:
        return table(*widened, style)
    lines = [*table(headings, rows, style, cut_first=1), ""]
    for each in listed:
        lines += style.wrap_line(plain(f"{each['label']}: id {each['id']}, workspace {each['workspace']}"))
    return lines


def _account_row(account: Json, style: Style) -> list[Cell]:
    now = style.now
    used = f"used {ago(account['last_used'], now)}" if account["last_used"] else "not used yet"
    name = [plain(account["label"]), f"  {plain(account['plan'])}, {used}"]
    state = [state_words(account["state"])]
    if account["limited_until"] and account["limited_until"] > now:
        state.append(f"for {duration(account['limited_until'] - now)}")
    if account["simulated"]:
        state.append("simulated")
    return [
        Cell(["*" if account["active"] else ""], "bold"),
        Cell(name),
        Cell(state, STATE_COLOURS.get(account["state"], "red")),
        *_quota_cells(account, style),
    ]


def _quota_cells(account: Json, style: Style) -> list[Cell]:
    windows = plan_windows(account)
    if not windows:
        return [Cell(["not known yet"], "dim"), Cell([""])]
    names = [plain(window["name"]) for window in windows]
    width = max(map(cell_width, names))
    cells = bar_cells(style.width)
    bars = [
        f"{pad(name, width)} {bar(window['used_percent'], cells)}" for name, window in zip(names, windows, strict=True)
    ]
    resets = [until(window["resets_at"], style.now) if window["resets_at"] else "" for window in windows]
    if account["quota_stale"]:
        return [Cell([*bars, "stale"], "dim"), Cell(resets, "dim")]
    return [Cell(bars), Cell(resets)]


def _account_notes(account: Json, style: Style) -> list[str]:
    name = account["label"]
    notes = [f"{name}: {account['reason']}"] if account["reason"] else []
    if account["followed"]:
        notes.append(f"{name} follows {account['followed']}")
    return style.paragraphs(notes)


def signed_in(result: Json, listed: Json, style: Style) -> list[str]:
    """The end of a sign-in; ``listed`` is the result of ``accounts.list`` after it."""
    account = result["account"]
    done = "Signed in" if result["added"] else "Signed in again"
    lines = [f"{done}: {style.paint(name_of(account), 'bold')}, plan {plain(account['plan'])}."]
    infos = {info["id"]: info for info in listed["accounts"]}
    if infos.get(account["id"], {}).get("state") == "disabled":
        lines += ["This account is disabled. Enable it with:", f"  codexctl accounts enable {plain(account['label'])}"]
    if listed["active"] == account["id"]:
        return [*lines, "It is the active account."]
    active = infos.get(listed["active"])
    stays = f"{name_of(active)} stays the active account." if active else "No account is active."
    return [
        *lines,
        *style.prose(f"{stays} Switch to the new one with:"),
        f"  {SWITCH} {plain(account['label'])}",
    ]


def imported(result: Json, style: Style) -> list[str]:
    """``accounts.import``."""
    lines = [f"Added {name_of(account)}." for account in result["added"]]
    lines += [f"Updated {name_of(account)}." for account in result["updated"]]
    lines += [f"Kept {name_of(account)} unchanged." for account in result["kept"]]
    for problem in result["problems"]:
        lines += style.prose(f"Problem: {problem}")
    lines = lines or ["Nothing to import was found."]
    return lines + style.paragraphs([result["note"]])


def switched(result: Json, style: Style) -> list[str]:
    """``accounts.switch``, done or as a dry run."""
    account, previous = result["account"], result["previous"]
    if previous is not None and previous["id"] == account["id"]:
        return [f"{name_of(account)} is already the active account.", *_warning(result, style)]
    if result["switched"]:
        before = f", instead of {name_of(previous)}" if previous else ""
        lines = style.prose(f"{name_of(account)} is now the active account{before}.") + _warning(result, style)
        return lines + (_cost_lines(result["cost"]) if result["cost"]["sessions"] else [])
    stays = f"{name_of(previous)} stays the active account" if previous else "no account is active"
    return [
        *style.prose(f"Switching to {name_of(account)} would mean:"),
        *_cost_lines(result["cost"]),
        *_warning(result, style),
        *style.prose(f"This was a dry run: {stays}."),
    ]


def _warning(result: Json, style: Style) -> list[str]:
    return style.prose(f"Warning: {result['warning']}") if result.get("warning") else []


def _cost_lines(cost: Json) -> list[str]:
    if not cost["sessions"]:
        return ["  no cost: no session from the last hour uses another account"]
    pieces = counted(cost["reasoning_items"], "piece")
    return [
        f"  sessions moved     {cost['sessions']:,}, from the last hour",
        f"  reasoning dropped  {pieces}"
        + (", which only the other account can read" if cost["reasoning_items"] else ""),
        f"  input to reread    {counted(cost['tokens'], 'token')}, without the prompt cache",
    ]


def removed(result: Json, style: Style) -> list[str]:
    """``accounts.remove``."""
    revoked = " Its login was revoked at the sign-in server." if result["revoked"] else ""
    lines = style.prose(f"Removed {name_of(result['account'])}.{revoked}")
    return lines + (style.prose(result["note"]) if result["note"] else [])


def cleared(result: Json, _style: Style) -> list[str]:
    """``accounts.clear``."""
    removed_ = counted(result["removed"], "account")
    return [f"Removed {removed_}." if result["removed"] else "There are no accounts to remove."]


def changed(result: Json, style: Style) -> list[str]:
    """``accounts.enable`` and ``.disable``."""
    account = result["account"]
    name = name_of(account)
    if account["state"] == "disabled":
        text = f"{name} is disabled. `codexctl accounts enable` enables it again."
        if account["active"]:
            text += " It is the active account: requests are refused until you switch to another."
        return style.prose(text)
    lines = style.prose(f"{name} is enabled.")
    if account["state"] == "limited":
        used_up = [window for window in plan_windows(account) if window["used_percent"] >= USED_UP_PERCENT]
        at = account["limited_until"] or max((window["resets_at"] or 0.0 for window in used_up), default=0.0)
        until_ = f" until {clock_time(at, style.now)} ({until(at, style.now)})" if at else ""
        lines += style.prose(f"Its plan is still used up{until_}, so the backend refuses its requests.")
    return lines + (style.prose(account["reason"]) if account["reason"] else [])


def checked(result: Json, style: Style) -> list[str]:
    """``accounts.refresh`` and ``.verify``."""
    if not result["results"]:
        return no_accounts(style)
    lines = []
    for each in result["results"]:
        outcome, colour = ("ok    ", "green") if each["ok"] else ("failed", "red")
        lines += [f"{style.paint(outcome, colour)}  {name_of(each['account'])}", *style.prose(each["message"], " " * 8)]
    return lines


def access_token(result: Json, _style: Style) -> list[str]:
    """``accounts.token``: the token alone, for scripts."""
    return [plain(result["access_token"])]


class Browser(Enum):
    """Who opens the browser for a sign-in."""

    CODEXCTL = "codexctl"
    USER = "user"
    NOBODY_HERE = "nobody here"
    """The user would not see a browser that this machine opened."""


def cancelled_sign_ins(result: Json, _style: Style) -> list[str]:
    """``accounts.login.cancel``."""
    count = result["cancelled"]
    if not count:
        return ["No sign-in was under way."]
    return ["The sign-in was cancelled." if count == 1 else f"{count} sign-ins were cancelled."]


def instructions(flow: Json, style: Style, *, browser: Browser, can_paste: bool) -> list[str]:
    """``accounts.login.start``. The address is on a line by itself, so that it can be copied."""
    match flow["method"]:
        case "device":
            return _device(flow, style)
        case "manual":
            return _manual(flow, style)
    return _browser(flow, style, browser, can_paste=can_paste)


def _browser(flow: Json, style: Style, browser: Browser, *, can_paste: bool) -> list[str]:
    where = "Open this address in a browser on this machine, and sign in there:"
    if browser is Browser.CODEXCTL:
        where = "Sign in with the browser that opens now. If none opens, open this address on this machine:"
    lines = [*style.prose(where), "", style.link(flow["url"]), ""]
    if can_paste:
        lines += style.prose(
            "A browser on another machine can't return to codexd. If you use one, paste the address where it ends up "
            "here and press Enter. The pasted text is not shown."
        )
        lines.append("")
    if browser is Browser.NOBODY_HERE:
        lines += style.prose("No browser can be opened from here. Entering a code on another device may be easier:")
        lines += [f"  {ADD} --device", ""]
    return lines


def _manual(flow: Json, style: Style) -> list[str]:
    return [
        *style.prose("Open this address in any browser, and sign in there:"),
        "",
        style.link(flow["url"]),
        "",
        *style.prose(
            "The browser ends up at an address that begins with http://localhost or http://127.0.0.1. The page may "
            f"show an error; only its address matters. Paste it here within {_time_left(flow, style.now)}."
        ),
    ]


def _device(flow: Json, style: Style) -> list[str]:
    code = plain(flow["user_code"] or "")
    shown = f"Code: {code}"
    lines = [f"  {shown}"]
    if style.width is not None:
        edge = "─" * (len(code) + 6)
        lines = [f"  ┌{edge}┐", f"  │   {style.paint(code, 'bold')}   │", f"  └{edge}┘"]
    return [
        *style.prose(
            f"Open this address on any device, and enter the code there within {_time_left(flow, style.now)}:"
        ),
        "",
        style.link(flow["url"]),
        "",
        *lines,
        "",
        *style.prose(
            "If the page says that device codes are switched off, enable them in ChatGPT's security settings, or sign "
            f"in with a browser: {ADD}"
        ),
        "",
    ]


def _time_left(flow: Json, now: float) -> str:
    return duration(round((flow["expires_at"] - now) / 60) * 60)


def waiting(flow: Json, left_s: float) -> str:
    """The progress line of a sign-in."""
    what = "the code" if flow["method"] == "device" else "the browser"
    return f"waiting for {what}: {duration(left_s)} left, Ctrl-C cancels"
