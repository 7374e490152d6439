"""Parses the command line and runs the command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from codexctl.client import NoDaemon, OlderDaemon, Refused
from codexctl.command import EXIT_NO_DAEMON, EXIT_REFUSED, EXIT_USAGE, KINDS, Command, Invocation, Stop
from codexctl.commands import load_commands
from codexctl.daemons import choose_socket, name_older
from codexctl.render.text import PROSE_WIDTH, wrap
from codexctl.terminal import say, write_out
from codexd import __version__

COMPLETE = "__complete"
"""The first word of what the scripts of ``codexctl completion`` run."""


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that ``arguments`` name, and return the exit status.

    Raises:
        SystemExit: the command line asked for help (status 0).
    """
    if arguments[:1] == [COMPLETE]:
        from codexctl.commands.completion import print_candidates  # noqa: PLC0415 - only a Tab press needs it

        print_candidates(load_commands(), arguments[1:], environ)
        return 0
    if "claude" in arguments:
        from codexctl.commands.clients import mark_passed_on  # noqa: PLC0415 - only this command needs it

        arguments = mark_passed_on(list(arguments))
    parser, rest = _choose_parser(arguments)
    try:
        parsed = parse(parser, rest, arguments)
    except Stop as stop:
        return report(stop, as_json="--json" in arguments)
    command: Command | None = getattr(parsed, "command", None)
    if command is None and sys.stdin.isatty() and sys.stdout.isatty():
        command = load_commands("shell")[0]
    if command is None and getattr(parsed, "json", False):
        return report(Stop(EXIT_USAGE, "a command is missing; `codexctl help` lists them"), as_json=True)
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        socket = _find_socket(command, getattr(parsed, "socket", None), environ)
    except NoDaemon as error:
        return report(error, as_json=bool(getattr(parsed, "json", False)))
    return run_command(command, Invocation(socket, parsed, environ))


def _find_socket(command: Command, given: Path | None, environ: Mapping[str, str]) -> Path:
    """Raises NoDaemon."""
    if given is not None:
        return given.absolute()
    return choose_socket(environ) if command.needs_daemon else Path(os.devnull)


def parse(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    typed: Sequence[str],
    commands: Iterable[Command] | None = None,
) -> argparse.Namespace:
    """The parsed ``arguments``. ``typed`` is the whole command line, ``commands`` those that it may name (all).

    Raises:
        Stop: the command line is wrong.
        SystemExit: it asked for help (status 0).
    """
    try:
        return parser.parse_args(arguments)
    except Stop as stop:
        from codexctl.typos import explain  # noqa: PLC0415 - only a mistake needs it

        why = explain(load_commands() if commands is None else commands, typed)
        raise Stop(EXIT_USAGE, why or str(stop), stop.usage) from None


def run_command(command: Command, invocation: Invocation) -> int:
    """Run ``command``, report what went wrong if anything did, and return the exit status."""
    try:
        command.run(invocation)
    except OlderDaemon as error:
        return report(name_older(invocation.socket, error), as_json=invocation.as_json)
    except (Refused, NoDaemon, Stop) as error:
        return report(error, as_json=invocation.as_json)
    return 0


def report(error: Refused | NoDaemon | Stop, *, as_json: bool) -> int:
    """Report why the command failed, on stderr or as a JSON document; return the exit status.

    A ``Stop`` without a text has nothing to add to what the command has printed.
    """
    match error:
        case Refused():
            status, kind = EXIT_REFUSED, error.kind or KINDS[EXIT_REFUSED]
        case NoDaemon():
            status, kind = EXIT_NO_DAEMON, KINDS[EXIT_NO_DAEMON]
        case Stop(status=status):
            kind = KINDS.get(status, KINDS[EXIT_REFUSED])
    if as_json and str(error):
        write_out(json.dumps({"error": {"kind": kind, "message": str(error)}}) + "\n")
    elif str(error):
        say("\n".join([str(error), *error.usage.splitlines()] if isinstance(error, Stop) else [str(error)]))
    return status


def _choose_parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """A parser for the command that ``arguments`` name, and its arguments. If they name none, it is for several."""
    places = _find_words(arguments)
    words = tuple(arguments[place] for place in places)
    commands = load_commands(words[0] if words else None)
    named = [each for each in commands if each.words == words[: len(each.words)]]
    command = max(named, key=lambda each: len(each.words), default=None)
    if command is None or any(each.words[:-1] == command.words for each in commands):
        return build_parser(commands), list(arguments)
    parser = Parser(" ".join(["codexctl", *command.words]), **_describe(command))
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


class Parser(argparse.ArgumentParser):
    """Raises ``Stop`` for a wrong command line, where argparse would end the program."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.color = False  # Python 3.14 would colour the usage line, which is part of an error

    def error(self, message: str) -> NoReturn:
        raise Stop(EXIT_USAGE, message, self.format_usage().strip())


def _help_width() -> int:
    # By default argparse finds the width with shutil, and importing that takes a third of a command's time.
    width = os.environ.get("COLUMNS", "")
    columns = int(width) if width.isdecimal() else 0
    if not columns and sys.stdout is not None and sys.stdout.isatty():
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return (columns or PROSE_WIDTH) - 2


def _make_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, width=_help_width())


_OPTIONS: Mapping[str, Any] = {"allow_abbrev": False, "formatter_class": _make_formatter}

_ABOUT = """\
examples:
  codexctl status                      can requests be served, and if not, why
  codexctl accounts add                sign in to ChatGPT
  codexctl claude proxy                let Claude Code use codexd
  codexctl requests --json | jq .      every command prints JSON with --json
  codexctl help accounts switch        what a command takes

environment:
  CODEXD_SOCKET   control socket of the daemon; --socket comes first
  CODEXD_HOME     folder of a daemon that was started with --home
  VISUAL, EDITOR  editor of `codexctl settings edit`
  BROWSER         browser of `codexctl accounts add`
  NO_COLOR        if not empty, no colours

exit status:
  0    done
  1    the daemon refused it, or something is wrong
  2    wrong usage
  3    no daemon answers
  130  interrupted with Ctrl-C

With --json, an error is printed as {"error": {"kind": ..., "message": ...}}.
"""


def build_parser(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """The parser of ``commands``. Every level takes ``--json`` and ``--socket``, before or after its words."""
    parser = Parser(
        "codexctl",
        description="Control a running codexd. Without a command, starts the interactive shell.",
        epilog=_ABOUT,
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
    description = wrap(f"{command.summary}. {command.details}", _help_width(), "", "")
    examples = [f"  {line}" for line in command.example.splitlines()]
    return {
        "description": "\n".join(description),
        "epilog": "\n".join(["examples:" if len(examples) > 1 else "example:", *examples]),
        **_OPTIONS,
    }


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
