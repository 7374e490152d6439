"""One client connection: Hypercorn's HTTP/1.1, with bounds and clocks of our own.

Two tasks share a connection. One reads ahead, so that it learns at once when the client leaves; the other one answers
the requests in turn. What Hypercorn's own loop (0.18, measured) does instead:

1. its reader waits while a pipelined request does, and never learns that the client has left;
2. it hands bodies to the app through a queue that blocks for good if the app doesn't read;
3. it takes the end of a client's sending for its leaving, and a head or a body may take forever.

**When has a client left?** A reset says so, and so does a failed write. The end of its sending (FIN) does not: a client
may shut down its side and wait for the answer (``nc -N``, HTTP/1.0 clients). Only a write tells one from the other,
because a socket that was closed answers it with a reset. So after a FIN we write what clients ignore: an interim
response before the answer, a comment within a stream of events, and again every ``PROBE_S`` if the answer takes that
long. A local client that has left is noticed within milliseconds, and its turn is cancelled. HTTP/1.0 has no
interim responses: there, before the answer, a client that has left can't be told from one that waits.
"""

from __future__ import annotations

import logging
import math
import select
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from codexd import bounds
from codexd.web.protocol import FIRST_REQUEST_S, Phase, PlainH11, ReadAhead

log = logging.getLogger("codexd.http")

WRITE_STALL_S = 300.0
"""A client that accepts no byte for this long is considered gone; Claude Code waits as long for a silent server."""

PROBE_S = 10.0
"""How often we write to a client that sends nothing more, to learn whether it still reads."""

CHECK_S = 0.1
"""How often we look whether it has answered with a reset."""

LINGER_S = 2.0
"""How long the rest of a refused request is read and dropped: closing a socket with unread bytes would reset the
connection, and the client might lose our answer."""

_READ_BYTES = 64 * 1024
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Inbox:
    """The ASGI messages of one request, between the connection and the app: a ``put`` waits while it is full."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._unread_bytes = 0
        self._is_closed = False
        self._changed = trio.Event()

    async def put(self, message: Any) -> None:
        if message["type"] == "http.disconnect":
            self._is_closed = True
        elif not self._is_closed:
            self._messages.append(message)
            self._unread_bytes += len(message["body"])
        self._notify()
        while self._unread_bytes >= bounds.UNREAD_BODY_BYTES and not self._is_closed:
            await self._changed.wait()

    async def receive(self) -> Any:
        while not self._messages and not self._is_closed:
            await self._changed.wait()
        if not self._messages:
            return {"type": "http.disconnect"}
        message = self._messages.popleft()
        self._unread_bytes -= len(message["body"])
        self._notify()
        return message

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class AppTasks(TaskGroup):
    """The tasks of one connection. An app gets its messages through an ``Inbox``."""

    async def spawn_app(self, app: Any, config: Config, scope: Any, send: Any) -> Callable[[Any], Awaitable[None]]:
        inbox = Inbox()
        threads = trio.to_thread.run_sync, trio.from_thread.run
        self.spawn(_handle, app, config, scope, inbox.receive, send, *threads)
        return inbox.put


class Connection:
    """One client connection, until either side closes it."""

    def __init__(self, app: ASGIWrapper, config: Config, context: WorkerContext, stream: trio.SocketStream) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._stream = stream
        self._protocol: PlainH11
        self._arriving = ReadAhead()
        self._answering = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._write_scope: trio.CancelScope | None = None
        self._send_lock = trio.Lock()

    async def run(self, finish_within_s: float | None = None) -> None:
        """Serve the client. If the server stops already, ``finish`` at once."""
        sock = self._stream.socket
        client = parse_socket_addr(sock.family, sock.getpeername())
        server = parse_socket_addr(sock.family, sock.getsockname())
        async with AppTasks() as tasks:
            self._protocol = PlainH11(
                self._app, self._config, self._context, tasks, ConnectionState({}), False, client, server, self._send
            )
            self._protocol.has_arrived = self._has_arrived
            if finish_within_s is not None:
                self.finish(finish_within_s)
            tasks.spawn(self._read)
            with self._answering:
                await self._protocol.run(self._arriving)
            await self._protocol.handle(Closed())  # the app learns it, if it is still at work
            self._reading.cancel("the last request has been answered")
        await self._close()

    @property
    def is_idle(self) -> bool:
        """Whether no request has arrived that is not answered yet."""
        return self._protocol.phase is Phase.IDLE and not self._has_arrived()

    @property
    def can_be_closed(self) -> bool:
        """Whether all requests are answered, or none came in time after the connection was accepted."""
        protocol = self._protocol
        is_new = not protocol.keep_alive_requests and trio.current_time() < protocol.idle_since + FIRST_REQUEST_S
        return self.is_idle and not is_new

    def _has_arrived(self) -> bool:
        """Whether bytes of the client are not parsed yet."""
        if self._arriving:
            return True
        if self._stream.socket.fileno() == -1:  # closed, but still known to the server
            return False
        poll = select.poll()
        poll.register(self._stream.socket, select.POLLIN)
        return bool(poll.poll(0))

    def finish(self, within_s: float) -> None:
        """At a stop: close after one more request, if it arrives within this time or is on its way."""
        if self.can_be_closed and self._protocol.keep_alive_requests and not within_s:
            self.end()
        else:
            self._protocol.finish(within_s)

    def end(self) -> None:
        """Close the connection as if the client had left."""
        self._answering.cancel("the connection is not needed any more")

    async def _read(self) -> None:
        with self._reading:
            with suppress(*_GONE, OSError):
                await self._read_ahead()
            self._answering.cancel("the client has left")

    async def _read_ahead(self) -> None:
        """Read until the client has left.

        Raises:
            BrokenResourceError: it has.
        """
        while data := await self._stream.receive_some(_READ_BYTES):
            self._arriving.put(bytes(data))
            if self._arriving.is_full:
                await self._watch(self._arriving.has_room)
        self._arriving.end()
        await self._watch(trio.Event())

    async def _watch(self, until: trio.Event) -> None:
        """While nothing is read, find out whether the client has left.

        Raises:
            BrokenResourceError: it has.
        """
        probe_at = -math.inf
        while not until.is_set():
            if trio.current_time() >= probe_at and await self._protocol.probe():
                probe_at = trio.current_time() + PROBE_S
            if self._stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise trio.BrokenResourceError("the client has closed its socket")
            with trio.move_on_after(CHECK_S):
                await until.wait()

    async def _send(self, event: Event) -> None:
        """What the protocol has to say: bytes, or that the connection ends."""
        if isinstance(event, RawData):
            async with self._send_lock:
                await self._write(event.data)
        elif isinstance(event, Closed):
            self._answering.cancel("the protocol has ended")

    async def _write(self, data: bytes) -> None:
        self._write_scope = scope = trio.CancelScope(shield=True, relative_deadline=WRITE_STALL_S)
        try:
            with scope:
                await self._stream.send_all(data)
        except _GONE:
            self._answering.cancel("the client has left")
        if scope.cancelled_caught:
            log.warning("a client stopped reading; its connection was closed")
            await trio.aclose_forcefully(self._stream)
            self._answering.cancel("the client stopped reading")

    def cut_write(self) -> None:
        """Cancel a write that the client does not accept."""
        if self._write_scope is not None:
            self._write_scope.cancel()

    async def _close(self) -> None:
        with suppress(*_GONE):
            await self._stream.send_eof()
            if self._protocol.has_unread or self._arriving:
                with trio.move_on_after(LINGER_S):
                    while await self._stream.receive_some(_READ_BYTES):
                        pass
        await self._stream.aclose()
