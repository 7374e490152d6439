"""Reading and writing files safely: private, atomic, durable. Everything that codexd keeps is written through here."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self

from codexd import bounds

PRIVATE = 0o600


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_REMEDIES = {
    **dict.fromkeys(DISK_FULL, "Free some disk space."),
    errno.EACCES: "Check who owns it.",
    errno.EPERM: "Check who owns it.",
    errno.ENOTDIR: "A part of the path is not a folder.",
    errno.EEXIST: "It is not a folder; move it away.",
    errno.EISDIR: "It is a folder; move it away.",
    errno.EROFS: "The file system can only be read.",
    errno.EMFILE: "Raise the limit with `ulimit -n`.",
}

_RANDOM_PART = re.compile(r"[a-z0-9_]{8}")
"""The part that ``tempfile`` adds to the prefix."""


def make_private_folder(folder: Path) -> None:
    """Create ``folder`` and its parents, accessible to their owner only. An existing folder is restricted too."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def explain(error: OSError, place: Path | None = None) -> str:
    """What failed and what to do about it, in sentences. ``place`` is where, if ``error`` does not say it."""
    where = error.filename or place
    reason = error.strerror or str(error)
    said = f"{where} can't be used: {reason}." if where else f"{reason}."
    return f"{said} {find_remedy(error)}".rstrip()


def find_remedy(error: OSError) -> str:
    """What to do about ``error``, in a sentence; empty if that is not known."""
    return _REMEDIES.get(error.errno or 0, "")


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Replace the file at ``path`` with ``data``. After a crash it has either the old content or the new, complete.

    Raises:
        OSError: the disk is full or the folder can't be written; the old file is unchanged. It names ``path``.
    """
    try:
        _write_atomic(path, data, mode)
    except OSError as error:
        error.filename = str(path)  # rather than the temporary file, or nothing if the disk is full
        raise


def _write_atomic(path: Path, data: bytes, mode: int) -> None:
    temporary = _write_temporary(path, data, mode)
    try:
        temporary.replace(path)
    except BaseException:
        _discard(temporary)
        raise
    sync_folder(path.parent)


def _write_temporary(path: Path, data: bytes, mode: int) -> Path:
    """Write a temporary file beside ``path``, synced to the disk; return its path."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_temporary_prefix(path.name))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode != PRIVATE:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        _discard(Path(name))
        raise
    return Path(name)


def _discard(temporary: Path) -> None:
    """Failing must not hide why the write failed; ``delete_leftovers`` deletes what stays."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


class ReservedSpace:
    """Room on the disk for the next content of a file, taken before something makes it necessary to write it.

    Use it as a context manager: what was not written is given back at its end.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Reserve ``size_bytes`` beside ``path``, in a file that ``delete_leftovers`` deletes after a crash.

        Raises:
            OSError: the folder or the disk can't be written, or is full. It names ``path``.
        """
        self._path = path
        try:
            self._temporary = _write_temporary(path, os.urandom(size_bytes), PRIVATE)  # zeros might take no space
        except OSError as error:
            error.filename = str(path)
            raise

    def write(self, data: bytes) -> None:
        """As ``write_atomic``, into the reserved space. If that is gone, the disk may still take the file as usual."""
        try:
            with self._temporary.open("r+b") as file:
                file.write(data)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            self._temporary.replace(self._path)
            sync_folder(self._path.parent)
        except OSError:
            _discard(self._temporary)
            write_atomic(self._path, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _discard(self._temporary)


def read_private(path: Path) -> bytes:
    """Read one of codexd's files. If others can access it, it is restricted to its owner first.

    Raises:
        OSError: it can't be read, is not a regular file, or is larger than ``bounds.OWN_FILE_BYTES``.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = _stat_regular(file)
        if status.st_size > bounds.OWN_FILE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if status.st_mode & 0o077:
            os.fchmod(file.fileno(), PRIVATE)
        return file.read()


def read_foreign(path: Path) -> bytes:
    """Read another program's file, which may be anything by now. Its mode is left alone.

    Raises:
        OSError: it can't be read, is not a regular file, or is larger than ``bounds.FOREIGN_FILE_BYTES``.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    with open(path, "rb", opener=_open_without_waiting) as file:
        _stat_regular(file)
        data = file.read(bounds.FOREIGN_FILE_BYTES + 1)
    if len(data) > bounds.FOREIGN_FILE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would otherwise wait for its writer, and block the whole daemon."""
    return os.open(path, flags | os.O_NONBLOCK)


def _stat_regular(file: BinaryIO) -> os.stat_result:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return status


def narrow_file(path: Path) -> None:
    """Restrict the file to its owner. A missing file, or anything but a file, is left alone.

    Raises:
        OSError: the file belongs to someone else.
    """
    if path.is_file() and path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)


def keep_aside(path: Path) -> Path:
    """Rename an unreadable file to ``<name>.unreadable``, or ``.unreadable.2`` and so on; return the new path.

    Raises:
        OSError: the folder can't be written.
    """
    aside = unused_name(path.with_name(f"{path.name}.unreadable"))
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def unused_name(path: Path) -> Path:
    """``path``, or the first unused one of ``<path>.2``, ``<path>.3`` and so on."""
    if not os.path.lexists(path):
        return path
    names = (path.with_name(f"{path.name}.{number}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


def delete_leftovers(folder: Path, name: str) -> None:
    """Delete the temporary files of interrupted ``write_atomic`` calls for ``name``: they may contain secrets.

    Raises:
        OSError
    """
    prefix = _temporary_prefix(name)
    for path in folder.iterdir():
        if path.name.startswith(prefix) and _RANDOM_PART.fullmatch(path.name.removeprefix(prefix)):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable: it is stored in the folder, which is not synced together with the file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_prefix(name: str) -> str:
    return f".{name}."
