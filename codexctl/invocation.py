"""What a command is, and what it is given when it runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from codexctl.client import REPLY_TIMEOUT_S, ControlClient
from codexctl.render.base import PROSE_WIDTH, Style

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3

Show: TypeAlias = Callable[[Any, Style], list[str]]


class Stop(Exception):
    """The command ends with ``status``, and the user is told the text if there is one."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status


class Invocation(NamedTuple):
    """A command that is being run."""

    socket: Path
    arguments: argparse.Namespace
    environ: Mapping[str, str]

    def call(
        self, method: str, params: dict[str, Any] | None = None, *, reply_timeout_s: float = REPLY_TIMEOUT_S
    ) -> Any:
        with ControlClient(self.socket, reply_timeout_s=reply_timeout_s) as client:
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

    def style(self) -> Style:
        """How to write on standard output as it is now."""
        if not sys.stdout.isatty():
            return Style(now=time.time())
        width = os.get_terminal_size(sys.stdout.fileno()).columns or PROSE_WIDTH
        colour = not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"
        return Style(now=time.time(), width=width, colour=colour)


class Values(Enum):
    """What an argument stands for, so that it can be completed: ``completion/values.py`` has what it may be."""

    ACCOUNTS = "accounts"
    SETTINGS = "settings"
    SETTING_VALUES = "setting values"
    """Of the setting that the argument before names."""
    REQUESTS = "requests"
    MODELS = "models"
    FILES = "files"
    """Those of this machine, of which the daemon is not asked."""


class Argument(NamedTuple):
    """An argument of a command, as ``argparse`` takes it; ``values``: what it may be, where that is not in it."""

    names: Sequence[str]
    options: Mapping[str, Any]
    values: Values | None = None


class Command(NamedTuple):
    """``words``: what is typed. One word may stand before others: ``accounts`` before ``accounts list``.

    Of the ``alternatives`` at most one may be given. ``details`` follow the summary in the command's own help.
    """

    words: tuple[str, ...]
    summary: str
    example: str
    run: Callable[[Invocation], None]
    arguments: tuple[Argument, ...] = ()
    alternatives: tuple[Argument, ...] = ()
    details: str = ""


def argument(*names: str, values: Values | None = None, **options: Any) -> Argument:
    return Argument(names, options, values)
