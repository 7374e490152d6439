"""The file of the control socket: made so that only its user can reach it, and never taken from a live daemon."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import trio

from codexd.errors import AlreadyRunning, SettingInvalid
from codexd.files import make_private_folder

MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""``sun_path`` of ``sockaddr_un``, less its closing NUL."""

BACKLOG = 1024
"""Beyond it a connect without waiting fails, and asyncio takes that for a connection (EAGAIN is no EINPROGRESS)."""

PROBE_TIMEOUT_S = 1.0


def bind_socket(path: Path) -> socket.socket:
    """The control socket, listening at ``path``, mode 0600. A file that a dead daemon left is replaced.

    Raises:
        AlreadyRunning: somebody answers at ``path``.
        SettingInvalid: ``path`` is too long for a socket, or is another kind of file.
        OSError: the folder can't be written.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SettingInvalid(
            f"CODEXD_SOCKET: {path} is too long for a socket ({len(os.fsencode(path))} bytes, at most "
            f"{MAX_PATH_BYTES}). Set CODEXD_SOCKET to a shorter path."
        )
    if not path.parent.is_dir():  # a folder that exists may be shared, such as /tmp: it is left as it is
        make_private_folder(path.parent)
    with _locked(path.parent):
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with ExitStack() as undo:
            undo.callback(listener.close)
            _bind_private(listener, path)
            listener.listen(BACKLOG)
            undo.pop_all()
    return listener


@contextmanager
def removed_at_end(listener: socket.socket) -> Iterator[None]:
    """Remove the file of ``listener`` when done, unless a successor has put its own there.

    The duplicate keeps the socket alive until its file is gone, however early the body closes ``listener``: else a
    successor could take the file for a leftover, replace it, and get the same inode number.
    """
    path = Path(listener.getsockname())
    ours = path.stat()
    with listener.dup():
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), ours):
                    path.unlink()


def peer_uid(sock: trio.socket.SocketType) -> int:
    """The user id of the process at the other end, as the kernel knows it."""
    if sys.platform == "darwin":
        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.getpeereid(sock.fileno(), ctypes.byref(uid), ctypes.byref(gid)) != 0:
            raise OSError(ctypes.get_errno(), "getpeereid failed")
        return uid.value
    credentials = struct.Struct("iII")  # struct ucred: pid, uid, gid
    _pid, user_id, _gid = credentials.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size))
    return int(user_id)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Between looking at a stale file and listening, no second daemon may do the same."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingInvalid(f"CODEXD_SOCKET: {path} exists and is not a socket. Move it away, or set another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:  # a full backlog or another user's socket: somebody is there
            raise AlreadyRunning(f"The control socket {path} is in use ({error.strerror or error}).") from None
    raise AlreadyRunning(f"Another codexd answers at {path}. Stop it, or set CODEXD_HOME to run a second one.")


def _bind_private(listener: socket.socket, path: Path) -> None:
    """Bind with mode 0600 from the first moment on."""
    if sys.platform == "darwin":  # fchmod refuses a socket there
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
    else:
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
