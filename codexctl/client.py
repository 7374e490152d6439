"""A connection to the control socket of a running codexd: blocking, standard library only.

``async_client.py`` is the same for asyncio. This module also has what the two share.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self, TypeGuard

from codexd import __version__, rpc
from codexd.paths import find_running_folder, read_running

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 60.0
"""How long a call may take, as long as the daemon lives: many only end when a server has answered."""

ASK_AFTER_S, ANSWER_WITHIN_S = 2.0, 3.0
"""After a silence of the first, the daemon is asked whether it is there; it must say something within the second."""

PROBE = "daemon.status"
TICK_S = 0.1
READ_BYTES = 65536

UNKNOWN_PARAMETER = ": unknown parameter"
"""How the daemon's refusal of a parameter ends."""

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""A long log history comes as one line."""


class NoDaemon(Exception):
    """There is no codexd to talk to at the socket; the text says why and what to do."""


class ConnectionLost(NoDaemon):
    """The daemon went away during a call, which may have been carried out."""


class Refused(Exception):
    """The daemon's error reply; ``kind`` is its stable name."""

    def __init__(self, failure: rpc.Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.kind = failure.data.get("kind") if isinstance(failure.data, dict) else None


class OlderDaemon(Refused):
    """The daemon was started before an upgrade, and lacks something that this codexctl needs."""

    def __init__(self, reason: str, daemon: str = "the running codexd") -> None:
        text = (
            f"{daemon} is an older build than this codexctl {__version__} ({reason}). Restart it: "
            "`codexctl stop`, then start codexd as before."
        )
        super().__init__(rpc.Failure(None, rpc.ErrorCode.REFUSED, text, {"kind": "older_daemon"}))
        self.reason = reason


class Answer(dict[str, Any]):
    """A JSON object from the daemon. Looking up what it should have and has not raises ``OlderDaemon``."""

    def __missing__(self, name: str) -> NoReturn:
        raise OlderDaemon(f"its answer lacks {name}")


class Messages:
    """The messages of one connection: calls are encoded, bytes become ``received`` messages. Does no I/O itself."""

    def __init__(self) -> None:
        self._reader = rpc.Connection(MAX_REPLY_BYTES, Answer)
        self.received: deque[rpc.Message] = deque()
        self.last_id = 0

    def encode_call(self, method: str, params: dict[str, Any] | None) -> bytes:
        """The bytes of a call, whose id is then ``last_id``."""
        self.last_id += 1
        return rpc.encode(rpc.Request(self.last_id, method, params))

    def receive(self, data: bytes) -> None:
        self.received += self._reader.receive_data(data)


def is_reply(message: rpc.Message, call_id: int) -> TypeGuard[rpc.Result | rpc.Failure]:
    """Whether ``message`` is the reply to the call. An error without an id means that the call could not be read."""
    match message:
        case rpc.Result(id_):
            return id_ == call_id
        case rpc.Failure(id_):
            return id_ in (call_id, None)
    return False


def result_of(reply: rpc.Result | rpc.Failure) -> Any:
    """The result in ``reply``.

    Raises:
        Refused: the reply is an error; ``OlderDaemon`` if the daemon does not know the method or a parameter.
    """
    if isinstance(reply, rpc.Failure):
        if reply.code == rpc.ErrorCode.METHOD_NOT_FOUND or reply.message.endswith(UNKNOWN_PARAMETER):
            raise OlderDaemon(reply.message)
        raise Refused(reply)
    return reply.result


class Progress(Protocol):
    """Shows that a call is taking long. ``clear`` comes before anything else is printed."""

    def turn(self, waited_s: float) -> None: ...
    def clear(self) -> None: ...


class ControlClient:
    """One connection; use it in ``with``.

    Raises:
        NoDaemon: nothing answers at ``path``, or the daemon is not the user's own.
    """

    def __init__(
        self, path: Path, *, reply_timeout_s: float = REPLY_TIMEOUT_S, progress: Progress | None = None
    ) -> None:
        self._path = path
        self._reply_timeout_s = reply_timeout_s
        self._progress = progress
        self._messages = Messages()
        self._socket = connect(path)
        self._heard_at = time.monotonic()
        self._probe: int | None = None
        """The id of the question whether the daemon is there, until it is answered."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of ``method``.

        Raises:
            Refused: the daemon answered with an error.
            NoDaemon: it went away or does not answer.
        """
        call_id = self.begin(method, params)
        try:
            return result_of(self._wait_for(call_id))
        finally:
            if self._progress is not None:
                self._progress.clear()

    def _wait_for(self, call_id: int) -> rpc.Result | rpc.Failure:
        started = time.monotonic()
        while True:
            while self._messages.received:
                message = self._messages.received.popleft()
                if is_reply(message, call_id):
                    return message
            waited_s = time.monotonic() - started
            if self._has_data(min(TICK_S, max(0.0, self._reply_timeout_s - waited_s))):
                self._read()
            elif waited_s >= self._reply_timeout_s:
                raise no_answer(self._path, self._reply_timeout_s)
            else:
                self.check_alive()
                if self._progress is not None:
                    self._progress.turn(waited_s)

    def check_alive(self) -> None:
        """Call this while nothing comes: after a while it asks the daemon whether it is there.

        Raises:
            NoDaemon: it was asked and says nothing.
        """
        silent_s = time.monotonic() - self._heard_at
        if self._probe is None and silent_s >= ASK_AFTER_S:
            self._heard_at = time.monotonic()
            self._probe = self.begin(PROBE)
        elif self._probe is not None and silent_s >= ANSWER_WITHIN_S:
            raise no_answer(self._path, ASK_AFTER_S + ANSWER_WITHIN_S)

    def wait_until_closed(self) -> None:
        """Wait until the daemon hangs up, for as long as that takes."""
        started = time.monotonic()
        with suppress(ConnectionLost):
            while True:
                if self._has_data(TICK_S):
                    self._read()
                elif self._progress is not None:
                    self._progress.turn(time.monotonic() - started)
        if self._progress is not None:
            self._progress.clear()

    def _has_data(self, timeout_s: float) -> bool:
        return bool(select.select([self], (), (), timeout_s)[0])

    def begin(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a call and return the id of its reply, which :meth:`read_replies` will return."""
        self._socket.settimeout(ANSWER_WITHIN_S)
        try:
            self._socket.sendall(self._messages.encode_call(method, params))
        except TimeoutError:
            raise no_answer(self._path, ANSWER_WITHIN_S) from None
        except OSError as error:
            raise connection_lost(self._path, error) from None
        return self._messages.last_id

    def read_replies(self) -> list[rpc.Result | rpc.Failure]:
        """The replies that have arrived; blocks unless ``fileno`` is readable."""
        self._read()
        replies = [each for each in self._messages.received if isinstance(each, rpc.Result | rpc.Failure)]
        self._messages.received.clear()
        return replies

    def follow(
        self, method: str, params: dict[str, Any] | None = None, *, tick_s: float | None = None
    ) -> Iterator[dict[str, Any] | None]:
        """Call a follow method, then yield the params of each of its events until the caller stops.

        With ``tick_s``, yield None each time that nothing has arrived for this long.

        Raises:
            Refused, NoDaemon: as :meth:`call`.
        """
        subscription = self.call(method, params)["subscription"]
        return self._events(f"{method}.event", subscription, tick_s)

    def _events(self, name: str, subscription: int, tick_s: float | None) -> Iterator[dict[str, Any] | None]:
        while True:
            while self._messages.received:
                match self._messages.received.popleft():
                    case rpc.Notification(method, dict(params)) if method == name:
                        if params.get("subscription") == subscription:
                            yield params
            if self._has_data(ASK_AFTER_S if tick_s is None else tick_s):
                self._read()
                continue
            self.check_alive()
            if tick_s is not None:
                yield None

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except OSError as error:
            raise connection_lost(self._path, error) from None
        if not data:
            raise connection_lost(self._path)
        self._heard_at = time.monotonic()
        self._messages.receive(data)
        if self._probe is not None:
            self._drop_answer_to_probe(self._probe)

    def _drop_answer_to_probe(self, probe: int) -> None:
        answers = [each for each in self._messages.received if getattr(each, "id", None) == probe]
        for each in answers:
            self._messages.received.remove(each)
            self._probe = None


def connection_lost(path: Path, error: OSError | None = None) -> ConnectionLost:
    why = f" ({error.strerror})" if error else ""
    return ConnectionLost(f"codexd at {path} closed the connection{why}. If it has stopped, start it with: codexd")


def no_answer(path: Path, timeout_s: float) -> NoDaemon:
    """The error for a daemon that holds the connection and says nothing. It may be suspended, or not get started."""
    silence = f"codexd at {path} did not answer within {timeout_s:.0f} s. Its log may say why"
    pid = _find_process(path)
    if pid is None:
        return NoDaemon(f"{silence} (`codexctl service logs`, if it is a service).")
    if _is_stopped(pid):
        return NoDaemon(f"codexd (pid {pid}) is suspended and answers nothing. Let it go on with: kill -CONT {pid}")
    return NoDaemon(f"{silence}. If it does not recover, end it with `kill {pid}` and start it again.")


def _find_process(path: Path) -> int | None:
    """The process that serves ``path``. Known on Linux only.

    The peer of a connection is whoever opened the socket: systemd, if it activated codexd, or an earlier codexd. They
    must not be killed for it, and neither a process that got the pid of a dead codexd.
    """
    with suppress(RuntimeError):  # the user's home folder is unknown
        for daemon in read_running(find_running_folder()):
            with suppress(OSError):
                command = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
                if daemon.socket == path.absolute() and b"codexd" in command:
                    return daemon.pid
    return None


def _is_stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal, as by Ctrl-Z in its terminal. Known on Linux only."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1]
    except OSError:
        return False
    return state in ([b"T"], [b"t"])


def connect(path: Path) -> socket.socket:
    """A socket that is connected to the user's own daemon.

    Raises:
        NoDaemon: nothing answers at ``path``, or the daemon is not the user's own.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(str(path))
        _check_peer(connection, path)
    except NoDaemon:
        connection.close()
        raise
    except OSError as error:
        connection.close()
        raise NoDaemon(_explain(error, path)) from None
    return connection


def _explain(error: OSError, path: Path) -> str:
    start = "Start it with: codexd  (or: codexd --simulate)"
    match error:
        case FileNotFoundError():
            return f"codexd is not running at {path}. {start}"
        case ConnectionRefusedError():
            return f"codexd is not running at {path}; an earlier one left the socket behind. {start}"
        case PermissionError():
            return f"{path} belongs to another user. Use your own codexd's socket (--socket PATH). {start}"
        case TimeoutError() | BlockingIOError():
            return f"codexd at {path} does not accept connections. It may be stopped or overloaded."
        case OSError(errno=None):  # Python's own: "AF_UNIX path too long"
            return f"{path} can't be a socket ({error}). Use a shorter --socket, CODEXD_SOCKET or CODEXD_HOME."
    return f"can't connect to codexd at {path}: {error.strerror or error}. {start}"


def _check_peer(connection: socket.socket, path: Path) -> None:
    """Whoever bound the socket reads what is sent, so it must be this user or root."""
    uid = _read_peer(connection)
    if uid not in (None, os.geteuid(), 0):
        raise NoDaemon(f"{path} is served by another user (uid {uid}), not by your codexd. Nothing was sent to it.")


def _read_peer(connection: socket.socket) -> int | None:
    """The user id of whoever listens on the socket; None where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = struct.Struct("iII")  # struct ucred: pid, uid, gid
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    _pid, uid, _gid = credentials.unpack(raw)
    return int(uid)
