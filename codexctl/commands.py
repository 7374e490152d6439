"""Every command of codexctl in one table, and how one is run."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from codexctl import render
from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.follow import follow_logs, say
from codexd import __version__
from codexd.paths import find_socket

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3

LEVELS = ("debug", "info", "warning", "error", "critical")
HISTORY_ENTRIES = 100
FOLLOW_ENTRIES = 10

_SINCE = re.compile(r"(?:\d+[smhd])+")
_SINCE_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Show: TypeAlias = Callable[[Any, render.Style], list[str]]


@dataclass(frozen=True)
class Invocation:
    """A command that is being run."""

    socket: Path
    arguments: argparse.Namespace
    environ: Mapping[str, str]

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        with ControlClient(self.socket) as client:
            return client.call(method, params)

    def show(self, result: Any, show: Show) -> None:
        """Print ``result``: as one JSON document, or as ``show`` says it."""
        if self.as_json:
            self.write([json.dumps(result, indent=2)])
        else:
            self.write(show(result, self.style()))

    def write(self, lines: Iterable[str]) -> None:
        """Print ``lines``. Flushed: whoever reads a follow through a pipe wants each when it comes."""
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    @property
    def as_json(self) -> bool:
        return bool(getattr(self.arguments, "json", False))

    def style(self) -> render.Style:
        """How to write on standard output as it is now."""
        if not sys.stdout.isatty():
            return render.Style(now=time.time())
        width = os.get_terminal_size(sys.stdout.fileno()).columns or render.PROSE_WIDTH
        colour = not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"
        return render.Style(now=time.time(), width=width, colour=colour)


@dataclass(frozen=True)
class Argument:
    """An argument of a command, as ``argparse`` takes it."""

    names: Sequence[str]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """``words``: what is typed. One word may stand before others: ``accounts`` before ``accounts list``."""

    words: tuple[str, ...]
    summary: str
    example: str
    run: Callable[[Invocation], None]
    arguments: tuple[Argument, ...] = ()


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
    return 0


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.status"), render.status)


def _list_accounts(invocation: Invocation) -> None:
    invocation.show(invocation.call("accounts.list"), render.accounts)


def _import_account(invocation: Invocation) -> None:
    source = invocation.arguments.source
    if source != "codex":
        source = str(Path(source).expanduser().absolute())  # the daemon's current folder is another one
    invocation.show(invocation.call("accounts.import", {"source": source}), render.imported)


def _switch_account(invocation: Invocation) -> None:
    result = invocation.call("accounts.switch", {"account": invocation.arguments.account})
    invocation.show(result, render.switched)


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


def _argument(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


COMMANDS = (
    Command(("status",), "Show what the daemon is doing", "codexctl status", _status),
    Command(("accounts",), "List the accounts, or work on them", "codexctl accounts", _list_accounts),
    Command(("accounts", "list"), "List the accounts", "codexctl accounts list --json", _list_accounts),
    Command(
        ("accounts", "import"),
        "Take over a login from the Codex CLI or from a file",
        "codexctl accounts import",
        _import_account,
        (
            _argument(
                "source",
                nargs="?",
                default="codex",
                metavar="SOURCE",
                help="codex (the default: the Codex CLI's own login), or the path of an auth.json or its folder",
            ),
        ),
    ),
    Command(
        ("accounts", "switch"),
        "Make an account the active one",
        "codexctl accounts switch work@example.com",
        _switch_account,
        (_argument("account", metavar="NAME", help="email, id, or a unique beginning of one"),),
    ),
    Command(
        ("requests",),
        "List the requests that run, and the last that ended, with what translation lost",
        "codexctl requests -n 5",
        _requests,
        (_argument("-n", dest="limit", type=_count, metavar="N", help="at most the last N (default 100)"),),
    ),
    Command(
        ("logs",),
        "Show the log of the daemon",
        "codexctl logs -f --level warning",
        _logs,
        (
            _argument("-f", "--follow", action="store_true", help="go on as entries come"),
            _argument(
                "-n",
                dest="limit",
                type=_count,
                metavar="N",
                help=f"at most the last N entries (default {HISTORY_ENTRIES}; before following {FOLLOW_ENTRIES})",
            ),
            _argument("--level", choices=LEVELS, help="only entries of this level and above"),
            _argument("--since", type=_since, metavar="AGO", help="only entries since so long ago, such as 10m or 2h"),
            _argument("--grep", metavar="TEXT", help="only entries that contain TEXT, in either case"),
            _argument("--request", metavar="ID", help="only entries of this request"),
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
            description=f"{command.summary}.",
            epilog=f"Example: {command.example}",
            allow_abbrev=False,
        )
        _add_command(parsers[command.words], command)
    return parser


def _add_command(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.set_defaults(command=command)
    _add_common(parser)
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.options)


def _add_common(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: a default of the inner parser would overwrite what was given before the command.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", default=argparse.SUPPRESS, help="control socket of the daemon"
    )
