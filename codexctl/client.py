"""A connection to the control socket of a running codexd: blocking, standard library only."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codexd import rpc

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 60.0

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""A log history of many entries is one line."""


class NoDaemon(Exception):
    """No codexd to talk to at the socket; the text says why and what to do."""


class Lost(NoDaemon):
    """It went away in the middle of a call, which may have been carried out."""


class Refused(Exception):
    """The daemon's error reply; ``kind`` is its stable word."""

    def __init__(self, failure: rpc.Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.kind = failure.data.get("kind") if isinstance(failure.data, dict) else None


class ControlClient:
    """One connection; use it in ``with``.

    Raises:
        NoDaemon: nobody answers at ``path``, or somebody who is not the user's own daemon.
    """

    def __init__(self, path: Path, *, reply_timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._path = path
        self._reply_timeout_s = reply_timeout_s
        self._connection = rpc.Connection(MAX_REPLY_BYTES)
        self._received: list[rpc.Message] = []
        self._last_id = 0
        self._socket = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of ``method``.

        Raises:
            Refused: the daemon answered with an error.
            NoDaemon: it went away or does not answer.
        """
        call_id = self.begin(method, params)
        while True:
            match self._receive():
                case rpc.Result(id_, result) if id_ == call_id:
                    return result
                case rpc.Failure(id_) as failure if id_ in (call_id, None):
                    raise Refused(failure)

    def begin(self, method: str, params: dict[str, Any] | None = None) -> int:
        """Send a call; the id that its reply will have. For who waits for several things: see ``read_replies``."""
        self._last_id += 1
        self._socket.settimeout(self._reply_timeout_s)
        self._send(rpc.Request(self._last_id, method, params))
        return self._last_id

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_replies(self) -> list[rpc.Result | rpc.Failure]:
        """The replies that have come; blocks unless ``fileno`` is readable."""
        self._read()
        messages, self._received = self._received, []
        return [message for message in messages if isinstance(message, rpc.Result | rpc.Failure)]

    def follow(
        self, method: str, params: dict[str, Any] | None = None, *, tick_s: float | None = None
    ) -> Iterator[dict[str, Any] | None]:
        """Call a follow method, then give the params of each of its events until the caller stops.

        With ``tick_s`` also None each time that nothing has come for so long.

        Raises:
            Refused, NoDaemon: as ``call``.
        """
        subscription = self.call(method, params)["subscription"]
        return self._events(f"{method}.event", subscription, tick_s)

    def _events(self, name: str, subscription: int, tick_s: float | None) -> Iterator[dict[str, Any] | None]:
        self._socket.settimeout(None)
        while True:
            if tick_s is not None and not self._received and not select.select([self], (), (), tick_s)[0]:
                yield None
                continue
            match self._receive():
                case rpc.Notification(method, dict(params)) if method == name:
                    if params.get("subscription") == subscription:
                        yield params

    def _send(self, message: rpc.Message) -> None:
        try:
            self._socket.sendall(rpc.encode(message))
        except OSError as error:
            raise self._lost(error) from None

    def _receive(self) -> rpc.Message:
        while not self._received:
            self._read()
        return self._received.pop(0)

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise NoDaemon(
                f"codexd at {self._path} has not answered for {self._reply_timeout_s:.0f} s. Its log may say why."
            ) from None
        except OSError as error:
            raise self._lost(error) from None
        if not data:
            raise self._lost(None)
        self._received += self._connection.receive_data(data)

    def _lost(self, error: OSError | None) -> Lost:
        why = f" ({error.strerror})" if error else ""
        return Lost(f"codexd at {self._path} closed the connection{why}. If it has ended, start it with: codexd")


def connect(path: Path) -> socket.socket:
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
        raise NoDaemon(_why_not(error, path)) from None
    return connection


def _why_not(error: OSError, path: Path) -> str:
    start = "Start it with: codexd  (or: codexd --simulate)"
    match error:
        case FileNotFoundError():
            return f"codexd is not running at {path}. {start}"
        case ConnectionRefusedError():
            return f"codexd is not running at {path}: the socket is a leftover of one that ended. {start}"
        case PermissionError():
            return f"{path} belongs to another user. Use the socket of your own codexd (--socket PATH). {start}"
        case TimeoutError() | BlockingIOError():
            return f"codexd at {path} does not accept connections; it may be stopped or overloaded."
    return f"codexd can't be reached at {path}: {error.strerror or error}. {start}"


def _check_peer(connection: socket.socket, path: Path) -> None:
    """Who bound the socket gets to see what is sent: it must be this user, or root."""
    if not hasattr(socket, "SO_PEERCRED"):
        return
    credentials = struct.Struct("iII")  # struct ucred: pid, uid, gid
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    _pid, uid, _gid = credentials.unpack(raw)
    if uid not in (os.geteuid(), 0):
        raise NoDaemon(f"{path} is served by another user (uid {uid}), not by your codexd. Nothing was sent to it.")
