"""The commands of codexctl. To add one, write a :class:`codexctl.command.Command` and name its module in ``MODULES``.

A module's ``COMMANDS`` has all that the parser, the help and the completion need.
"""

from __future__ import annotations

import importlib

from codexctl.command import Command

MODULES = {
    "status": "codexctl.commands.daemon",
    "accounts": "codexctl.commands.accounts",
    "quota": "codexctl.commands.accounts",
    "models": "codexctl.commands.accounts",
    "requests": "codexctl.commands.requests",
    "why": "codexctl.commands.requests",
    "usage": "codexctl.commands.requests",
    "test": "codexctl.commands.test",
    "top": "codexctl.top",
    "logs": "codexctl.commands.daemon",
    "settings": "codexctl.commands.settings",
    "reload": "codexctl.commands.daemon",
    "claude": "codexctl.commands.clients",
    "codex": "codexctl.commands.clients",
    "restart": "codexctl.commands.daemon",
    "stop": "codexctl.commands.daemon",
    "service": "codexctl.service",
    "doctor": "codexctl.commands.doctor",
    "shell": "codexctl.shell",
    "completion": "codexctl.commands.completion",
    "help": "codexctl.commands.help",
}
"""The first word of a command -> its module. Running a command imports no other module; help keeps this order."""


def load_commands(first_word: str | None = None) -> tuple[Command, ...]:
    """Every command; given the first word of a command, only those of its module."""
    if first_word in MODULES:
        return _load(MODULES[first_word])
    commands = [command for module in dict.fromkeys(MODULES.values()) for command in _load(module)]
    order = list(MODULES)
    return tuple(sorted(commands, key=lambda command: order.index(command.words[0])))


def _load(module: str) -> tuple[Command, ...]:
    commands: tuple[Command, ...] = importlib.import_module(module).COMMANDS
    return commands
