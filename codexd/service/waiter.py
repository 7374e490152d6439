"""What remains of the first codexd once it has handed over: whoever started it still waits for this process.

A shell, a container or launchd knows codexd by the process that it started, so that must not end while a successor
lives. It keeps its id and becomes this program, which passes signals on and ends as the last successor does.

Arguments: the descriptor of a socket, and the id of the codexd that runs now. Each successor writes lines to the
socket: ``pid <its id>`` when it takes over, ``end <exit status>`` when it ends. The socket ends with the last of them.
This runs as a small program of its own, so it imports only the standard library.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

FAILED = 1
READ_BYTES = 4096


class Waiter:
    """``pid`` is the codexd that runs now; ``status`` is how the last one has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._ended_by: int | None = None
        self._unread = b""

    def receive(self, data: bytes) -> None:
        """Read lines of the socket."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"pid":
                self.pid = int(number)
            elif word == b"end":
                self.status = int(number)

    def pass_on(self, number: int, _frame: object = None) -> None:
        """Send the signal to the codexd that runs now."""
        if number != signal.SIGHUP:
            self._ended_by = number
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, channel: socket.socket) -> int:
        """Pass signals on until the last codexd has ended; return the exit status."""
        for number in PASSED_ON:
            signal.signal(number, self.pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children don't stay as zombies
        with suppress(ConnectionError):
            while data := channel.recv(READ_BYTES):
                self.receive(data)
        if self.status is not None:
            return self.status
        return FAILED if self._ended_by is None else 128 + self._ended_by


if __name__ == "__main__":
    sys.exit(Waiter(int(sys.argv[2])).wait(socket.socket(fileno=int(sys.argv[1]))))
