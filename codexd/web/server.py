"""The accept loop: Hypercorn's HTTP/1.1 connections, each isolated from the others and from the daemon.

Why not ``hypercorn.trio.serve`` (measured with 0.18, see the test of odd requests):

1. an exception in one connection ends the whole server; here it ends only that connection;
2. it accepts cleartext HTTP/2, which causes most of those exceptions; here there is only HTTP/1.1;
3. it shields each write without a timeout, so a client that stops reading can block the shutdown forever; here a write
   has a timeout, and the end of the drain cuts it short;
4. it accepts any number of connections; here there is a bound, beyond which idle connections are closed.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework

from codexd import bounds
from codexd.descriptors import Slots, accept
from codexd.web.connection import Connection

_CLIENT_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, H2ProtocolAssumedError)
"""Errors that clients cause in their own connection: they leave, or try HTTP/2 without TLS, which is not offered."""

log = logging.getLogger("codexd.http")

ROOM_CHECK_S = 0.1
"""How often, if there is no place for another connection, we look for one that has become idle."""

FINAL_EVENTS_S = 2.0
"""How long streams have, after the drain, to send their final event."""


def make_config() -> Config:
    """Hypercorn's settings, each with its reason."""
    config = Config()
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


class Server:
    """Serves one ASGI app on listening sockets until told to stop."""

    def __init__(self, app: Callable[..., Any], slots: Slots) -> None:
        self._app = ASGIWrapper(cast("ASGIFramework", app))
        self._slots = slots
        self._config = make_config()
        self._context = WorkerContext(None)
        self._connections: dict[Connection, None] = {}
        self._all_closed = trio.Event()
        self._finish_within_s: float | None = None
        """Once the server stops: see ``Connection.finish``."""

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener.socket)
            await self._make_room()
            stream = await accept(listener)
            connections.start_soon(self._handle, stream)

    async def _make_room(self) -> None:
        """Take a place. If there is none, the connection that has been idle for longest is closed."""
        while not self._slots.take():
            idle = next((connection for connection in self._connections if connection.can_be_closed), None)
            if idle is not None:
                idle.end()
            with trio.move_on_after(ROOM_CHECK_S):
                await self._slots.wait_for_one()

    async def _handle(self, stream: trio.SocketStream) -> None:
        connection = Connection(self._app, self._config, self._context, stream)
        self._connections[connection] = None
        try:
            await connection.run(self._finish_within_s)
        except* _CLIENT_ERRORS as group:
            log.debug("a connection ended: %s", type(group.exceptions[0]).__name__)  # its words may quote a request
        except* Exception:  # whatever a client does ends only its own connection
            log.exception("a connection failed")
        finally:
            del self._connections[connection]
            if not self._connections:
                self._all_closed.set()
            await trio.aclose_forcefully(stream)
            self._slots.give_back()

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
        last_request_s: Callable[[], float],
        task_status: trio.TaskStatus[None],
    ) -> None:
        streams = [trio.SocketListener(trio.socket.from_stdlib_socket(listener)) for listener in listeners]
        async with trio.open_nursery() as connections:
            try:
                async with trio.open_nursery() as accepting:
                    for stream in streams:
                        accepting.start_soon(self._accept, stream, connections)
                    task_status.started()
                    await stop.wait()
                    accepting.cancel_scope.cancel("stopping")
            finally:
                for stream in streams:
                    stream.socket.close()
            self._finish_within_s = last_request_s()
            for connection in self._connections:
                connection.finish(self._finish_within_s)
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
    last_request_s: Callable[[], float] = lambda: 0.0,
    slots: Slots | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the ASGI ``app`` on ``listeners`` until ``stop``; then drain and return.

    Draining: no new connections are accepted, and running requests have ``drain_s`` seconds. If another process serves
    after this one, a client that just sends a request should not find its connection closed: each connection may be
    used once more within ``last_request_s`` seconds. At the end of the drain ``on_drain_end`` is called, so that the
    app can end its streams with an error event of their API; two seconds later the remaining connections are cut. The
    sockets are closed on return.

    There are never more connections than ``slots``; further clients wait in the backlog.
    """
    await Server(app, slots or Slots(bounds.CLIENTS)).serve(
        listeners,
        stop=stop,
        drain_s=drain_s,
        on_drain_end=on_drain_end,
        last_request_s=last_request_s,
        task_status=task_status,
    )
