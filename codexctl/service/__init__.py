"""Running codexd as a service of the user: which files that takes, and how systemd or launchd is told.

The commands of ``codexctl service`` are listed here. What they do is in ``actions``, imported when one of them runs,
because this table is loaded for every Tab press.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable

from codexctl.command import Command, Invocation, Values, argument, limit_argument, parse_since

LOG_LINES, FOLLOW_LINES = 100, 10
MAX_PORT = 65535


def _action(name: str) -> Callable[[Invocation], None]:
    """The function ``name`` of ``actions``."""

    def run(invocation: Invocation) -> None:
        getattr(importlib.import_module("codexctl.service.actions"), name)(invocation)

    return run


def parse_port(text: str) -> int:
    """A port number."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f'"{text}" is not a port from 1 to {MAX_PORT}')
    return int(text)


_YES = argument("--yes", action="store_true", help="do it without asking")
_DRY_RUN = argument("--dry-run", action="store_true", help="only show what would be done")
_REPLACE = argument("--replace", action="store_true", help="replace service files that are edited or from elsewhere")

COMMANDS = (
    Command(
        ("service",),
        "Keep codexd running as a service, or show how that is going",
        "codexctl service\ncodexctl service --json",
        _action("show_status"),
        needs_daemon=False,
    ),
    Command(
        ("service", "install"),
        "Install codexd as a service of your own, which starts by itself",
        "codexctl service install\ncodexctl service install --dry-run\ncodexctl service install --linger --yes\n"
        "codexctl service install --port 9000 --env HTTPS_PROXY",
        _action("install_service"),
        (
            argument("--home", metavar="DIR", help="home of the daemon (default: $CODEXD_HOME)", values=Values.FILES),
            argument("--host", metavar="HOST", help="address to listen on (default: the setting server.host)"),
            argument(
                "--port", metavar="N", type=parse_port, help="port to listen on (default: the setting server.port)"
            ),
            argument("--env", metavar="NAME", action="append", default=[], help="copy this variable from your shell"),
            argument("--linger", action="store_true", help="start at boot, and go on when you log out (systemd)"),
            argument("--now", action="store_true", help="stop a codexd that runs already and would be in the way"),
            _REPLACE,
            _YES,
            _DRY_RUN,
        ),
        details="Uses systemd's user manager on Linux and launchd on macOS. Shows what it will do, and asks. It needs "
        "no root. Run it again after a change of server.host or server.port; other settings need only "
        "`codexctl service restart`. `codexctl service uninstall` undoes everything.",
        needs_daemon=False,
    ),
    Command(
        ("service", "uninstall"),
        "Stop the service and remove what install has written",
        "codexctl service uninstall\ncodexctl service uninstall --dry-run",
        _action("uninstall_service"),
        (_YES, _DRY_RUN),
        details="Accounts, settings and history stay.",
        needs_daemon=False,
    ),
    Command(
        ("service", "status"),
        "Show whether the service runs, and whether it matches this codexctl",
        "codexctl service status\ncodexctl service status --json",
        _action("show_status"),
        details="The exit status is 1 if it is not installed or something is wrong.",
        needs_daemon=False,
    ),
    Command(
        ("service", "logs"),
        "Show the log of the service, even of one that does not run",
        "codexctl service logs\ncodexctl service logs -f\ncodexctl service logs --since 10m",
        _action("show_logs"),
        (
            argument("-f", "--follow", action="store_true", help="print new lines as they arrive"),
            limit_argument(LOG_LINES, FOLLOW_LINES),
            argument("--since", type=parse_since, metavar="AGE", help="only lines newer than AGE, such as 10m or 2h"),
        ),
        details="Reads systemd's journal, or the file that launchd writes.",
        needs_daemon=False,
    ),
    Command(
        ("service", "restart"),
        "Restart the service, as after an upgrade",
        "codexctl service restart\ncodexctl service restart --json",
        _action("restart_service"),
        details="Running requests have 30 s to finish; new ones wait until the new codexd serves them. Starts the "
        "service if it does not run.",
        needs_daemon=False,
    ),
)
