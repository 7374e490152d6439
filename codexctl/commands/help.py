"""``codexctl help``."""

from __future__ import annotations

from codexctl.command import Command, Invocation, Stop, argument


def _help(invocation: Invocation) -> None:
    from codexctl.cli import run  # noqa: PLC0415 - it imports the commands

    try:
        status = run([*invocation.arguments.words, "--help"], invocation.environ)
    except SystemExit:  # argparse has shown the help
        return
    raise Stop(status)


COMMANDS = (
    Command(
        ("help",),
        "Show what codexctl or a command does",
        "codexctl help\ncodexctl help accounts switch",
        _help,
        (argument("words", nargs="*", metavar="COMMAND", help="the command to explain"),),
        needs_daemon=False,
    ),
)
