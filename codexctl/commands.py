"""Every command of codexctl, and how one is run.

A command stands in a table of the module that carries it out, with all that its parser, its help and its completion
need. ``TABLES`` says by its first word which, so that a command that runs imports no other. A module with a table may
import :data:`COMMANDS` inside a function only.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codexctl.client import NoDaemon, Refused
from codexctl.invocation import EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop
from codexctl.render.base import PROSE_WIDTH
from codexctl.terminal import say
from codexd import __version__
from codexd.paths import find_socket

TABLES = {
    "status": "codexctl.daemon:DAEMON_COMMANDS",
    "accounts": "codexctl.accounts:ACCOUNT_COMMANDS",
    "quota": "codexctl.accounts:ACCOUNT_COMMANDS",
    "models": "codexctl.accounts:ACCOUNT_COMMANDS",
    "requests": "codexctl.requests:REQUEST_COMMANDS",
    "why": "codexctl.requests:REQUEST_COMMANDS",
    "usage": "codexctl.requests:REQUEST_COMMANDS",
    "test": "codexctl.ask:ASK_COMMANDS",
    "top": "codexctl.top.command:TOP_COMMANDS",
    "logs": "codexctl.logs:LOG_COMMANDS",
    "settings": "codexctl.settings:SETTINGS_COMMANDS",
    "reload": "codexctl.daemon:DAEMON_COMMANDS",
    "claude": "codexctl.claude:CLAUDE_COMMANDS",
    "codex": "codexctl.codex:CODEX_COMMANDS",
    "stop": "codexctl.daemon:DAEMON_COMMANDS",
    "shell": "codexctl.shell.command:SHELL_COMMANDS",
    "completion": "codexctl.completion.command:COMPLETION_COMMANDS",
}
"""By the first word of a command, the table that has it. The help lists them in this order."""

COMPLETE = "__complete"
"""What the scripts of ``codexctl completion`` ask."""


def load_commands(first_word: str | None = None) -> tuple[Command, ...]:
    """Every command; with the first word of one, no more than the table that has it."""
    places = [TABLES[first_word]] if first_word in TABLES else dict.fromkeys(TABLES.values())
    return tuple(command for place in places for command in _load_table(place))


def _load_table(place: str) -> tuple[Command, ...]:
    module, _, name = place.partition(":")
    table: tuple[Command, ...] = getattr(importlib.import_module(module), name)
    return table


def __getattr__(name: str) -> tuple[Command, ...]:
    """``COMMANDS``: every command, loaded when it is first asked for."""
    if name != "COMMANDS":
        raise AttributeError(name)
    return load_commands()


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that ``arguments`` mean; gives the exit status. Wrong usage raises SystemExit(2)."""
    if arguments[:1] == [COMPLETE]:
        from codexctl.completion.command import print_candidates  # noqa: PLC0415 - it imports every command

        print_candidates(arguments[1:], environ)
        return 0
    if "claude" in arguments:
        from codexctl.claude import pass_on  # noqa: PLC0415 - loaded for this word only

        arguments = pass_on(list(arguments))
    parser, rest = _choose_parser(arguments)
    parsed = parser.parse_args(rest)
    command: Command | None = getattr(parsed, "command", None)
    if command is None and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        command = load_commands("shell")[0]
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    socket: Path | None = getattr(parsed, "socket", None)
    return run_command(command, Invocation(socket.absolute() if socket else find_socket(environ), parsed, environ))


def run_command(command: Command, invocation: Invocation) -> int:
    """The exit status; the user is told what went wrong."""
    try:
        command.run(invocation)
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


def _choose_parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser of the one command that is meant, and what is left for it; else that of all that may be."""
    places = _find_words(arguments)
    words = tuple(arguments[place] for place in places)
    commands = load_commands(words[0] if words else None)
    named = [each for each in commands if each.words == words[: len(each.words)]]
    command = max(named, key=lambda each: len(each.words), default=None)
    if command is None or any(each.words[:-1] == command.words for each in commands):
        return build_parser(commands), list(arguments)
    parser = argparse.ArgumentParser(" ".join(["codexctl", *command.words]), **_describe(command))
    _add_command(parser, command)
    own = places[: len(command.words)]
    return parser, [argument for place, argument in enumerate(arguments) if place not in own]


def _find_words(arguments: Iterable[str]) -> list[int]:
    """The places of what is no option. None where help is asked for before any: it is that of every command."""
    places = []
    rest = enumerate(arguments)
    for place, argument in rest:
        if argument == "--socket":
            next(rest, None)
        elif argument in ("-h", "--help", "--version"):
            break
        elif not argument.startswith("-"):
            places.append(place)
    return places


def _make_formatter(prog: str) -> argparse.HelpFormatter:
    # By itself it finds the width with shutil, whose import is a third of a command's time.
    width = os.environ.get("COLUMNS", "")
    columns = int(width) if width.isdecimal() else 0
    if not columns and sys.stdout is not None and sys.stdout.isatty():
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return argparse.HelpFormatter(prog, width=(columns or PROSE_WIDTH) - 2)


_OPTIONS: Mapping[str, Any] = {"allow_abbrev": False, "formatter_class": _make_formatter}


def build_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """The parser of ``commands``. Every level takes ``--json`` and ``--socket``, before or after its words."""
    parser = argparse.ArgumentParser(
        "codexctl", description="The client of a running codexd.", epilog="Example: codexctl status", **_OPTIONS
    )
    parser.add_argument("--version", action="version", version=f"codexctl {__version__}")
    _add_common(parser)
    parsers: dict[tuple[str, ...], argparse.ArgumentParser] = {(): parser}
    groups: dict[tuple[str, ...], Any] = {}
    for command in commands:
        above = command.words[:-1]
        if above not in groups:
            groups[above] = parsers[above].add_subparsers(title="commands", metavar="COMMAND")
        parsers[command.words] = groups[above].add_parser(
            command.words[-1],
            help=command.summary,
            **_describe(command),
        )
        _add_command(parsers[command.words], command)
    return parser


def _describe(command: Command) -> dict[str, Any]:
    description = f"{command.summary}. {command.details}"
    return {"description": description, "epilog": f"Example: {command.example}", **_OPTIONS}


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
