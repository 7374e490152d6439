"""What ``codexctl accounts add`` prints while it waits. Pure."""

from __future__ import annotations

from enum import Enum

from codexctl.render.base import ADD, Json, Style, duration, plain


class Browser(Enum):
    """``OPENS``: one is started here. ``ABSENT``: none can be seen here. ``ELSEWHERE``: the user opens one."""

    OPENS = "opens"
    ABSENT = "absent"
    ELSEWHERE = "elsewhere"


def instructions(flow: Json, style: Style, *, browser: Browser, can_paste: bool) -> list[str]:
    """``accounts.login.start``. The address stands on a line of its own, whole and unindented, to be copied."""
    match flow["method"]:
        case "device":
            return _device(flow, style)
        case "manual":
            return _manual(flow, style)
    return _browser(flow, style, browser, can_paste=can_paste)


def _browser(flow: Json, style: Style, browser: Browser, *, can_paste: bool) -> list[str]:
    where = "Open this address in a browser on this machine, and sign in there:"
    if browser is Browser.OPENS:
        where = "Sign in in the browser that opens now. If none does, open this address on this machine:"
    lines = [*style.prose(where), "", plain(flow["url"]), ""]
    if can_paste:
        lines += style.prose(
            "A browser on another machine can't come back to codexd: paste the address that it ends at here, and "
            "press Enter. What is pasted is not shown."
        )
        lines.append("")
    if browser is Browser.ABSENT:
        lines += style.prose("No browser can be started from here. A code that is typed on any device may be easier:")
        lines += [f"  {ADD} --device", ""]
    return lines


def _manual(flow: Json, style: Style) -> list[str]:
    return [
        *style.prose("Open this address in any browser, and sign in there:"),
        "",
        plain(flow["url"]),
        "",
        *style.prose(
            "The browser ends at an address that begins with http://localhost, perhaps with an error shown there: "
            f"only the address counts. Paste it here within {_time_left(flow, style.now)}."
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
        plain(flow["url"]),
        "",
        *lines,
        "",
    ]


def _time_left(flow: Json, now: float) -> str:
    return duration(round((flow["expires_at"] - now) / 60) * 60)


def waiting(flow: Json, left_s: float) -> str:
    what = "the code to be entered" if flow["method"] == "device" else "the browser"
    return f"waiting for {what}: {duration(left_s)} left; Ctrl-C gives up"
