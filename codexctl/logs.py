"""``codexctl logs``."""

from __future__ import annotations

import json
import math
from typing import Any

from codexctl.follow import follow
from codexctl.invocation import Command, Invocation, Values, argument
from codexctl.options import limit_argument, since
from codexctl.render import logs as render_logs
from codexctl.terminal import say

LEVELS = ("debug", "info", "warning", "error", "critical")
HISTORY_ENTRIES = 100
FOLLOW_ENTRIES = 10
CATCH_UP_ENTRIES = 1000
"""What a daemon that came back may have logged before this program noticed."""


def _logs(invocation: Invocation) -> None:
    given = invocation.arguments
    filters = {"level": given.level, "since": given.since, "contains": given.grep, "request": given.request}
    params = {name: value for name, value in filters.items() if value is not None}
    if given.follow:
        _follow_logs(invocation, params | {"limit": FOLLOW_ENTRIES if given.limit is None else given.limit})
    else:
        params["limit"] = HISTORY_ENTRIES if given.limit is None else given.limit
        invocation.show(invocation.call("logs.history", params), render_logs.log_entries)


def _follow_logs(invocation: Invocation, params: dict[str, Any]) -> None:
    for event in follow(invocation.socket, "logs.follow", params, resume_logs):
        match event:
            case dict() if invocation.as_json:
                invocation.write([json.dumps({key: event[key] for key in event if key != "subscription"})])
            case {"entry": entry}:
                invocation.write(render_logs.log_entry(entry, invocation.style()))
            case {"missed": missed}:
                say(f"too slow for {missed} entries, which are left out")


def resume_logs(params: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """As ``follow.follow`` wants it."""
    if "entry" not in event:
        return params
    return params | {"limit": CATCH_UP_ENTRIES, "since": math.nextafter(event["entry"]["at"], math.inf)}


LOG_COMMANDS = (
    Command(
        ("logs",),
        "Show the log of the daemon",
        "codexctl logs -f --level warning",
        _logs,
        (
            argument("-f", "--follow", action="store_true", help="go on as entries come"),
            limit_argument(HISTORY_ENTRIES, FOLLOW_ENTRIES),
            argument("--level", choices=LEVELS, help="only entries of this level and above"),
            argument("--since", type=since, metavar="AGO", help="only entries since so long ago, such as 10m or 2h"),
            argument("--grep", metavar="TEXT", help="only entries that contain TEXT, in either case"),
            argument(
                "--request",
                metavar="ID",
                help="only entries of this request; the beginning of its id is enough",
                values=Values.REQUESTS,
            ),
        ),
        details="Followed across restarts of the daemon, in a pipe too.",
    ),
)
