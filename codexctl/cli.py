"""Parses the command line and runs the command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codexctl.client import NoDaemon, Refused
from codexctl.command import EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop
from codexctl.commands import load_commands
from codexctl.daemons import choose_socket
from codexctl.render.text import PROSE_WIDTH
from codexctl.terminal import say
from codexd import __version__
from codexd.paths import find_socket

COMPLETE = "__complete"
"""The first word of what the scripts of ``codexctl completion`` run."""


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that ``arguments`` name, and return the exit status.

    Raises:
        SystemExit: the command line is wrong (status 2), or asked for help (status 0).
    """
    if arguments[:1] == [COMPLETE]:
        from codexctl.commands.completion import print_candidates  # noqa: PLC0415 - only a Tab press needs it

        print_candidates(load_commands(), arguments[1:], environ)
        return 0
    if "claude" in arguments:
        from codexctl.commands.clients import mark_passed_on  # noqa: PLC0415 - only this command needs it

        arguments = mark_passed_on(list(arguments))
    parser, rest = _choose_parser(arguments)
    parsed = parser.parse_args(rest)
    command: Command | None = getattr(parsed, "command", None)
    if command is None and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        command = load_commands("shell")[0]
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        socket = _find_socket(command, getattr(parsed, "socket", None), environ)
    except NoDaemon as error:
        say(str(error))
        return EXIT_NO_DAEMON
    return run_command(command, Invocation(socket, parsed, environ))


def _find_socket(command: Command, given: Path | None, environ: Mapping[str, str]) -> Path:
    """Raises NoDaemon."""
    if given is not None:
        return given.absolute()
    return choose_socket(environ) if command.needs_daemon else find_socket(environ)


def run_command(command: Command, invocation: Invocation) -> int:
    """Run ``command``, tell the user what went wrong if anything did, and return the exit status."""
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
    """A parser for the command that ``arguments`` name, and its arguments. If they name none, it is for several."""
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
    """The places of the arguments that are not options, up to ``--help``, which before any word is for all commands."""
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
    # By default argparse finds the width with shutil, and importing that takes a third of a command's time.
    width = os.environ.get("COLUMNS", "")
    columns = int(width) if width.isdecimal() else 0
    if not columns and sys.stdout is not None and sys.stdout.isatty():
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return argparse.HelpFormatter(prog, width=(columns or PROSE_WIDTH) - 2)


_OPTIONS: Mapping[str, Any] = {"allow_abbrev": False, "formatter_class": _make_formatter}


def build_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """The parser of ``commands``. Every level takes ``--json`` and ``--socket``, before or after its words."""
    parser = argparse.ArgumentParser(
        "codexctl",
        description="Control a running codexd. Without a command, starts the interactive shell.",
        epilog="Example: codexctl status",
        **_OPTIONS,
    )
    parser.add_argument("--version", action="version", version=f"codexctl {__version__}", help="show the version")
    _add_common(parser)
    parsers: dict[tuple[str, ...], argparse.ArgumentParser] = {(): parser}
    groups: dict[tuple[str, ...], Any] = {}
    for command in commands:
        above = command.words[:-1]
        if above not in groups:
            groups[above] = parsers[above].add_subparsers(title="commands", metavar="COMMAND")
        parsers[command.words] = groups[above].add_parser(command.words[-1], help=command.summary, **_describe(command))
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
    # SUPPRESS, because the default of an inner parser would overwrite what was given before the command.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", default=argparse.SUPPRESS, help="control socket of the daemon"
    )
