"""One model request and its answer, in whichever API the client uses: the hot path.

Each request has one nursery, with a watcher for the disconnect, the turn with the provider, and the sender. When the
client leaves, the nursery ends the turn, which closes the upstream connection. The last body part is sent after the
nursery, because the watcher must not cancel Hypercorn's own work at the end of a response.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import trio
from attrs import define, field, frozen

from codexd import bounds
from codexd.errors import CodexdError, RequestCancelled, RequestInvalid, ShuttingDown
from codexd.record.requests import CANCELLED_WITH, RequestLog
from codexd.record.timeline import SILENT_S, RequestRecord
from codexd.translation.client_api import (
    AnswersAlone,
    Client,
    ClientApi,
    ClientRequest,
    Collector,
    Event,
    WireError,
)
from codexd.translation.reading.fields import peek_model
from codexd.translation.reading.media import MEDIA_MARK
from codexd.turns.runner import TurnRunner
from codexd.turns.turn import Turn
from codexd.web.http import (
    ClientLeftError,
    Receive,
    Request,
    Room,
    Send,
    send_json,
    send_start,
    wait_for_disconnect,
)
from codexd.web.outbox import Outbox, Signal

log = logging.getLogger("codexd.http")

_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}

_PRODUCT = re.compile(r"[^/()]+/\S*|\S*")

_MEDIA_READERS = trio.CapacityLimiter(bounds.IMAGE_READERS)

P = TypeVar("P")
R = TypeVar("R", bound=ClientRequest)


@frozen
class Timing:
    """How long a streamed answer may be silent."""

    hold_s: float = 12.0
    """How long the status line waits for the first good event: overload, quota and overflow arrive inside a 200."""
    ping_after_s: float = 10.0
    """After this much silence a ping is sent: Claude Code shows a banner after 20 s and gives up after 300 s."""


@define
class Exchange:
    """One request and the progress of its answer."""

    request: Request
    record: RequestRecord
    send: Send
    client_left: bool = False
    has_begun: bool = False
    """Whether the status line of a stream has been sent."""


@frozen
class StreamSink:
    """Encodes events and passes them to the client as they come."""

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
    """Collects events into one document."""

    collector: Collector
    is_full: bool = False

    def emit(self, events: list[Event]) -> None:
        self.collector.receive_events(events)

    async def wait_for_room(self) -> None:
        pass  # there is always room


@frozen
class ModelRoute(Generic[R]):
    """``POST`` of model requests in one API.

    ``ending`` is set when the daemon stops and streams have to end; ``clock`` returns seconds since the epoch.
    """

    api: ClientApi[R]
    turns: TurnRunner
    requests: RequestLog
    room: Room
    ending: trio.Event
    clock: Callable[[], float]
    timing: Timing = field(factory=Timing)

    async def answer(self, request: Request, receive: Receive, send: Send) -> None:
        client = read_client_name(request.headers)
        with self.requests.record(request.id, request.method, request.path, client) as record:
            exchange = Exchange(request, record, send)
            record.note_caller(request.caller.client)
            wanted: R | None = None
            try:
                async with self.room.read(request, receive) as data:
                    wanted = await self._read(data, exchange)
                    record.note_losses(wanted.losses)
                    record.note_purpose(wanted.purpose)
                    await self._answer(exchange, wanted, receive)
            except ClientLeftError:
                record.note_client_left()
            except CodexdError as error:
                await self._send_error(exchange, wanted, error)

    async def _read(self, data: bytes, exchange: Exchange) -> R:
        headers, client, now = exchange.request.headers, exchange.request.caller.client, self.clock()
        try:
            wanted = await _parse(lambda: self.api.parse(data, headers, client, now=now), data)
        except RequestInvalid:
            exchange.record.note_model(peek_model(data))
            raise
        exchange.record.note_model(wanted.model)
        return wanted

    async def _answer(self, exchange: Exchange, wanted: R, receive: Receive) -> None:
        outbox = Outbox()
        sink = StreamSink(outbox, self.api.encode) if wanted.stream else WholeSink(self.api.make_collector())
        turn = Turn(wanted, exchange.request.id, exchange.record, sink)
        exchange.record.note_running(partial(_end_early, turn, outbox))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, turn, outbox, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, exchange, wanted, turn, outbox)
            nursery.start_soon(self._end_with_daemon, turn, outbox)
            nursery.start_soon(watch_silence, exchange.record, turn)
            if wanted.stream:
                await self._send_stream(exchange, wanted, turn, outbox)
            else:
                await outbox.wait(math.inf)
            nursery.cancel_scope.cancel("answered")
        if exchange.client_left:
            return
        if outbox.failure is not None and not exchange.has_begun:
            raise outbox.failure
        if isinstance(sink, WholeSink):
            exchange.record.note_status(200)
            await send_json(exchange.send, 200, sink.collector.document, self._headers_of(wanted, turn))
        else:
            await exchange.send({"type": "http.response.body", "body": b""})

    async def _send_stream(self, exchange: Exchange, wanted: R, turn: Turn, outbox: Outbox) -> None:
        """Send the outbox to the client until its end, or nothing if it failed before there was anything to send."""
        in_time = await outbox.wait(self.timing.hold_s)
        if outbox.failure is not None and not outbox.has_data:
            return
        exchange.has_begun = True
        exchange.record.note_status(200)
        await send_start(exchange.send, 200, (_STREAM_HEADERS | self._headers_of(wanted, turn)).items())
        silence_s = self.timing.ping_after_s
        data: bytes | Signal = await outbox.take(silence_s) if in_time else Signal.SILENCE
        while data is not Signal.END:
            await _send_part(exchange, self.api.ping if data is Signal.SILENCE else data)
            data = await outbox.take(silence_s)
        if outbox.failure is not None:
            wire = self._report(exchange, wanted, outbox.failure)
            await _send_part(exchange, self.api.encode_error(wire, exchange.request.id))
        elif self.api.end:
            await _send_part(exchange, self.api.end)

    async def _run(self, exchange: Exchange, wanted: R, turn: Turn, outbox: Outbox) -> None:
        try:
            if isinstance(wanted, AnswersAlone):
                input_tokens = await trio.to_thread.run_sync(self.turns.count_input, wanted)
                turn.sink.emit(wanted.answer_alone(exchange.request.id, input_tokens))
            else:
                self._refuse_repeated(exchange, wanted)
                await self.turns.run(turn)
        except CodexdError as error:
            outbox.end(error)
        else:
            outbox.end()

    def _refuse_repeated(self, exchange: Exchange, wanted: R) -> None:
        """After an error inside a stream, Claude Code sends the same request again, without streaming.

        Raises:
            RequestCancelled: the user has cancelled the first request.
        """
        is_second_try = exchange.request.caller.client is Client.CLAUDE_CODE and not wanted.stream
        if is_second_try and self.requests.is_repeated(wanted.session_key):
            raise RequestCancelled(f"{CANCELLED_WITH} a moment ago.")

    async def _watch(
        self, exchange: Exchange, turn: Turn, outbox: Outbox, receive: Receive, scope: trio.CancelScope
    ) -> None:
        """Cancel ``scope`` when the client disconnects.

        That is not a failure if it has the whole answer: the Codex CLI hangs up right after the last event.
        """
        await wait_for_disconnect(receive)
        exchange.client_left = True
        if not turn.is_answered or outbox.has_data:
            exchange.record.note_client_left()
        scope.cancel("the client hung up")

    async def _end_with_daemon(self, turn: Turn, outbox: Outbox) -> None:
        await self.ending.wait()
        _end_early(turn, outbox, ShuttingDown("codexd is shutting down; send the request again in a moment"))

    def _headers_of(self, wanted: R, turn: Turn) -> dict[str, str]:
        return make_loss_headers(wanted) | self.api.relay_headers(turn.answer_headers, wanted)

    async def _send_error(self, exchange: Exchange, wanted: R | None, error: CodexdError) -> None:
        wire = self._report(exchange, wanted, error)
        exchange.record.note_status(wire.status)
        headers = {**wire.headers, **(make_loss_headers(wanted) if wanted else {})}
        await send_json(exchange.send, wire.status, wire.to_body(exchange.request.id), headers)

    def _report(self, exchange: Exchange, wanted: R | None, error: CodexdError) -> WireError:
        """``error`` as reported to the client; also noted in the record."""
        exchange.record.note_failure(error)
        wire = self.api.to_wire(error, exchange.request.caller.client, wanted, now=self.clock())
        exchange.record.note_reported(200 if exchange.has_begun else wire.status, wire.type, wire.message)
        return wire


@frozen
class CountRoute:
    """``POST`` of a request whose tokens are only counted, which works without an account.

    ``parse`` reads the request of one API; ``more`` has further fields of the answer.
    """

    turns: TurnRunner
    room: Room
    parse: Callable[[bytes], ClientRequest]
    more: Mapping[str, Any] = field(factory=dict)

    async def answer(self, request: Request, receive: Receive, send: Send) -> None:
        async with self.room.read(request, receive) as data:
            wanted = await _parse(lambda: self.parse(data), data)
            tokens = await trio.to_thread.run_sync(self.turns.count_input, wanted)
        await send_json(send, 200, {**self.more, "input_tokens": tokens}, make_loss_headers(wanted))


def make_loss_headers(wanted: ClientRequest) -> dict[str, str]:
    """The header that counts what the translation dropped or approximated; nothing if there was nothing."""
    return {"codexd-losses": str(wanted.losses.reported)} if wanted.losses.reported else {}


async def _parse(parse: Callable[[], P], data: bytes) -> P:
    """``parse()``, outside the event loop if the HTTP body ``data`` has images, which are then decoded."""
    return await trio.to_thread.run_sync(parse, limiter=_MEDIA_READERS) if MEDIA_MARK in data else parse()


async def watch_silence(record: RequestRecord, turn: Turn) -> None:
    """Log and mark the request for each minute in which the backend sends nothing."""
    while True:
        left_s = SILENT_S - record.silent_s
        await trio.sleep(left_s if left_s > 0 else SILENT_S)
        if record.silent_s >= SILENT_S and not turn.sink.is_full:
            record.note_silence()
            about = {"request": record.id, "fields": {"model": record.info.model_used}}
            log.warning("waiting for the backend, silent for %.0f s", record.silent_s, extra=about)


def _end_early(turn: Turn, outbox: Outbox, error: CodexdError) -> None:
    """End the answer with ``error``, unless it is complete and only the backend's connection is still open."""
    outbox.end(None if turn.is_answered else error)


async def _send_part(exchange: Exchange, data: bytes) -> None:
    await exchange.send({"type": "http.response.body", "body": data, "more_body": True})


def read_client_name(headers: Mapping[str, str]) -> str:
    """The client's name and version for the log, such as ``claude-cli/2.1.332``. A name may have several words."""
    product = (_PRODUCT.match(headers.get("user-agent", "")) or [""])[0][:60]
    return product if product.isprintable() and product else "unknown"
