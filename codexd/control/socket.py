"""The control socket: JSON-RPC 2.0 on a Unix socket that only the daemon's own user can reach.

A connection is a nursery. Its calls run concurrently and share one send lock; an error ends only its own connection.
The socket's file is never taken away from a live daemon.
"""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from codexd import bounds, rpc
from codexd.control.dispatch import Refusal, Result, dispatch, event_to_json
from codexd.control.method import Call, Control, Following
from codexd.descriptors import Slots, accept
from codexd.errors import AlreadyRunning, RequestInvalid, SettingInvalid
from codexd.files import make_private_folder

log = logging.getLogger("codexd.control")


MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""The size of ``sun_path`` in ``sockaddr_un``, minus the terminating NUL."""


PROBE_TIMEOUT_S = 1.0

REFUSE_S = 1.0
"""How long a client beyond the bound may take to send its first call, which is then refused."""

FINISH_S = 5.0
"""How long calls may still run after their client has stopped sending: it may be waiting for the replies."""


async def serve_control(
    control: Control,
    listener: socket.socket,
    *,
    owns_file: Callable[[], bool] = lambda: True,
    slots: Slots | None = None,
    leaving: trio.Event | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on ``listener`` until cancelled, then remove its file, if it is still ours.

    A client for which ``slots`` has no place is told so. From ``leaving`` on, new clients are left to the other process
    that listens, and those that are connected are still answered.
    """
    slots = slots or Slots(bounds.CONTROL_CLIENTS)
    with removed_at_end(listener, owns_file):
        accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        async with accepting, trio.open_nursery() as connections:
            task_status.started()
            with trio.CancelScope() as accepts:
                if leaving is not None:
                    connections.start_soon(_cancel_after, leaving, accepts)
                while True:
                    connections.start_soon(_serve_connection, control, slots, await accept(accepting))
            await trio.sleep_forever()


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def _serve_connection(control: Control, slots: Slots, stream: trio.SocketStream) -> None:
    """Serve one client. A failure ends this connection, never the daemon."""
    try:
        if (uid := peer_uid(stream.socket)) not in (os.geteuid(), 0):
            log.warning("refused a control client of another user (uid %d)", uid)
        elif slots.take():
            try:
                await _serve_session(control, stream)
            finally:
                slots.give_back()
        else:
            await _refuse(slots, stream)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        log.debug("a control client disconnected before it got its replies")
    except* Exception:
        log.exception("a control connection failed")
    finally:
        await trio.aclose_forcefully(stream)


async def _serve_session(control: Control, stream: trio.SocketStream) -> None:
    async with trio.open_nursery() as nursery:
        await _Session(control, stream, nursery).run()


async def _refuse(slots: Slots, stream: trio.SocketStream) -> None:
    """Answer the first calls of a client with the reason why it is not served."""
    problem = f"codexd has {slots.limit} control connections already; close some of them and try again"
    with trio.move_on_after(REFUSE_S):
        for message in rpc.Connection().receive_data(bytes(await stream.receive_some(64 * bounds.KIB))):
            if isinstance(message, rpc.Request):
                await stream.send_all(
                    rpc.encode(rpc.Failure(message.id, rpc.ErrorCode.REFUSED, problem, {"kind": "busy"}))
                )


class _Session:
    """One connection: its running calls and its follows."""

    def __init__(self, control: Control, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        self.control = control
        self._stream = stream
        self._nursery = nursery
        self._send_lock = trio.Lock()
        self._slots = trio.Semaphore(bounds.CONTROL_CALLS)
        self._followers: dict[int, Following] = {}
        self._last_subscription = 0
        self._ended = False

    async def run(self) -> None:
        """Read and answer until the client stops sending, then let its last calls finish for ``FINISH_S``."""
        try:
            await self._read()
        finally:
            self._ended = True
            for follower in self._followers.values():
                follower.close()
            self._nursery.cancel_scope.deadline = trio.current_time() + FINISH_S

    def follow(self, method: str, follower: Following, replied: trio.Event) -> int:
        """Send the events of ``follower`` as notifications once the call has its reply; return the subscription.

        Raises:
            RequestInvalid: the connection already has too many follows.
        """
        if len(self._followers) >= bounds.CONTROL_FOLLOWS:
            follower.close()
            raise RequestInvalid(
                "subscription", f"this connection already has {bounds.CONTROL_FOLLOWS}; cancel one first"
            )
        self._last_subscription += 1
        self._followers[self._last_subscription] = follower
        if self._ended:  # the client disconnected while this call waited for its turn
            follower.close()
        self._nursery.start_soon(self._pump, f"{method}.event", self._last_subscription, follower, replied)
        return self._last_subscription

    def cancel(self, subscription: int) -> bool:
        """End a follow; return False if this connection has no such subscription."""
        follower = self._followers.pop(subscription, None)
        if follower is not None:
            # Cancelling the task could cut off a notification in the middle of its line.
            follower.close()
        return follower is not None

    async def _read(self) -> None:
        connection = rpc.Connection()
        async for data in self._stream:
            for message in connection.receive_data(bytes(data)):
                await self._slots.acquire()
                self._nursery.start_soon(self._handle, message)
            if connection.state is rpc.State.BROKEN:
                return

    async def _handle(self, message: rpc.Message) -> None:
        try:
            call = Call(self.control, self, trio.Event())
            if reply := await _reply_to(call, message):
                await self._send(reply)
            call.replied.set()
        finally:
            self._slots.release()

    async def _pump(self, event_name: str, subscription: int, follower: Following, replied: trio.Event) -> None:
        await replied.wait()
        async for event in follower:
            params = {"subscription": subscription, **event_to_json(event)}
            await self._send(rpc.encode(rpc.Notification(event_name, params)))

    async def _send(self, line: bytes) -> None:
        async with self._send_lock:
            await self._stream.send_all(line)


async def _reply_to(call: Call, message: rpc.Message) -> bytes | None:
    """The line that answers ``message``; None if it needs no answer."""
    match message:
        case rpc.Batch(messages) if len(messages) > bounds.CONTROL_BATCH:
            problem = (
                f"Invalid request: a batch of {len(messages)} messages; at most {bounds.CONTROL_BATCH} are allowed"
            )
            return rpc.encode(rpc.Malformed(rpc.ErrorCode.INVALID_REQUEST, problem))
        case rpc.Batch(messages):
            replies = []
            for one in messages:
                await trio.lowlevel.checkpoint()  # most methods never wait, and a batch must not block the streams
                replies += [reply] if (reply := await _reply_to_one(call, one)) else []
            return rpc.join_batch(replies) if replies else None
        case _:
            return await _reply_to_one(call, message)


async def _reply_to_one(call: Call, message: rpc.Single) -> bytes | None:
    match message:
        case rpc.Request(id_, name, params):
            return await _answer(call, id_, name, params)
        case rpc.Notification(name, params):
            await _answer(call, None, name, params)
        case rpc.Malformed():
            return rpc.encode(message)
    return None  # a reply, although nothing was called: answering it could go on forever


async def _answer(call: Call, id_: rpc.Id, name: str, params: rpc.Params | None) -> bytes:
    match await dispatch(call, name, params):
        case Result(value):
            return rpc.encode(rpc.Result(id_, value))
        case Refusal(code, kind, text, path):
            data = {"kind": kind} if path is None else {"kind": kind, "path": path}
            return rpc.encode(rpc.Failure(id_, code, text, data))


def bind_socket(path: Path) -> socket.socket:
    """Listen at ``path`` with mode 0600. A file left behind by a dead daemon is replaced.

    Raises:
        AlreadyRunning: another daemon answers at ``path``.
        SettingInvalid: ``path`` is too long for a socket, or is another kind of file.
        OSError: the folder can't be written.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SettingInvalid(
            f"the path of the control socket is too long for the system ({len(os.fsencode(path))} bytes, at most "
            f"{MAX_PATH_BYTES}): {path}. Use a shorter --home, or set CODEXD_SOCKET to a shorter path for codexd and "
            "codexctl."
        )
    if not path.parent.is_dir():  # an existing folder keeps its mode: it may be shared, like /tmp
        make_private_folder(path.parent)
    with _locked(path.parent):
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with ExitStack() as undo:
            undo.callback(listener.close)
            _bind_private(listener, path)
            listener.listen(bounds.BACKLOG)
            undo.pop_all()
    return listener


@contextmanager
def removed_at_end(listener: socket.socket, owns_file: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Remove the file of ``listener`` at the end, if it is ours and no other daemon has replaced it.

    The duplicate keeps the socket alive until its file is gone, however early the body closes ``listener``. Otherwise a
    successor could mistake the file for a leftover and replace it with one that gets the same inode number.
    """
    path = Path(listener.getsockname())
    ours = path.stat()
    with listener.dup():
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                if owns_file() and os.path.samestat(path.stat(), ours):
                    path.unlink()


def peer_uid(sock: trio.socket.SocketType) -> int:
    """The user id of the process at the other end, as reported by the kernel."""
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
    """Lock ``folder``: no second daemon may look for a stale file while this one replaces it."""
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
        except OSError as error:  # a full backlog, or another user's socket: it is in use
            raise AlreadyRunning(f"The control socket {path} is in use ({error.strerror or error}).") from None
    raise AlreadyRunning(f"Another codexd answers at {path}. Stop it, or set CODEXD_HOME to run a second one.")


def _bind_private(listener: socket.socket, path: Path) -> None:
    """Bind so that the file has mode 0600 from the start."""
    if sys.platform == "darwin":  # fchmod does not work on a socket there
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
    else:
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
