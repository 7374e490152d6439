"""Every command of codexctl in one table, and how one is run."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codexctl import render
from codexctl.accounts import ACCOUNT_COMMANDS
from codexctl.client import NoDaemon, Refused
from codexctl.follow import follow_logs
from codexctl.invocation import EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, argument
from codexctl.terminal import say
from codexd import __version__
from codexd.paths import find_socket

LEVELS = ("debug", "info", "warning", "error", "critical")
HISTORY_ENTRIES = 100
FOLLOW_ENTRIES = 10

_SINCE = re.compile(r"(?:\d+[smhd])+")
_SINCE_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that ``arguments`` mean; gives the exit status. Wrong usage raises SystemExit(2)."""
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    command: Command | None = getattr(parsed, "command", None)
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    socket: Path | None = getattr(parsed, "socket", None)
    try:
        command.run(Invocation(socket.absolute() if socket else find_socket(environ), parsed, environ))
    except Refused as error:
        say(str(error))
        return EXIT_REFUSED
    except NoDaemon as error:
        say(str(error))
        return EXIT_NO_DAEMON
    except Stop as stop:
        if str(stop):
            say(str(stop))
        return stop.status
    return 0


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.status"), render.status)


def _logs(invocation: Invocation) -> None:
    given = invocation.arguments
    filters = {"level": given.level, "since": given.since, "contains": given.grep, "request": given.request}
    params = {name: value for name, value in filters.items() if value is not None}
    if given.follow:
        _follow_logs(invocation, params | {"limit": FOLLOW_ENTRIES if given.limit is None else given.limit})
    else:
        params["limit"] = HISTORY_ENTRIES if given.limit is None else given.limit
        invocation.show(invocation.call("logs.history", params), render.log_entries)


def _follow_logs(invocation: Invocation, params: dict[str, Any]) -> None:
    for event in follow_logs(invocation.socket, params):
        if invocation.as_json:
            invocation.write([json.dumps({key: event[key] for key in event if key != "subscription"})])
        elif "entry" in event:
            invocation.write(render.log_entry(event["entry"], invocation.style()))
        else:
            say(f"too slow for {event['missed']} entries, which are left out")


def _requests(invocation: Invocation) -> None:
    limit = invocation.arguments.limit
    result = invocation.call("requests.list", {} if limit is None else {"limit": limit})
    invocation.show(result, render.requests)


def _since(text: str) -> float:
    """``10m`` or ``1h30m`` ago, as a time."""
    if not _SINCE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 30s, 10m, 1h30m or 2d")
    parts = re.findall(r"(\d+)([smhd])", text)
    return time.time() - sum(int(count) * _SINCE_UNITS[unit] for count, unit in parts)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of entries")
    return int(text)


COMMANDS = (
    Command(("status",), "Show what the daemon is doing", "codexctl status", _status),
    *ACCOUNT_COMMANDS,
    Command(
        ("requests",),
        "List the requests that run, and the last that ended, with what translation lost",
        "codexctl requests -n 5",
        _requests,
        (argument("-n", dest="limit", type=_count, metavar="N", help="at most the last N (default 100)"),),
    ),
    Command(
        ("logs",),
        "Show the log of the daemon",
        "codexctl logs -f --level warning",
        _logs,
        (
            argument("-f", "--follow", action="store_true", help="go on as entries come"),
            argument(
                "-n",
                dest="limit",
                type=_count,
                metavar="N",
                help=f"at most the last N entries (default {HISTORY_ENTRIES}; before following {FOLLOW_ENTRIES})",
            ),
            argument("--level", choices=LEVELS, help="only entries of this level and above"),
            argument("--since", type=_since, metavar="AGO", help="only entries since so long ago, such as 10m or 2h"),
            argument("--grep", metavar="TEXT", help="only entries that contain TEXT, in either case"),
            argument("--request", metavar="ID", help="only entries of this request"),
        ),
    ),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``COMMANDS``. Every level takes ``--json`` and ``--socket``, before or after its words."""
    parser = argparse.ArgumentParser(
        "codexctl", description="The client of a running codexd.", epilog="Example: codexctl status", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"codexctl {__version__}")
    _add_common(parser)
    parsers: dict[tuple[str, ...], argparse.ArgumentParser] = {(): parser}
    groups: dict[tuple[str, ...], Any] = {}
    for command in COMMANDS:
        above = command.words[:-1]
        if above not in groups:
            groups[above] = parsers[above].add_subparsers(title="commands", metavar="COMMAND")
        parsers[command.words] = groups[above].add_parser(
            command.words[-1],
            help=command.summary,
            description=f"{command.summary}. {command.details}",
            epilog=f"Example: {command.example}",
            allow_abbrev=False,
        )
        _add_command(parsers[command.words], command)
    return parser


def _add_command(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.set_defaults(command=command)
    _add_common(parser)
    for each in command.arguments:
        parser.add_argument(*each.names, **each.options)
    # argparse can't print the usage of an empty group.
    one_of = parser.add_mutually_exclusive_group() if command.alternatives else parser
    for each in command.alternatives:
        one_of.add_argument(*each.names, **each.options)


def _add_common(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: a default of the inner parser would overwrite what was given before the command.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", default=argparse.SUPPRESS, help="control socket of the daemon"
    )
