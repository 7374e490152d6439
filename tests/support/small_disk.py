"""A file system of its own for a test: small enough to fill, and it can be made read-only. Needs Linux and root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2
CHUNK = b"x" * 4096


class SmallDisk:
    """A tmpfs of ``size_kib`` at ``path``. It is mounted by the system call: ``mount`` would read /proc."""

    def __init__(self, path: Path, size_kib: int) -> None:
        self.path = path
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._mount(b"codexd-test", 0, f"size={size_kib}k,mode=700".encode())

    def fill(self, left_bytes: int = 0) -> None:
        """Leave no room but ``left_bytes``, rounded down to pages."""
        with (self.path / "filling").open("ab", buffering=0) as file:
            try:
                while file.write(CHUNK):
                    pass
            except OSError:
                file.truncate(max(0, file.tell() - left_bytes))

    def free(self) -> None:
        (self.path / "filling").unlink(missing_ok=True)

    def make_read_only(self) -> None:
        """Put a read-only view of itself on top of it: its own mount can't change while a file is open for writing."""
        self._mount(os.fsencode(self.path), MS_BIND)
        self._mount(b"", MS_BIND | MS_REMOUNT | MS_RDONLY)

    def make_writable(self) -> None:
        self.unmount()

    def unmount(self) -> bool:
        """Take away the topmost mount; return whether there was one."""
        return bool(self._libc.umount2(os.fsencode(self.path), MNT_DETACH) == 0)

    def _mount(self, source: bytes, flags: int, options: bytes = b"") -> None:
        if self._libc.mount(source, os.fsencode(self.path), b"tmpfs", flags, options) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(self.path))


@contextmanager
def mounted(path: Path, size_kib: int = 1024) -> Iterator[SmallDisk]:
    """A small disk at ``path``. The test is skipped where it may not mount, but never as root on Linux."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        disk = SmallDisk(path, size_kib)
    except (OSError, AttributeError) as error:
        if hasattr(ctypes.CDLL(None), "umount2") and os.geteuid() == 0 and os.environ.get("CI"):
            raise
        pytest.skip(f"a small disk can't be mounted here: {error}")
    try:
        yield disk
    finally:
        while disk.unmount():
            pass
