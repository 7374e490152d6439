"""What the shell says of itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from codexctl.invocation import Command
from codexctl.render.base import GAP, PROSE_WIDTH, Json, Style, plain

KEYS = (
    "Tab completes, Right takes over the suggestion, Up, Down and Ctrl-R go through the history. Ctrl-C drops the "
    "line or ends the command that runs, Ctrl-D leaves the shell, Ctrl-Z suspends it. F1 helps with the command that "
    "is being typed."
)
UNLISTED = (("shell",), ("quit",))


def welcome(status: Json, style: Style) -> list[str]:
    addresses = plain(", ".join(status["addresses"]) or "no address")
    simulated = ["SIMULATED: backend and accounts are made up."] if status["simulated"] else []
    return [
        f"{style.paint('codexd', 'bold')} {status['version']} at {addresses}",
        *simulated,
        *(line for problem in status["problems"] for line in style.prose(f"Problem: {problem}")),
    ]


def hint(style: Style, log_level: str | None) -> list[str]:
    logs = f"Log lines of level {log_level} and above appear here (logs off, logs on info). " if log_level else ""
    return [style.paint(line, "dim") for line in style.prose(f"Tab completes, F1 helps, Ctrl-D leaves. {logs}")]


def overview(commands: Iterable[Command], style: Style) -> list[str]:
    """The commands of one word, and those of the shell itself, with their summaries; and the keys."""
    rows = [(" ".join(command.words), command.summary) for command in commands if _is_listed(command)]
    first = max(len(name) for name, _ in rows)
    room = (style.width or PROSE_WIDTH) - first - 2 * len(GAP)
    lines = [
        f"{GAP}{style.paint(name, 'bold')}{' ' * (first - len(name))}{GAP}{_shorten(text, room)}" for name, text in rows
    ]
    return [*lines, *style.prose(f"{KEYS} `help COMMAND` shows what a command takes.")]


def _is_listed(command: Command) -> bool:
    return (len(command.words) == 1 or command.words[0] == "logs") and command.words not in UNLISTED


def _shorten(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(0, room - 1)]}…"
