"""The user's terminal: questions, lines as they are typed, and a line that tells of a wait."""

from __future__ import annotations

import itertools
import os
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from codexctl.render.base import PROSE_WIDTH, plain

_FRAMES = "|/-\\"
_ERASE_LINE = "\r\x1b[K"


def say(text: str) -> None:
    """Tell the user something that is not the output: on stderr. It may quote what a server said."""
    prompt("".join(f"{_fill(plain(line))}\n" for line in f"codexctl: {text}".splitlines()))


def _fill(line: str) -> str:
    """``line``, between its words where the terminal is narrower."""
    if not sys.stderr.isatty():
        return line
    import textwrap  # noqa: PLC0415 - what says nothing starts faster

    return textwrap.fill(line, max(_columns(), 20), break_on_hyphens=False, break_long_words=False)


def _columns() -> int:
    """Of the terminal that standard error is."""
    return os.get_terminal_size(sys.stderr.fileno()).columns or PROSE_WIDTH


def has_input_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def prompt(text: str) -> None:
    """On stderr, for the output may go to a file."""
    sys.stderr.write(text)
    sys.stderr.flush()


def confirm(question: str) -> bool:
    prompt(f"{_fill(f'{question} [y/N]')} ")
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            prompt("\n")  # Ctrl-D and Ctrl-C leave the cursor behind the question
    return answer.strip().lower() in ("y", "yes")


class LineInput:
    """Lines of standard input as they come, for a program that waits for other things too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    @classmethod
    def open(cls) -> Self | None:
        """None where nothing can be read: it is closed, or a terminal that another job has."""
        if sys.stdin is None or sys.stdin.closed or not _is_in_foreground(sys.stdin.fileno()):
            return None
        return cls(sys.stdin.fileno())

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> list[str] | None:
        """The lines that are complete now; None at the end of the input. Blocks unless ``fileno`` is readable."""
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the terminal hung up
            data = b""
        if not data and not self._buffer:
            return None
        *lines, self._buffer = (self._buffer + (data or b"\n")).split(b"\n")
        return [line.decode(errors="replace").strip() for line in lines]


def _is_in_foreground(descriptor: int) -> bool:
    """A background job that reads its terminal, or changes its modes, is stopped by the system."""
    if not os.isatty(descriptor):
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the terminal that controls this process
        return True


@contextmanager
def unseen_input(source: LineInput | None) -> Iterator[None]:
    """What is typed is not echoed. At the end what nobody read is dropped: a shell would run it."""
    if source is None or not os.isatty(source.fileno()):
        yield
        return
    before = termios.tcgetattr(source.fileno())
    changed = termios.tcgetattr(source.fileno())
    changed[3] &= ~termios.ECHO
    termios.tcsetattr(source.fileno(), termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(source.fileno(), termios.TCSAFLUSH, before)


class Spinner:
    """A line on standard error that tells of a wait; nothing where that is no terminal."""

    TURN_S = 0.2

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._shown = sys.stderr.isatty() and environ.get("TERM") != "dumb"
        self._frames = itertools.cycle(_FRAMES)

    def turn(self, text: str) -> None:
        if self._shown:
            # At the width of the terminal a line would wrap, and stay when the next one is drawn.
            prompt(_ERASE_LINE + f"{next(self._frames)} {text}"[: _columns() - 1])

    def clear(self) -> None:
        if self._shown:
            prompt(_ERASE_LINE)
