"""``codexctl top``: the daemon live on one screen. All its modules but ``screen`` and ``feed`` are pure."""

from __future__ import annotations

import sys

from codexctl.command import EXIT_USAGE, Command, Invocation, Stop


def _top(invocation: Invocation) -> None:
    if invocation.as_json:
        raise Stop(EXIT_USAGE, "top has no JSON output. For requests as JSON, use: codexctl requests -f --json")
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or invocation.environ.get("TERM") == "dumb":
        raise Stop(EXIT_USAGE, "top needs a full-screen terminal. Without one, use: codexctl requests -f")
    invocation.call("daemon.status")  # without a daemon, this fails before the screen changes
    from codexctl.top.screen import show_top  # noqa: PLC0415 - prompt_toolkit takes 200 ms

    show_top(invocation)


COMMANDS = (
    Command(
        ("top",),
        "Watch requests, accounts, tasks and errors live on a full screen",
        "codexctl top\nNO_COLOR=1 codexctl top",
        _top,
        details="Press ? for its keys and q to quit.",
    ),
)
