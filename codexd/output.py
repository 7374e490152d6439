"""Text for stdout and stderr, written by a thread: a reader that stands still must not stop the daemon.

A pipe that nobody reads is full after 64 KiB, and a terminal stands still after Ctrl-S; the next write would then wait
for as long as that lasts.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

from codexd import bounds


class Output:
    """Writes whole texts to ``descriptor`` in their order. If too many wait, further ones are dropped and counted.

    ``note`` makes the text that tells the reader, once it reads again, how many are missing. Thread-safe.
    """

    note: Callable[[int], str] | None = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._texts: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.waiting_bytes = 0
        self.missing = 0
        """Texts that were dropped since the reader last read, or that could not be written."""

    def write(self, text: str) -> None:
        """Queue ``text``; this never waits."""
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self.waiting_bytes + len(data) > bounds.OUTPUT_BYTES:
                self.missing += 1
                return
            self._texts.append(data)
            self.waiting_bytes += len(data)
            if self._thread is None or not self._thread.is_alive():  # none survives a fork
                self._thread = threading.Thread(target=self._run, name="codexd output", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything is written, but no longer than ``timeout_s``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting_bytes, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts)
                data = self._texts.popleft()
            is_written = self._write(data)
            with self._changed:
                self.waiting_bytes -= len(data)
                if not is_written:
                    self.missing += 1
                elif self.missing and self.note is not None:
                    text = self.note(self.missing).encode("utf-8", "backslashreplace")
                    self._texts.append(text)
                    self.waiting_bytes += len(text)
                    self.missing = 0
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write all of ``data``, past Python's own streams: at the exit they wait for a thread that writes to them."""
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # whoever shares the descriptor made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError:  # nobody will read it, or the disk is full
                return False
        return True


def open_missing_descriptors() -> None:
    """Open the standard descriptors that are closed: a socket that got such a number would be written to as stderr."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
