"""One model request and its answer, in whichever API the client speaks: the hot path.

One nursery per request: a watcher for the disconnect, the turn with the backend, and the sender here.
When the client leaves, the nursery ends the turn, and leaving the turn closes the upstream connection.
The last body part goes out after the nursery, since Hypercorn's own end-of-response work must not
be cancelled by the watcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Generic, Protocol, TypeVar

import trio
from attrs import define, field, frozen

from codexd.errors import CodexdError, RequestInvalid, ShuttingDown
from codexd.record.timeline import RequestRecord
from codexd.translation.client_api import ClientRequest, Collector, Event, WireError
from codexd.translation.reading.fields import peek_model
from codexd.turns.turn import Turn, TurnRunner
from codexd.web.http import (
    ClientLeftError,
    Receive,
    Request,
    Send,
    read_body,
    send_json,
    send_start,
    wait_for_disconnect,
)
from codexd.web.outbox import Outbox, Sign

_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}

R = TypeVar("R", bound=ClientRequest)


@frozen
class Timing:
    """How long a streamed answer may be silent."""

    hold_s: float = 12.0
    """The status line waits so long for the first good event: overload, quota and overflow arrive inside a 200."""
    ping_after_s: float = 10.0
    """Claude Code shows a banner after 20 s of silence and gives up after 300 s."""


class ClientApi(Protocol[R]):
    """How a client API reads requests and words answers."""

    @property
    def ping(self) -> bytes:
        """A frame that says nothing but that the stream lives."""

    @property
    def end(self) -> bytes:
        """What follows the last event of a good answer."""

    def parse(self, data: bytes, headers: Mapping[str, str]) -> R:
        """The request in the HTTP body ``data``.

        Raises:
            RequestInvalid: names the field.
        """

    def answer_alone(self, wanted: R, request: Request) -> list[Event] | None:
        """The events of an answer that needs no backend, or None.

        Raises:
            CodexdError: it is refused.
        """

    def encode(self, event: Event) -> bytes:
        """``event`` as a frame of the stream."""

    def make_collector(self) -> Collector: ...

    def relay_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Which of the backend's own headers the client gets."""

    def word(self, error: CodexdError, exchange: Exchange, wanted: R | None) -> WireError:
        """``error`` as the client is told of it; ``wanted`` is None if the request could not be read."""

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        """``wire`` as the last frame of a stream that has begun."""


@define
class Exchange:
    """One request and where its answer stands."""

    request: Request
    record: RequestRecord
    send: Send
    client_left: bool = False
    committed: bool = False


@frozen
class StreamSink:
    """Events to the client as they come, encoded."""

    outbox: Outbox
    encode: Callable[[Event], bytes]

    def emit(self, events: list[Event]) -> None:
        self.outbox.put(b"".join(map(self.encode, events)))

    @property
    def is_full(self) -> bool:
        return self.outbox.is_full

    async def wait_for_room(self) -> None:
        await self.outbox.wait_for_room()


@frozen
class WholeSink:
    """Events put together into one document."""

    collector: Collector
    is_full: bool = False

    def emit(self, events: list[Event]) -> None:
        self.collector.receive_events(events)

    async def wait_for_room(self) -> None:
        pass  # a document has room for all of itself


@frozen
class ModelRoute(Generic[R]):
    """``POST`` of a model request in one API. ``ending`` is set when streams have to end because the daemon stops."""

    api: ClientApi[R]
    turns: TurnRunner
    ending: trio.Event
    timing: Timing = field(factory=Timing)

    async def answer(self, request: Request, receive: Receive, send: Send) -> None:
        client = read_client(request.headers)
        with self.turns.requests.record(request.id, request.method, request.path, client) as record:
            exchange = Exchange(request, record, send)
            wanted: R | None = None
            try:
                wanted = self._read(await read_body(request, receive), exchange)
                record.losses = wanted.losses
                answer = self._stream if wanted.stream else self._collect
                await answer(exchange, wanted, receive)
            except ClientLeftError:
                record.note_client_left()
            except CodexdError as error:
                await self._send_error(exchange, wanted, error)

    def _read(self, data: bytes, exchange: Exchange) -> R:
        try:
            wanted = self.api.parse(data, exchange.request.headers)
        except RequestInvalid:
            exchange.record.note_model(peek_model(data))
            raise
        exchange.record.note_model(wanted.model)
        return wanted

    # -- streamed ---------------------------------------------------------------------------------

    async def _stream(self, exchange: Exchange, wanted: R, receive: Receive) -> None:
        outbox = Outbox()
        turn = Turn(wanted, exchange.request.id, exchange.record, StreamSink(outbox, self.api.encode))
        exchange.record.end_early = partial(_end_early, turn, outbox)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, turn, outbox, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, exchange, wanted, turn, outbox)
            nursery.start_soon(self._end_with_daemon, turn, outbox)
            await self._send_stream(exchange, wanted, turn, outbox)
            nursery.cancel_scope.cancel("answered")
        if exchange.client_left:
            return
        if not exchange.committed and outbox.failure is not None:
            raise outbox.failure
        await exchange.send({"type": "http.response.body", "body": b""})

    async def _send_stream(self, exchange: Exchange, wanted: R, turn: Turn, outbox: Outbox) -> None:
        """The outbox to the client, until its end; nothing if it failed before there was anything to send."""
        in_time = await outbox.wait(self.timing.hold_s)
        if outbox.failure is not None and not outbox.has_data:
            return
        exchange.committed = True
        exchange.record.status = 200
        await send_start(exchange.send, 200, (_STREAM_HEADERS | self._headers_of(wanted, turn)).items())
        silence_s = self.timing.ping_after_s
        data: bytes | Sign = await outbox.take(silence_s) if in_time else Sign.SILENCE
        while data is not Sign.END:
            await _send_part(exchange, self.api.ping if data is Sign.SILENCE else data)
            data = await outbox.take(silence_s)
        if outbox.failure is not None:
            wire = self._to_wire(exchange, wanted, outbox.failure)
            await _send_part(exchange, self.api.encode_error(wire, exchange.request.id))
        elif self.api.end:
            await _send_part(exchange, self.api.end)

    # -- whole ------------------------------------------------------------------------------------

    async def _collect(self, exchange: Exchange, wanted: R, receive: Receive) -> None:
        outbox = Outbox()
        collector = self.api.make_collector()
        turn = Turn(wanted, exchange.request.id, exchange.record, WholeSink(collector))
        exchange.record.end_early = partial(_end_early, turn, outbox)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, turn, outbox, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, exchange, wanted, turn, outbox)
            nursery.start_soon(self._end_with_daemon, turn, outbox)
            await outbox.wait(float("inf"))
            nursery.cancel_scope.cancel("answered")
        if exchange.client_left:
            return
        if outbox.failure is not None:
            raise outbox.failure
        exchange.record.status = 200
        await send_json(exchange.send, 200, collector.document, self._headers_of(wanted, turn))

    # -- both -------------------------------------------------------------------------------------

    async def _run(self, exchange: Exchange, wanted: R, turn: Turn, outbox: Outbox) -> None:
        try:
            made = self.api.answer_alone(wanted, exchange.request)
            if made is None:
                await self.turns.run(turn)
            else:
                turn.sink.emit(made)
        except CodexdError as error:
            outbox.end(error)
        else:
            outbox.end()

    async def _watch(
        self, exchange: Exchange, turn: Turn, outbox: Outbox, receive: Receive, scope: trio.CancelScope
    ) -> None:
        """The Codex CLI hangs up as soon as it has read the last event, which is no failure."""
        await wait_for_disconnect(receive)
        exchange.client_left = True
        if not turn.answered or outbox.has_data:
            exchange.record.note_client_left()
        scope.cancel("the client hung up")

    async def _end_with_daemon(self, turn: Turn, outbox: Outbox) -> None:
        await self.ending.wait()
        _end_early(turn, outbox, ShuttingDown("codexd is shutting down; send the request again in a moment"))

    def _headers_of(self, wanted: R, turn: Turn) -> dict[str, str]:
        losses = {"codexd-losses": str(wanted.losses.reported)} if wanted.losses.reported else {}
        return losses | self.api.relay_headers(turn.answer_headers)

    async def _send_error(self, exchange: Exchange, wanted: R | None, error: CodexdError) -> None:
        wire = self._to_wire(exchange, wanted, error)
        exchange.record.status = wire.status
        await send_json(exchange.send, wire.status, wire.to_body(exchange.request.id), wire.headers)

    def _to_wire(self, exchange: Exchange, wanted: R | None, error: CodexdError) -> WireError:
        exchange.record.fail(error)
        wire = self.api.word(error, exchange, wanted)
        exchange.record.note_told(200 if exchange.committed else wire.status, wire.type, wire.message)
        return wire


def _end_early(turn: Turn, outbox: Outbox, error: CodexdError) -> None:
    """End the answer with ``error``, unless it is whole and only the backend's connection is not done."""
    outbox.end(None if turn.answered else error)


async def _send_part(exchange: Exchange, data: bytes) -> None:
    await exchange.send({"type": "http.response.body", "body": data, "more_body": True})


def read_client(headers: Mapping[str, str]) -> str:
    """The client's name and version for the log, such as ``claude-cli/2.1.330``."""
    product = headers.get("user-agent", "").partition(" ")[0][:60]
    return product if product.isprintable() and product else "unknown"
