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
    """Note ``daemon``, which listens already, in ``folder`` while the context lasts. If that fails, it still runs."""
    if folder is None:
        yield
        return
    note = _path(daemon, folder)
    try:
        make_private_folder(folder)
        _forget_dead(folder, daemon.socket)
        write_atomic(note, json.dumps({name: _plain(value) for name, value in daemon._asdict().items()}).encode())
    except OSError as error:
        log.warning(
            "codexctl may not find this daemon without --socket: %s can't be written (%s)", note, error.strerror
        )
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()


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
    """A home that ``stack`` deletes. Those of earlier daemons that were killed are deleted too.

    Raises:
        OSError
    """
    _delete_abandoned_homes(Path(tempfile.gettempdir()))
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=HOME_PREFIX, ignore_cleanup_errors=True)))
    lock = _lock(home / _UNLOCKED, os.O_CREAT)
    stack.callback(os.close, lock)
    (home / _UNLOCKED).rename(home / LOCK)  # from now on another daemon may look whether this one lives
    return home


def _delete_abandoned_homes(folder: Path) -> None:
    for lock in folder.glob(f"{HOME_PREFIX}*/{LOCK}"):
        with suppress(OSError):
            if lock.parent.lstat().st_uid == os.geteuid():
                os.close(_lock(lock))
                shutil.rmtree(lock.parent)


def _lock(path: Path, flags: int = 0) -> int:
    """A descriptor that holds the lock of ``path`` until it is closed or the process ends.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _path(daemon: RunningDaemon, folder: Path) -> Path:
    return folder / f"{daemon.pid}.json"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
