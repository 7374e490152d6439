"""Files of ours: private, atomic, durable. Everything that codexd keeps is written through here."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from itertools import count
from pathlib import Path

_RANDOM_PART = re.compile(r"[a-z0-9_]{8}")
"""What ``tempfile`` adds to the prefix."""


def make_private_folder(folder: Path) -> None:
    """Create ``folder`` (and its parents) so that only its owner can enter it; narrow one that was wider."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


PRIVATE = 0o600


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Replace the file at ``path`` by ``data``, of ``mode``: after a crash it is the old file or the new one, whole.

    Raises:
        OSError: the disk is full or the folder can't be written; the old file is untouched.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_temporary_prefix(path.name))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode != PRIVATE:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


MAX_FILE_BYTES = 64 * 1024 * 1024
"""No file of ours is nearly so large."""


def read_private(path: Path) -> bytes:
    """The file's content. A file of ours that others could read is narrowed to its owner first.

    Raises:
        OSError: also for what is no file, such as a pipe, which would be waited for.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        if status.st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if status.st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def narrow_file(path: Path) -> None:
    """Take a file of ours from everyone but its owner; one that is not there, or no file, is left alone.

    Raises:
        OSError: it belongs to someone else.
    """
    if path.is_file() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def keep_aside(path: Path) -> Path:
    """Rename what can't be read to ``<name>.unreadable``, the next one to ``.unreadable.2``; gives the new path.

    Raises:
        OSError: the folder can't be written.
    """
    aside = unused_name(path.with_name(f"{path.name}.unreadable"))
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def unused_name(path: Path) -> Path:
    """``path``, or the first of ``<path>.2``, ``<path>.3``... that is not taken."""
    if not os.path.lexists(path):
        return path
    names = (path.with_name(f"{path.name}.{number}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


def delete_leftovers(folder: Path, name: str) -> None:
    """Delete what a ``write_atomic`` of the file ``name`` left when its process was killed: it may hold secrets.

    Raises:
        OSError
    """
    prefix = _temporary_prefix(name)
    for path in folder.iterdir():
        if path.name.startswith(prefix) and _RANDOM_PART.fullmatch(path.name.removeprefix(prefix)):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable: it lives in the folder, which has pages of its own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_prefix(name: str) -> str:
    return f".{name}."
