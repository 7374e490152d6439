"""What ``codexctl top`` shows in the place of its overview: help, the menu of accounts, a request's why. Pure."""

from __future__ import annotations

import textwrap

from codexctl.render.base import PROSE_WIDTH, Json, Style, counted, plain
from codexctl.render.requests import explanation
from codexctl.top.accounts import table
from codexctl.top.keys import KEYS
from codexctl.top.model import Model, Switching, Why, account_names
from codexctl.top.text import Line, cut_line

ABOUT = (
    (
        "Running requests come first, then those that ended, the newest on top. OUT and TOK/S of one that runs are "
        "estimated from its text, the rate over the last 5 seconds; at the end they are the backend's own, over the "
        "whole time. SILENT says how long an answer that has begun has not grown."
    ),
    "Quota bars are what is used up, and behind each is when it begins anew. * marks the active account.",
    "The same in a pipe: codexctl requests -f, codexctl status, codexctl quota.",
)


def help_lines(columns: int) -> list[Line]:
    lines: list[Line] = [[("bold", "Keys")]]
    lines += [[("bold", f"  {keys:15}"), ("", words)] for keys, words in KEYS]
    for text in ABOUT:
        lines += [[("", "")], *prose(text, columns)]
    return lines


def menu_lines(model: Model, menu: Switching, columns: int, now: float) -> list[Line]:
    """The accounts, the one to switch to marked, and what the switch means."""
    names = account_names(model.accounts)
    head, *rows = table(model.accounts, names, columns, now)
    lines: list[Line] = [[("bold", "Switch to which account?")], [("", "")], head]
    for account, line in zip(model.accounts, rows, strict=True):
        is_chosen = account["id"] == menu.account
        whole = cut_line(line, columns)
        lines.append([("reverse", text) for _, text in whole] if is_chosen else whole)
    chosen = model.account(menu.account)
    if chosen is not None:
        lines.append([("", "")])
        for text in (_cost_words(chosen, menu), chosen["reason"] or ""):
            lines += prose(text, columns) if text else []
    return lines


def _cost_words(account: Json, menu: Switching) -> str:
    name = account["email"] or account["id"]
    if account["active"]:
        return f"{name} is the active account."
    if menu.cost is None:
        return ""
    cost = menu.cost
    if not cost["sessions"]:
        return f"A switch to {name} costs nothing: no session of the last hour is on another account."
    dropped = (
        f", and {counted(cost['reasoning_items'], 'piece')} of reasoning dropped" if cost["reasoning_items"] else ""
    )
    return (
        f"A switch to {name} moves {counted(cost['sessions'], 'session')} of the last hour: "
        f"{counted(cost['tokens'], 'token')} to be read again without the prompt cache{dropped}. Requests under way "
        "finish where they are."
    )


def why_lines(why: Why, columns: int, now: float) -> list[Line]:
    """``requests.explain``, as ``codexctl why`` has it."""
    lines: list[Line] = [[("bold", f"Why: {why.request}")], [("", "")]]
    if why.problem:
        return [*lines, *prose(why.problem, columns, "yellow")]
    if why.explanation is None:
        return [*lines, [("dim", "  Asking ...")]]
    title, *rest = explanation(why.explanation, Style(now, columns))
    return [[("bold", title)], *([("", line)] for line in rest)]


def scrolled(lines: list[Line], top: int, rows: int) -> list[Line]:
    """``rows`` of ``lines`` from ``top`` on, or the last ones; a mark says that there are more."""
    first = min(top, max(0, len(lines) - rows))
    shown = lines[first : first + rows]
    if first + rows < len(lines):
        shown[-1] = [("dim", f"  {len(lines) - first - rows + 1} more lines below")]
    return shown


def prose(text: str, columns: int, style: str = "") -> list[Line]:
    return [[(style, f"  {line}")] for line in _wrap(text, columns, 2)]


def _wrap(text: str, columns: int, indent: int) -> list[str]:
    width = min(columns, PROSE_WIDTH) - indent
    return textwrap.wrap(plain(text), max(width, 20), break_on_hyphens=False)
