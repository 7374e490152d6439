"""HTTP/1.1 of one connection: Hypercorn's, one request after the other, with a clock for each phase of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any, cast

import h11
import trio
from hypercorn.events import Closed
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol

from codexd import bounds

log = logging.getLogger("codexd.http")

KEEP_ALIVE_S = 75.0
"""How long a connection waits for its next request. Node clients pool connections; after 5 s they would reuse closed
ones."""

HEAD_S = 30.0
"""How long a request's head may take from its first byte."""

BODY_S = 300.0
"""How long a request's body may take: the largest one, 32 MB, over 1 Mbit/s."""

FIRST_REQUEST_S = 0.5
"""At a stop, or if there is no place for others, a connection that was just accepted has this long to send its request,
which is then answered."""


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
