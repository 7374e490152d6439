"""The user's terminal: messages, questions, lines as they are typed, and a progress line."""

from __future__ import annotations

import itertools
import os
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from codexctl.render.text import PROSE_WIDTH, cut, plain, wrap

_FRAMES = "|/-\\"
_ERASE_LINE = "\r\x1b[K"


def say(text: str) -> None:
    """Print a message to the user on stderr, separate from the output. It may quote a server."""
    prompt("".join(f"{_fill(plain(line))}\n" for line in f"codexctl: {text}".splitlines()))


def _fill(line: str) -> str:
    """``line``, broken between words if stderr is a terminal."""
    return "\n".join(wrap(line, _columns(), "", "", break_words=False)) if _has_message_terminal() else line


def _has_message_terminal() -> bool:
    """Whether messages are shown at once. Standard error may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def _columns() -> int:
    """The width of the terminal on stderr."""
    return os.get_terminal_size(sys.stderr.fileno()).columns or PROSE_WIDTH


def has_input_terminal() -> bool:
    """Whether there is a user to ask."""
    return sys.stdin.isatty()


def prompt(text: str) -> None:
    """Write ``text`` on stderr, because the output may go to a file."""
    if sys.stderr is not None:  # it may be closed
        sys.stderr.write(text)
        sys.stderr.flush()


class OutputError(Exception):
    """Standard output can't be written to; the text says why."""


def write_out(text: str) -> None:
    """Write ``text`` on standard output at once, so that each line of a follow reaches a pipe.

    Raises:
        BrokenPipeError: the reader has seen enough.
        OutputError
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the output can't be written: {error.strerror or error}.") from None


def confirm(question: str) -> bool:
    """Whether the user answers ``question`` with yes."""
    prompt(f"{_fill(f'{question} [y/N]')} ")
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            prompt("\n")  # Ctrl-D and Ctrl-C leave the cursor on the line of the question
    return answer.strip().lower() in ("y", "yes")


class LineInput:
    """Lines of standard input as they come, for a command that waits for other things too."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    @classmethod
    def open(cls) -> Self | None:
        """None if nothing can be read: standard input is closed, or is a terminal that another job is using."""
        if sys.stdin.closed or not _is_in_foreground(sys.stdin.fileno()):
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
    """The system stops a background job that reads its terminal or changes the terminal's modes."""
    if not os.isatty(descriptor):
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the controlling terminal of this process
        return True


@contextmanager
def hidden_input(source: LineInput | None) -> Iterator[None]:
    """Do not echo what is typed. Input left unread at the end is dropped, or the user's shell would run it."""
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


class Waiting:
    """Shows that codexctl waits, once that has taken a moment. ``doing`` says for what."""

    SHOW_AFTER_S, COUNT_AFTER_S = 0.3, 3.0

    def __init__(self, environ: Mapping[str, str], doing: str) -> None:
        self._spinner = Spinner(environ)
        self._doing = doing
        self._is_shown = False

    def turn(self, waited_s: float) -> None:
        if waited_s < self.SHOW_AFTER_S:
            return
        self._is_shown = True
        seconds = f" ({waited_s:.0f} s)" if waited_s >= self.COUNT_AFTER_S else ""
        self._spinner.turn(f"{self._doing}{seconds}")

    def clear(self) -> None:
        if self._is_shown:
            self._spinner.clear()
        self._is_shown = False


class Spinner:
    """A progress line on stderr. Does nothing if stderr is not a terminal."""

    TURN_S = 0.2

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._shown = _has_message_terminal() and environ.get("TERM") != "dumb"
        self._frames = itertools.cycle(_FRAMES)

    def turn(self, text: str) -> None:
        if self._shown:
            # A line as wide as the terminal would wrap, and its first part would remain when the next one is drawn.
            prompt(_ERASE_LINE + cut(f"{next(self._frames)} {text}", _columns() - 1))

    def clear(self) -> None:
        if self._shown:
            prompt(_ERASE_LINE)
