"""The line of daemons that began with one start: each is the successor of the one before.

Whoever started the first process waits for it, so it stays until the last of the line has ended (``waiter``).
The others report to it on a socket, which they share. They also notice on it when the first process is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import trio

from codexd.service.waiter import PASSED_ON, READ_BYTES, Waiter


class Line:
    """The line, as seen by one of its processes.

    ``end`` is the socket that a later one has inherited. If ``has_waiter`` is false, nobody waits for the first
    process: systemd, for example, is told which process is the daemon.
    """

    def __init__(self, end: socket.socket | None = None, *, has_waiter: bool = True) -> None:
        self._inherited = end
        self._has_waiter = has_waiter
        self._offered: tuple[socket.socket, socket.socket] | None = None
        """The first process's socket and that of the others, as long as it is not known whether there will be any."""
        self._own: socket.socket | None = None
        self._waiter: Waiter | None = None
        self._is_member = False
        self.has_handed_over = False

    def offer(self) -> int | None:
        """The descriptor that a successor inherits; None if it has nobody to report to."""
        if self._inherited is not None:
            return self._inherited.fileno()
        if not self._has_waiter:
            return None
        self._offered = socket.socketpair()
        return self._offered[1].fileno()

    def withdraw(self) -> None:
        """There is no successor after all."""
        for each in self._offered or ():
            each.close()
        self._offered = None

    def hand_over(self, pid: int) -> None:
        """The process ``pid`` is the daemon from now on."""
        self.has_handed_over = True
        if self._offered is not None:
            self._own, end = self._offered
            end.close()
            self._own.setblocking(False)
            self._waiter = Waiter(pid)

    def join(self) -> None:
        """This process is the daemon from now on."""
        self._is_member = True
        self._report(f"pid {os.getpid()}")

    def _report(self, line: str) -> None:
        if self._inherited is not None:
            with suppress(OSError):  # the first process has been killed
                self._inherited.send(f"{line}\n".encode())

    async def wait_until_orphaned(self) -> None:
        """Wait until the first process is gone; forever if this is the first one."""
        if self._inherited is None:
            await trio.sleep_forever()
        else:
            await trio.lowlevel.wait_readable(self._inherited)  # nobody writes to it, so this is its end

    async def listen(self) -> None:
        """After the hand-over: learn which process is the daemon. Ends with the last of them."""
        if self._own is None or self._waiter is None:
            return
        while True:
            await trio.lowlevel.wait_readable(self._own)
            try:
                data = self._own.recv(READ_BYTES)
            except ConnectionError:
                return
            if not data:
                return
            self._waiter.receive(data)

    @contextmanager
    def taking_signals(self, *numbers: signal.Signals) -> Iterator[AsyncIterator[int]]:
        """The signals as they come. After that, if another process is the daemon, they are passed on to it.

        One that has arrived but was not read is raised again by trio at the end, so our handlers come first.
        """
        before = {number: signal.signal(number, self._take_late) for number in numbers}
        try:
            with trio.open_signal_receiver(*numbers) as signals:
                yield signals
        finally:
            if self._waiter is None:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _take_late(self, number: int, _frame: object) -> None:
        if not self.pass_on(number):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def pass_on(self, number: int) -> bool:
        """Pass a signal on to the daemon; return False if this process is it, or has nothing to pass on."""
        if self._waiter is None:
            return False
        self._waiter.pass_on(number)
        return True

    def end(self, status: int) -> int:
        """The end of this process, which has ended with ``status``. The first one becomes the waiter instead.

        Returns the exit status.
        """
        if self._is_member and not self.has_handed_over:
            self._report(f"end {status}")
        if self._own is None or self._waiter is None:
            return status
        self._own.setblocking(True)
        if self._waiter.status is None:
            signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until the waiter can take them
            self._own.set_inheritable(True)
            arguments = [sys.executable, "-m", "codexd.service.waiter", str(self._own.fileno()), str(self._waiter.pid)]
            with suppress(OSError):  # Python itself may have been replaced; then the waiting is done in this process
                os.execv(sys.executable, arguments)  # noqa: S606 - no shell is involved
        return self._waiter.wait(self._own)
