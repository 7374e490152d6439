"""The user's daemons that run, and the temporary homes of those that don't any more.

Each daemon notes itself in the state folder, so that codexctl and a second start find it. ``codexd.paths`` reads the
notes, because codexctl does too.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from codexd.files import make_private_folder, write_atomic
from codexd.paths import RunningDaemon, read_running

log = logging.getLogger("codexd.daemon")

PROBE_TIMEOUT_S = 1.0

HOME_PREFIX = "codexd-simulated-"
LOCK = "temporary-home"
"""The file in a temporary home that its daemon holds locked, under another name until it does."""

_UNLOCKED = f".{LOCK}"


@contextmanager
def noted(daemon: RunningDaemon, folder: Path | None) -> Iterator[None]:
    """Keep the note of ``daemon`` while the context lasts."""
    note(daemon, folder)
    try:
        yield
    finally:
        if folder is not None:
            with suppress(OSError):
                _path(daemon, folder).unlink()


def note(daemon: RunningDaemon, folder: Path | None) -> None:
    """Note ``daemon``, which listens already, in ``folder``. If that fails, it still runs."""
    if folder is None:
        return
    path = _path(daemon, folder)
    try:
        make_private_folder(folder)
        _forget_dead(folder, daemon.socket)
        write_atomic(path, json.dumps({name: _plain(value) for name, value in daemon._asdict().items()}).encode())
    except OSError as error:
        log.warning(
            "codexctl may not find this daemon without --socket: %s can't be written (%s)", path, error.strerror
        )


def find_living(folder: Path | None) -> Iterator[RunningDaemon]:
    """The noted daemons that answer."""
    if folder is not None:
        yield from filter(_is_alive, read_running(folder))


def _forget_dead(folder: Path, own_socket: Path) -> None:
    """Delete the notes of daemons that were killed. Whoever has noted the socket that is ours now was one of them."""
    for daemon in read_running(folder):
        if daemon.socket == own_socket or not _is_alive(daemon):
            _path(daemon, folder).unlink(missing_ok=True)


def _is_alive(daemon: RunningDaemon) -> bool:
    """Whether its socket is served. Its pid proves nothing: another process may have it by now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(str(daemon.socket))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except OSError:  # it exists, but is busy
            return True
    return True


def make_temporary_home(stack: ExitStack) -> Path:
    """A home that the end of ``stack`` deletes. Those of earlier daemons that were killed are deleted too.

    Raises:
        OSError
    """
    _delete_abandoned_homes(Path(tempfile.gettempdir()))
    home = Path(tempfile.mkdtemp(prefix=HOME_PREFIX))
    lock = _lock(home / _UNLOCKED, fcntl.LOCK_SH, os.O_CREAT)
    (home / _UNLOCKED).rename(home / LOCK)  # from now on another daemon may look whether this one lives
    stack.callback(_leave_home, home, lock)
    return home


def share_temporary_home(home: Path, stack: ExitStack) -> None:
    """Use the temporary ``home`` of another daemon, too. Whoever leaves last deletes it.

    Raises:
        OSError
    """
    stack.callback(_leave_home, home, _lock(home / LOCK, fcntl.LOCK_SH))


def _leave_home(home: Path, lock: int) -> None:
    os.close(lock)
    _delete_unless_used(home)


def _delete_abandoned_homes(folder: Path) -> None:
    for lock in folder.glob(f"{HOME_PREFIX}*/{LOCK}"):
        with suppress(OSError):
            if lock.parent.lstat().st_uid == os.geteuid():
                _delete_unless_used(lock.parent)


def _delete_unless_used(home: Path) -> None:
    with suppress(OSError):
        lock = _lock(home / LOCK, fcntl.LOCK_EX)
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def _lock(path: Path, kind: int, flags: int = 0) -> int:
    """A descriptor that holds the lock of ``path`` until it is closed or the process ends.

    Raises:
        OSError: another process holds it, and ``kind`` or the other's kind is exclusive.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _path(daemon: RunningDaemon, folder: Path) -> Path:
    return folder / f"{daemon.pid}.json"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
