"""The commands for the daemon itself: ``codexctl status``, ``logs``, ``reload``, ``restart`` and ``stop``."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

from codexctl.command import EXIT_REFUSED, Command, Invocation, Stop, Values, argument, limit_argument, parse_since
from codexctl.render import daemon as render_daemon
from codexctl.render import settings as render_settings
from codexctl.terminal import say

LEVELS = ("debug", "info", "warning", "error", "critical")
HISTORY_ENTRIES = 100
FOLLOW_ENTRIES = 10
RESTART_TIMEOUT_S = 200.0
"""Longer than the daemon waits for a new one to load, to get the accounts, and to begin serving."""

CATCH_UP_ENTRIES = 1000
"""How many entries a restarted daemon may have logged before this program noticed it."""


def _status(invocation: Invocation) -> None:
    result = invocation.call("daemon.status")
    can_serve = result["serving"]["possible"]
    invocation.show(result, render_daemon.full_status if invocation.arguments.verbose else render_daemon.status)
    if not can_serve:
        raise Stop(EXIT_REFUSED)


def _logs(invocation: Invocation) -> None:
    given = invocation.arguments
    filters = {"level": given.level, "since": given.since, "contains": given.grep, "request": given.request}
    params = {name: value for name, value in filters.items() if value is not None}
    if given.follow:
        _follow_logs(invocation, params | {"limit": FOLLOW_ENTRIES if given.limit is None else given.limit})
    else:
        params["limit"] = HISTORY_ENTRIES if given.limit is None else given.limit
        wanted = [f"--{name} {getattr(given, name)}" for name in ("level", "grep", "request") if getattr(given, name)]
        render = partial(render_daemon.log_entries, filters=wanted + ["--since"] * (given.since is not None))
        invocation.show(invocation.call("logs.history", params), render)


def _follow_logs(invocation: Invocation, params: dict[str, Any]) -> None:
    for event in invocation.follow("logs.follow", params, _resume):
        match event:
            case dict() if invocation.as_json:
                invocation.write([json.dumps({key: event[key] for key in event if key != "subscription"})])
            case {"entry": entry}:
                invocation.write(render_daemon.log_entry(entry, invocation.style()))
            case {"missed": missed}:
                say(f"{missed} entries came too fast and were left out")


def _resume(params: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Go on after the last entry that was shown."""
    if "entry" not in event:
        return params
    return params | {"limit": CATCH_UP_ENTRIES, "since": math.nextafter(event["entry"]["at"], math.inf)}


def _reload(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.reload"), render_settings.changed)


def _restart(invocation: Invocation) -> None:
    result = invocation.call("daemon.restart", reply_timeout_s=RESTART_TIMEOUT_S, doing="starting a new codexd")
    invocation.show(result, render_daemon.restarted)


def _stop(invocation: Invocation) -> None:
    with invocation.connect(doing="waiting for codexd to stop") as client:
        stopping = client.call("daemon.stop")
        invocation.show(stopping, render_daemon.stopping)
        client.wait_until_closed()  # the daemon hangs up once it has stopped
    if not invocation.as_json:
        invocation.write(render_daemon.stopped(stopping, invocation.style()))


COMMANDS = (
    Command(
        ("status",),
        "Show whether requests can be served, and what is wrong",
        "codexctl status\ncodexctl status --verbose\ncodexctl status --json",
        _status,
        (argument("--verbose", action="store_true", help="show every task and bound, too"),),
        details="The exit status is 1 if no request could be served.",
    ),
    Command(
        ("logs",),
        "Show the log of the daemon",
        "codexctl logs\ncodexctl logs -f --level warning\ncodexctl logs --since 10m --grep work",
        _logs,
        (
            argument("-f", "--follow", action="store_true", help="print new entries as they arrive"),
            limit_argument(HISTORY_ENTRIES, FOLLOW_ENTRIES),
            argument("--level", choices=LEVELS, help="only entries of this level or above"),
            argument("--since", type=parse_since, metavar="AGE", help="only entries newer than AGE, such as 10m or 2h"),
            argument("--grep", metavar="TEXT", help="only entries that contain TEXT, ignoring case"),
            argument(
                "--request",
                metavar="ID",
                help="only entries about this request; the beginning of its id is enough",
                values=Values.REQUESTS,
            ),
        ),
        details="With -f, continues after codexd restarts, even in a pipe.",
    ),
    Command(("reload",), "Reread the settings file", "codexctl reload\ncodexctl reload --json", _reload),
    Command(
        ("restart",),
        "Restart codexd without interrupting requests",
        "codexctl restart\ncodexctl restart --json",
        _restart,
        details=(
            "Use it after an upgrade, or for settings that take effect at a restart. A new process takes over and "
            "serves all requests from then on, while the old one finishes those that run. If the new one can't start, "
            "the old one goes on. It keeps codexd's arguments and environment."
        ),
    ),
    Command(
        ("stop",),
        "Stop codexd once the running requests have finished",
        "codexctl stop\ncodexctl stop --socket /run/user/1000/codexd/control.sock",
        _stop,
        details="Waits until it has stopped.",
    ),
)
