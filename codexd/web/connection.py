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
long. A client that has left is noticed within milliseconds on this machine, and its turn is cancelled. HTTP/1.0 has no
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
from dataclasses import replace
from enum import Enum
from typing import Any, cast

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from codexd import bounds

log = logging.getLogger("codexd.http")

KEEP_ALIVE_S = 75.0
"""How long a connection waits for its next request. Node clients pool connections; after 5 s they would reuse closed
ones."""

HEAD_S = 30.0
"""How long a request's head may take from its first byte."""

BODY_S = 300.0
"""How long a request's body may take: the largest one, 32 MB, over 1 Mbit/s."""

WRITE_STALL_S = 300.0
"""A client that accepts no byte for this long is considered gone; Claude Code waits as long for a silent server."""

FIRST_REQUEST_S = 0.5
"""At a stop, or if there is no place for others, a connection that was just accepted has this long to send its request,
which is then answered."""

PROBE_S = 10.0
"""How often we write to a client that sends nothing more, to learn whether it still reads."""

CHECK_S = 0.1
"""How often we look whether it has answered with a reset."""

LINGER_S = 2.0
"""How long the rest of a refused request is read and dropped: closing a socket with unread bytes would reset the
connection, and the client might lose our answer."""

_READ_BYTES = 64 * 1024
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Phase(Enum):
    """What a connection is waiting for."""

    IDLE = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "the app"


_LIMITS_S = {Phase.IDLE: KEEP_ALIVE_S, Phase.HEAD: HEAD_S, Phase.BODY: BODY_S, Phase.ANSWER: math.inf}


class ReadAhead:
    """The bytes that have arrived and are not parsed yet."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._has_ended = False
        self._arrived = trio.Event()
        self.has_room = trio.Event()

    def put(self, data: bytes) -> None:
        self._data += data
        if len(self._data) >= bounds.AHEAD_BYTES:
            self.has_room = trio.Event()
        self._arrived.set()

    def end(self) -> None:
        self._has_ended = True
        self._arrived.set()

    @property
    def is_full(self) -> bool:
        return len(self._data) >= bounds.AHEAD_BYTES

    def __bool__(self) -> bool:
        return bool(self._data)

    async def take(self) -> bytes:
        """Everything that has arrived; empty at the end."""
        await self._arrived.wait()
        data = bytes(self._data)
        self._data.clear()
        self.has_room.set()
        if not self._has_ended:
            self._arrived = trio.Event()
        return data


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


class PlainH11(H11Protocol):
    """Hypercorn's HTTP/1.1 without upgrades, which a server may ignore (RFC 9110, section 7.8).

    WebSockets and cleartext HTTP/2 are not offered, and malformed handshakes for them raise inside Hypercorn.
    """

    connection: h11.Connection

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.phase = Phase.IDLE
        self.idle_since = trio.current_time()
        self._waiting = trio.CancelScope()
        self._deadline = trio.current_time() + KEEP_ALIVE_S
        self._sends_events = False
        self._is_over = False
        self.has_arrived: Callable[[], bool] = lambda: False
        """Whether bytes of the client wait to be read."""
        self._last_within_s: float | None = None
        """Once the server stops: how long the connection waits for its last request."""

    async def run(self, arriving: ReadAhead) -> None:
        """Answer the requests in turn, and return when the connection should be closed."""
        while True:
            await self._send_continue()
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return
            if event is h11.NEED_DATA:
                if not await self._receive(arriving):
                    return
            elif event is h11.PAUSED and self.stream is not None:
                await self._wait_for_answer()
            elif event is h11.PAUSED:
                return  # after a 2xx answer to CONNECT, which opens no tunnel here
            elif isinstance(event, h11.ConnectionClosed):
                await self._wait_for_answer()
                return
            elif isinstance(event, h11.Request) and _has_two_lengths(event):
                await self._refuse(400)
                return
            else:
                await self._pass_on(cast("h11.Event", event))

    async def _pass_on(self, event: h11.Event) -> None:
        if isinstance(event, h11.Request):
            self._enter(Phase.BODY)
            await self._check_protocol(event)
            await self._create_stream(event)
        elif isinstance(event, h11.EndOfMessage):
            self._enter(Phase.ANSWER)
            if self.stream is not None:
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
        elif isinstance(event, h11.Data) and self.stream is not None:
            await self.stream.handle(Body(stream_id=STREAM_ID, data=bytes(event.data)))

    async def _receive(self, arriving: ReadAhead) -> bool:
        """Wait for more bytes, as long as the phase allows; return whether the connection goes on."""
        if self.phase is Phase.IDLE and self.connection.trailing_data[0]:
            self._enter(Phase.HEAD)
        with trio.CancelScope(deadline=self._deadline) as self._waiting:
            self.connection.receive_data(await arriving.take())
        if not self._waiting.cancelled_caught:
            return True
        if self.phase is Phase.IDLE and self.has_arrived():  # in the last moment, and nobody has read it yet
            self._enter(Phase.HEAD)
            return True
        if self.phase is not Phase.IDLE:
            log.info("a request was refused: %s did not arrive within %g s", self.phase.value, _LIMITS_S[self.phase])
            await self._refuse(408)
        return False

    def finish(self, within_s: float) -> None:
        """Answer what was asked, and one more request if it arrives within this time; then close.

        The client is told with the next head. Closing at once would meet a request that is on its way.
        """
        self._last_within_s = within_s
        if self.phase is Phase.IDLE:
            self._waiting.deadline = self._deadline = trio.current_time() + max(within_s, FIRST_REQUEST_S)

    async def _wait_for_answer(self) -> None:
        while self.stream is not None:
            await self.can_read.clear()
            await self.can_read.wait()

    async def _refuse(self, status: int) -> None:
        if self.connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send_error_response(status)
        self._is_over = True

    async def _send_continue(self) -> None:
        if self.connection.they_are_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        is_last = phase is Phase.IDLE and self._last_within_s is not None
        limit_s = (self._last_within_s or 0.0) if is_last else _LIMITS_S[phase]
        self._waiting.deadline = self._deadline = trio.current_time() + limit_s

    @property
    def has_unread(self) -> bool:
        """Whether the client may still be sending a request that is not needed any more."""
        return self.connection.their_state in {h11.SEND_BODY, h11.ERROR} or bool(self.connection.trailing_data[0])

    async def probe(self) -> bool:
        """Write what a client ignores that waits for its answer; return whether there was anything to write."""
        if self.phase is not Phase.ANSWER:
            return False
        if self.connection.our_state is h11.SEND_RESPONSE and self.connection.their_http_version != b"1.0":
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
        elif self.connection.our_state is h11.SEND_BODY and self._sends_events:
            await self._send_h11_event(h11.Data(data=b":\n\n"))
        else:
            return False
        return True

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response):
            self._sends_events = any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in event.headers
            )
            if self._last_within_s is not None:
                event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:
        if self._is_over:
            return
        try:
            await super()._send_h11_event(event)
        except h11.LocalProtocolError as error:  # e.g. the app was cancelled in the middle of an answer
            self._is_over = True
            log.warning("an answer was broken off: %s", error)
            await self.send(Closed())

    async def _maybe_recycle(self) -> None:
        if self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE:
            self._enter(Phase.IDLE)
        await super()._maybe_recycle()

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.method == b"PRI":  # the preface of HTTP/2
            await super()._check_protocol(event)

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        plain = h11.Request(
            method=request.method, target=request.target, headers=headers, http_version=request.http_version
        )
        await super()._create_stream(plain)


def _has_two_lengths(request: h11.Request) -> bool:
    """Whether two readers of the request may disagree about where it ends (RFC 9112, section 6.1)."""
    names = {name for name, _ in request.headers}
    has_coding = b"transfer-encoding" in names
    return has_coding and (b"content-length" in names or request.http_version == b"1.0")


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
