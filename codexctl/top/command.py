"""``codexctl top``: whether it can be shown here. The screen itself is in ``screen.py``."""

from __future__ import annotations

import sys

from codexctl.invocation import EXIT_USAGE, Command, Invocation, Stop


def _top(invocation: Invocation) -> None:
    if invocation.as_json:
        raise Stop(EXIT_USAGE, "top is a screen, which JSON is not. The same as JSON: codexctl requests -f --json")
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or invocation.environ.get("TERM") == "dumb":
        raise Stop(EXIT_USAGE, "top needs a terminal that can draw. In a pipe: codexctl requests -f")
    invocation.call("daemon.status")  # no daemon is said before the screen changes
    from codexctl.top.screen import show_top  # noqa: PLC0415 - only here is prompt_toolkit needed

    show_top(invocation)


TOP_COMMANDS = (
    Command(
        ("top",),
        "Watch requests, accounts, tasks and errors live, on the whole screen",
        "codexctl top",
        _top,
        details="? shows its keys: why, switch account, cancel, filter. q quits.",
    ),
)
