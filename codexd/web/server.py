"""The accept loop: Hypercorn's HTTP/1.1 connections, each isolated from the others and from the daemon.

Why not ``hypercorn.trio.serve`` (measured with 0.18, see the test of odd requests):

1. an exception in one connection ends the whole server; here it ends only that connection;
2. it accepts cleartext HTTP/2, which causes most of those exceptions; here there is only HTTP/1.1;
3. it shields each write without a timeout, so a client that stops reading can block the shutdown forever; here a write
   has a timeout, and the end of the drain cuts it short;
4. if a client leaves with the last byte of a response, its connection goes on waiting for a request; here it ends.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H2ProtocolAssumedError, H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import parse_socket_addr

from codexd import bounds

_CLIENT_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, H2ProtocolAssumedError)
"""Errors that clients cause in their own connection: they leave, or try HTTP/2 without TLS, which is not offered."""

log = logging.getLogger("codexd.http")

WRITE_STALL_S = 300.0
"""A client that accepts no byte for this long is considered gone; Claude Code waits as long for a silent server."""

FINAL_EVENTS_S = 2.0
"""How long streams have, after the drain, to send their final event."""


FIRST_REQUEST_S = 0.5
"""At a stop, a connection that was just accepted has this long to send its request, which is then answered."""


def make_config() -> Config:
    """Hypercorn's settings, each with its reason."""
    config = Config()
    config.keep_alive_timeout = 75.0  # Node clients pool connections; after 5 s they would reuse closed ones
    config.read_timeout = None  # it would cut every stream, because clients are silent while they read
    config.include_server_header = False
    config.accesslog = None  # its formatter copies every header, including Authorization
    config.errorlog = log
    config.h11_max_incomplete_size = bounds.HEAD_BYTES
    return config


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        OSError: the address is in use or not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(bounds.BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class PlainH11(H11Protocol):
    """Hypercorn's HTTP/1.1 without upgrades, which a server may ignore (RFC 9110, section 7.8).

    WebSockets and cleartext HTTP/2 are not offered, and malformed handshakes for them raise inside Hypercorn.
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.method == b"PRI":  # the preface of HTTP/2
            await super()._check_protocol(event)

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        plain = h11.Request(
            method=request.method, target=request.target, headers=headers, http_version=request.http_version
        )
        await super()._create_stream(plain)


class Connection(TCPServer):
    """One client connection: HTTP/1.1, with a timeout for writes."""

    _write_scope: trio.CancelScope | None = None
    _is_over = False

    async def run(self) -> None:
        try:
            stream = cast("trio.SocketStream", self.stream)
            client = parse_socket_addr(stream.socket.family, stream.socket.getpeername())
            server = parse_socket_addr(stream.socket.family, stream.socket.getsockname())
            async with TaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = PlainH11(  # type: ignore[assignment]  # not the wrapper that would switch to HTTP/2
                    self.app,
                    self.config,
                    self.context,
                    task_group,
                    ConnectionState(self.state),
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                await self.protocol.initiate()
                await self.idle_task.restart(task_group, self._idle_timeout)
                await self._read_data()
        finally:
            await self._close()

    async def _idle_timeout(self) -> None:
        """Close when idle for too long, or at a stop, unless the first request may be on its way."""
        with trio.move_on_after(self.config.keep_alive_timeout):
            await self.context.terminated.wait()
            if not cast("PlainH11", self.protocol).keep_alive_requests:
                await trio.sleep(FIRST_REQUEST_S)
        with trio.CancelScope(shield=True):
            await self._initiate_server_close()

    async def _read_data(self) -> None:
        """Read until the client is gone. If a response ends after that, it must not start the idle timer again."""
        await super()._read_data()
        self._is_over = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated) and self._is_over:
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._write(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())

    async def _write(self, data: bytes) -> None:
        with trio.CancelScope(shield=True, relative_deadline=WRITE_STALL_S) as self._write_scope:
            await self.stream.send_all(data)
        if self._write_scope.cancelled_caught:
            log.warning("a client stopped reading; its connection was closed")
            await trio.aclose_forcefully(self.stream)
            await self.protocol.handle(Closed())

    def cut_write(self) -> None:
        """Cancel a write that the client does not accept."""
        if self._write_scope is not None:
            self._write_scope.cancel()


class Server:
    """Serves one ASGI app on listening sockets until told to stop."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = ASGIWrapper(cast("ASGIFramework", app))
        self._config = make_config()
        self._context = WorkerContext(None)
        self._connections: set[Connection] = set()
        self._all_closed = trio.Event()

    async def _handle(self, stream: trio.SocketStream) -> None:
        connection = Connection(self._app, self._config, self._context, ConnectionState({}), cast("Any", stream))
        self._connections.add(connection)
        try:
            await connection.run()
        except* _CLIENT_ERRORS as group:
            log.debug("a connection ended: %s", group.exceptions[0])
        except* Exception:  # whatever a client does ends only its own connection
            log.exception("a connection failed")
        finally:
            self._connections.discard(connection)
            if not self._connections:
                self._all_closed.set()
            await trio.aclose_forcefully(stream)

    async def _wait_closed(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            while self._connections:
                self._all_closed = trio.Event()
                await self._all_closed.wait()

    async def serve(
        self,
        listeners: list[socket.socket],
        *,
        stop: trio.Event,
        drain_s: float,
        on_drain_end: Callable[[], None] | None,
        task_status: trio.TaskStatus[None],
    ) -> None:
        streams = [trio.SocketListener(trio.socket.from_stdlib_socket(listener)) for listener in listeners]
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, self._handle, streams, handler_nursery=connections))
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel("stopping")
            await self._context.terminated.set()  # idle keep-alive connections close now
            await self._wait_closed(drain_s)
            if on_drain_end is not None:
                on_drain_end()
                await self._wait_closed(FINAL_EVENTS_S)
            for connection in self._connections:
                connection.cut_write()
            connections.cancel_scope.cancel("the drain is over")


async def serve(
    app: Callable[..., Any],
    listeners: list[socket.socket],
    *,
    stop: trio.Event,
    drain_s: float = 30.0,
    on_drain_end: Callable[[], None] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the ASGI ``app`` on ``listeners`` until ``stop``; then drain and return.

    Draining: no new connections are accepted, and running requests have ``drain_s`` seconds. Then ``on_drain_end`` is
    called, so that the app can end its streams with an error event of their API; two seconds later the remaining
    connections are cut. The sockets are closed on return.
    """
    await Server(app).serve(listeners, stop=stop, drain_s=drain_s, on_drain_end=on_drain_end, task_status=task_status)
