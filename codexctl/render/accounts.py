"""What the commands on accounts print: results of the control socket in, lines of text out. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from codexctl.render.base import (
    ADD,
    STATE_COLOURS,
    Cell,
    Json,
    Style,
    ago,
    bar,
    counted,
    duration,
    name_of,
    plain,
    plan_windows,
    table,
    until,
)

SWITCH = "codexctl accounts switch"
SHORTEST_ID = 8


def nobody(style: Style) -> list[str]:
    return [
        *style.prose("No account is signed in. To sign in to ChatGPT, or to take over the login of the Codex CLI:"),
        f"  {ADD}",
        "  codexctl accounts import",
    ]


def accounts(result: Json, style: Style) -> list[str]:
    """``accounts.list``: a row an account, the active one marked, and below it what is to be known of any."""
    listed = result["accounts"]
    if not listed:
        return nobody(style)
    workspaces = _tell_apart(listed)
    headings = ("", "ACCOUNT", "STATE", "QUOTA", "RESETS")
    lines = table(headings, (_account_row(each, workspaces, style.now) for each in listed), style, cut_first=1)
    for each in listed:
        lines += _account_notes(each, workspaces, style)
    if result["active"] is None:
        lines += ["", *style.prose(f"None is active. To choose one: {SWITCH} NAME")]
    return lines


def _tell_apart(listed: Iterable[Json]) -> dict[str, str]:
    """By account id, a short workspace id for each of those that share an e-mail."""
    sharing = defaultdict(list)
    for each in listed:
        sharing[each["email"]].append(each)
    short: dict[str, str] = {}
    for email, group in sharing.items():
        if email and len(group) > 1:
            length = _distinct_length([each["workspace"] for each in group])
            short |= {each["id"]: plain(each["workspace"][:length]) for each in group}
    return short


def _distinct_length(names: Sequence[str]) -> int:
    longest = max(len(name) for name in names)
    lengths = (length for length in range(SHORTEST_ID, longest) if len({name[:length] for name in names}) == len(names))
    return next(lengths, longest)


def _account_row(account: Json, workspaces: Mapping[str, str], now: float) -> list[Cell]:
    used = f"used {ago(account['last_used'], now)}" if account["last_used"] else "not used yet"
    name = [plain(account["email"] or account["id"]), f"  {plain(account['plan'])}, {used}"]
    if account["id"] in workspaces:
        name.append(f"  workspace {workspaces[account['id']]}")
    state = [account["state"].replace("_", " ")]
    if account["limited_until"] and account["limited_until"] > now:
        state.append(f"for {duration(account['limited_until'] - now)}")
    if account["simulated"]:
        state.append("simulated")
    return [
        Cell(["*" if account["active"] else ""], "bold"),
        Cell(name),
        Cell(state, STATE_COLOURS.get(account["state"], "red")),
        *_quota_cells(account, now),
    ]


def _quota_cells(account: Json, now: float) -> list[Cell]:
    windows = plan_windows(account)
    if not windows:
        return [Cell(["not known yet"], "dim"), Cell([""])]
    width = max(len(window["name"]) for window in windows)
    bars = [f"{plain(window['name']):{width}} {bar(window['used_percent'])}" for window in windows]
    resets = [until(window["resets_at"], now) if window["resets_at"] else "" for window in windows]
    if account["quota_stale"]:
        return [Cell([*bars, "stale"], "dim"), Cell(resets, "dim")]
    return [Cell(bars), Cell(resets)]


def _account_notes(account: Json, workspaces: Mapping[str, str], style: Style) -> list[str]:
    name = account["email"] or account["id"]
    if account["id"] in workspaces:
        name += f" (workspace {workspaces[account['id']]})"
    notes = [f"{name}: {account['reason']}"] if account["reason"] else []
    if account["followed"]:
        notes.append(f"{name} follows {account['followed']}")
    return [line for note in notes for line in ("", *style.prose(note))]


def signed_in(result: Json, listed: Json, style: Style) -> list[str]:
    """The end of a sign-in; ``listed`` is what ``accounts.list`` says after it."""
    account = result["account"]
    words = "Signed in" if result["added"] else "Signed in again"
    lines = [f"{words}: {style.paint(name_of(account), 'bold')}, plan {plain(account['plan'])}."]
    infos = {info["id"]: info for info in listed["accounts"]}
    if infos.get(account["id"], {}).get("state") == "disabled":
        lines += ["It is disabled. To use it:", f"  codexctl accounts enable {account['id']}"]
    if listed["active"] == account["id"]:
        return [*lines, "It is the active account."]
    active = infos.get(listed["active"])
    stays = f"{name_of(active)} stays the active account." if active else "No account is active."
    return [
        *lines,
        *style.prose(f"{stays} To use the new login:"),
        f"  {SWITCH} {_argument_for(account, infos.values())}",
    ]


def _argument_for(account: Json, listed: Iterable[Json]) -> str:
    """What to type for ``account``: its e-mail, unless another one has the same."""
    same = [info for info in listed if info["email"] == account["email"]]
    return plain(account["email"] if account["email"] and len(same) <= 1 else account["id"])


def imported(result: Json, style: Style) -> list[str]:
    """``accounts.import``."""
    lines = [f"Added {name_of(account)}." for account in result["added"]]
    lines += [f"Updated {name_of(account)}." for account in result["updated"]]
    lines += [f"Kept {name_of(account)} as it was." for account in result["kept"]]
    for problem in result["problems"]:
        lines += style.prose(f"Problem: {problem}")
    lines = lines or ["Nothing was found to import."]
    return lines + (["", *style.prose(result["note"])] if result["note"] else [])


def switched(result: Json, style: Style) -> list[str]:
    """``accounts.switch``, done or as a dry run."""
    account, previous = result["account"], result["previous"]
    if previous is not None and previous["id"] == account["id"]:
        return [f"{name_of(account)} is the active account already."]
    if result["switched"]:
        before = f", in place of {name_of(previous)}" if previous else ""
        lines = style.prose(f"{name_of(account)} is now the active account{before}.")
        return lines + (_cost_lines(result["cost"]) if result["cost"]["sessions"] else [])
    stays = f"{name_of(previous)} stays" if previous else "none is"
    return [
        *style.prose(f"A switch to {name_of(account)} means:"),
        *_cost_lines(result["cost"]),
        *style.prose(f"Nothing was switched: {stays} the active account."),
    ]


def _cost_lines(cost: Json) -> list[str]:
    if not cost["sessions"]:
        return ["  nothing: no session of the last hour is on another account"]
    pieces = counted(cost["reasoning_items"], "piece")
    return [
        f"  sessions touched   {cost['sessions']:,}, of the last hour",
        f"  reasoning dropped  {pieces}"
        + (", which only the former account can read" if cost["reasoning_items"] else ""),
        f"  to be read again   {counted(cost['tokens'], 'token')}, without the prompt cache",
    ]


def removed(result: Json, style: Style) -> list[str]:
    """``accounts.remove``."""
    ended = " Its login was ended at the sign-in server." if result["revoked"] else ""
    lines = style.prose(f"Removed {name_of(result['account'])}.{ended}")
    return lines + (style.prose(result["note"]) if result["note"] else [])


def cleared(result: Json, _style: Style) -> list[str]:
    """``accounts.clear``."""
    return [f"Removed {counted(result['removed'], 'account')}." if result["removed"] else "There was none to remove."]


def changed(result: Json, style: Style) -> list[str]:
    """``accounts.enable`` and ``.disable``."""
    account = result["account"]
    name, active = name_of(account), " It is the active account:" if account["active"] else ""
    if account["state"] == "disabled":
        refused = f"{active} requests are refused until you switch to another." if active else ""
        return style.prose(f"{name} is out of use, until `codexctl accounts enable`.{refused}")
    lines = style.prose(f"{name} is in use.")
    return lines + (style.prose(account["reason"]) if account["reason"] else [])


def checked(result: Json, style: Style) -> list[str]:
    """``accounts.refresh`` and ``.verify``."""
    if not result["results"]:
        return nobody(style)
    lines = []
    for each in result["results"]:
        word, colour = ("ok    ", "green") if each["ok"] else ("failed", "red")
        lines += [f"{style.paint(word, colour)}  {name_of(each['account'])}", *style.prose(each["message"], " " * 8)]
    return lines


def access_token(result: Json, _style: Style) -> list[str]:
    """``accounts.token``: nothing else, for it is read by scripts."""
    return [plain(result["access_token"])]
