"""``codexctl requests``, ``why`` and ``usage``: what was asked, what happened, and what it cost."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from codexctl.command import Command, Invocation, Values, argument, limit_argument, parse_since
from codexctl.render import requests as render_requests
from codexctl.terminal import Spinner, say

STATES = ("running", "done", "failed", "stopped", "cancelled")
GROUPINGS = ("model", "account", "day")
HISTORY_REQUESTS = 100
FOLLOW_REQUESTS = 10
KEPT_REQUESTS = 1000
"""How many ended requests the daemon keeps."""


def _requests(invocation: Invocation) -> None:
    given = invocation.arguments
    if given.follow:
        _Follow(invocation, given.state).run(FOLLOW_REQUESTS if given.limit is None else given.limit)
        return
    params = {"limit": HISTORY_REQUESTS if given.limit is None else given.limit}
    params |= {} if given.state is None else {"state": given.state}
    invocation.show(invocation.call("requests.list", params), partial(render_requests.requests, state=given.state))


class _Follow:
    """``codexctl requests -f``: a line when a request starts, a line when it ends, and below them what runs now."""

    def __init__(self, invocation: Invocation, state: str | None) -> None:
        self._invocation = invocation
        self._state = state
        self._running: dict[str, Any] = {}
        self._ended: dict[str, None] = {}
        """Ids, oldest first. After a lost connection the daemon reports these requests again."""
        self._progress = Spinner(invocation.environ)

    def run(self, limit: int) -> None:
        events = self._invocation.follow(
            "requests.follow",
            {"limit": limit},
            lambda params, _event: params | {"limit": KEPT_REQUESTS},
            tick_s=None if self._invocation.as_json else Spinner.TURN_S,
            on_lost=self._report_lost,
        )
        try:
            for event in events:
                self._take(event or {})
        finally:
            self._progress.clear()

    def _report_lost(self) -> None:
        """The daemon went away, and with it whatever was running."""
        self._progress.clear()
        lost, self._running = list(self._running.values()), {}
        for request in lost:
            if self._invocation.as_json:
                self._invocation.write([json.dumps({"lost": request["id"]})])
            else:
                self._invocation.write(render_requests.lost(request, self._invocation.style()))

    def _take(self, event: dict[str, Any]) -> None:
        match event:
            case {"request": request} if request["id"] not in self._ended:
                self._progress.clear()
                self._report(request)
            case {"missed": missed}:
                self._progress.clear()
                say(f"news of {missed} requests came too fast and was left out")
        if self._running and not self._invocation.as_json:
            self._progress.turn(render_requests.running(list(self._running.values()), time.time()))

    def _report(self, request: dict[str, Any]) -> None:
        is_running, is_new = request["state"] == "running", request["id"] not in self._running
        if not is_running:
            self._note_end(request["id"])
        elif request["model"] is not None:  # without a model, its body is still being received
            self._running[request["id"]] = request
        if self._state not in (None, request["state"]):
            return
        if self._invocation.as_json:
            self._invocation.write([json.dumps({"request": request})])
        elif not is_running:
            self._invocation.write(render_requests.ended(request, self._invocation.style()))
        elif is_new and request["id"] in self._running:
            self._invocation.write(render_requests.started(request, self._invocation.style()))

    def _note_end(self, request_id: str) -> None:
        self._running.pop(request_id, None)
        self._ended[request_id] = None
        if len(self._ended) > KEPT_REQUESTS:
            del self._ended[next(iter(self._ended))]


def _cancel(invocation: Invocation) -> None:
    request = invocation.call("requests.cancel", {"id": invocation.arguments.request})
    invocation.show(request, render_requests.cancelled)


def _why(invocation: Invocation) -> None:
    named = invocation.arguments.request
    result = invocation.call("requests.explain", {} if named is None else {"id": named})
    invocation.show(result, render_requests.explanation)


def _usage(invocation: Invocation) -> None:
    given = invocation.arguments
    params = {"by": given.by} | ({} if given.since is None else {"since": given.since})
    invocation.show(invocation.call("usage.summary", params), render_requests.usage)


COMMANDS = (
    Command(
        ("requests",),
        "List running and recent requests",
        "codexctl requests -n 5\ncodexctl requests -f\ncodexctl requests --state failed --json",
        _requests,
        (
            argument("-f", "--follow", action="store_true", help="print requests as they start and end"),
            limit_argument(HISTORY_REQUESTS, FOLLOW_REQUESTS),
            argument("--state", choices=STATES, help="only requests in this state"),
        ),
        details="Below the list, shows what went wrong with each request and what was lost in translating it.",
    ),
    Command(
        ("requests", "cancel"),
        "Cancel a running request",
        "codexctl requests cancel req_4f1c2a\ncodexctl requests cancel 4f1c",
        _cancel,
        (argument("request", metavar="ID", help="id of the request or its beginning", values=Values.RUNNING_REQUESTS),),
        details="Its client gets an error that says so.",
    ),
    Command(
        ("why",),
        "Explain what happened to a request and what to do about it",
        "codexctl why\ncodexctl why req_4f1c2a",
        _why,
        (
            argument(
                "request",
                nargs="?",
                metavar="ID",
                help="id of the request or its beginning (default: the last request that failed)",
                values=Values.REQUESTS,
            ),
        ),
    ),
    Command(
        ("usage",),
        "Show how many requests and tokens were used",
        "codexctl usage\ncodexctl usage --since 7d --by day\ncodexctl usage --by account",
        _usage,
        (
            argument(
                "--since", type=parse_since, metavar="AGE", help="only requests newer than AGE, such as 12h or 7d"
            ),
            argument(
                "--by", choices=GROUPINGS, default="model", help="one row per model (the default), account or day"
            ),
        ),
        details="Covers the whole history by default; the setting usage.retention_days limits it.",
    ),
)
