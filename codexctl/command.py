"""What a command is, what it gets when it runs, and the arguments that several commands take."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from codexctl.client import REPLY_TIMEOUT_S, ControlClient, NoDaemon
from codexctl.render.text import PROSE_WIDTH, Style
from codexctl.terminal import Waiting, say, write_out

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3

RECONNECT_S = 0.5

Render: TypeAlias = Callable[[Any, Style], list[str]]
"""Turns the result of a call into lines of text."""

Params: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]


KINDS: Mapping[int, str] = {EXIT_REFUSED: "failed", EXIT_USAGE: "usage", EXIT_NO_DAEMON: "no_daemon"}
"""By exit status, the ``kind`` of an error that codexctl itself reports. A refusal has the daemon's own."""


class Stop(Exception):
    """Ends the command with an exit status; the text, if any, is for the user.

    ``usage`` is the line of help that belongs to an error in the command line.
    """

    def __init__(self, status: int, text: str = "", usage: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.usage = usage


class Invocation(NamedTuple):
    """One run of a command."""

    socket: Path
    arguments: argparse.Namespace
    environ: Mapping[str, str]

    def call(
        self,
        method: str,
        params: Params | None = None,
        *,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
        doing: str = "waiting for codexd",
    ) -> Any:
        """The result of ``method``. ``doing`` is shown on a terminal if it takes long.

        Raises:
            NoDaemon, Refused: see :meth:`ControlClient.call`.
        """
        with self.connect(reply_timeout_s=reply_timeout_s, doing=doing) as client:
            return client.call(method, params)

    def connect(self, *, reply_timeout_s: float = REPLY_TIMEOUT_S, doing: str = "waiting for codexd") -> ControlClient:
        """A connection for several calls, to be used in ``with``.

        Raises:
            NoDaemon: see :class:`ControlClient`.
        """
        progress = None if self.as_json else Waiting(self.environ, doing)
        return ControlClient(self.socket, reply_timeout_s=reply_timeout_s, progress=progress)

    def follow(
        self,
        method: str,
        params: Params,
        resume: Callable[[Params, Event], Params],
        *,
        tick_s: float | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> Iterator[Event | None]:
        """The events of ``method``, without end: if the daemon goes away, wait for it to come back.

        ``resume`` makes the params for the next daemon from the last params and the last event, so that nothing is
        shown twice or left out. ``on_lost`` is called when the daemon goes away. With ``tick_s``, yield None each time
        that nothing has arrived for this long.

        Raises:
            NoDaemon: there was no daemon to begin with.
            Refused: the daemon does not accept ``params``.
        """
        client, events = _begin_follow(self.socket, method, params, tick_s)
        while True:
            try:
                with client:
                    for event in events:
                        yield event
                        params = params if event is None else resume(params, event)
            except NoDaemon as gone:
                on_lost()
                say(f"{gone}\nWaiting for it to come back.")
            client, events = _follow_again(self.socket, method, params, tick_s)
            say("codexd is back.")

    def show(self, result: Any, render: Render) -> None:
        """Print ``result``, as a JSON document or as rendered by ``render``."""
        if self.as_json:
            self.write([json.dumps(result, indent=2)])
        else:
            self.write(render(result, self.style()))

    def write(self, lines: Iterable[str]) -> None:
        """Print ``lines``."""
        write_out("".join(f"{line}\n" for line in lines))

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


def _begin_follow(
    socket: Path, method: str, params: Params, tick_s: float | None
) -> tuple[ControlClient, Iterator[Event | None]]:
    with ExitStack() as undo:
        client = undo.enter_context(ControlClient(socket))
        events = client.follow(method, params, tick_s=tick_s)
        undo.pop_all()
    return client, events


def _follow_again(
    socket: Path, method: str, params: Params, tick_s: float | None
) -> tuple[ControlClient, Iterator[Event | None]]:
    """As ``_begin_follow``, as soon as there is a daemon that answers."""
    while True:
        time.sleep(RECONNECT_S)
        with suppress(NoDaemon):
            return _begin_follow(socket, method, params, tick_s)


class Values(Enum):
    """What an argument stands for. ``completion.py`` finds the values."""

    ACCOUNTS = "accounts"
    SETTINGS = "settings"
    SETTING_VALUES = "setting values"
    """Values of the setting that the previous argument names."""
    REQUESTS = "requests"
    RUNNING_REQUESTS = "running requests"
    MODELS = "models"
    FILES = "files"
    """Files of this machine, which the daemon is not asked about."""


class Argument(NamedTuple):
    """An argument of a command, for ``argparse``; ``values`` is what it stands for, unless it has choices."""

    names: Sequence[str]
    options: Mapping[str, Any]
    values: Values | None = None


class Command(NamedTuple):
    """A command of codexctl. One command may begin another: ``accounts`` and ``accounts list``.

    ``words`` is what the user types. ``example`` has an example on each line. At most one of the ``alternatives`` may
    be given. ``details`` follow the summary in the help. ``needs_daemon``: whether it talks to a daemon.
    """

    words: tuple[str, ...]
    summary: str
    example: str
    run: Callable[[Invocation], None]
    arguments: tuple[Argument, ...] = ()
    alternatives: tuple[Argument, ...] = ()
    details: str = ""
    needs_daemon: bool = True


def argument(*names: str, values: Values | None = None, **options: Any) -> Argument:
    return Argument(names, options, values)


_DURATION = re.compile(r"(?:\d+[smhdw])+")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_since(text: str) -> float:
    """The time ``10m`` or ``1h30m`` ago, in seconds since the epoch."""
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f'"{text}" is not a duration. Write it like 30s, 10m or 2h')
    parts = re.findall(r"(\d+)([smhdw])", text)
    return max(0.0, time.time() - sum(int(count) * _UNITS_S[unit] for count, unit in parts))


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number')
    return int(text)


def limit_argument(default: int, default_following: int) -> Argument:
    """``-n``."""
    help_ = f"show at most the last N (default {default}; with -f, {default_following})"
    return argument("-n", dest="limit", type=_parse_count, metavar="N", help=help_)
