"""The Anthropic Messages routes: the hot path, as plain ASGI callables.

One nursery per request: a watcher for the disconnect, the turn with the backend, and the sender here.
When the client leaves, the nursery ends the turn, and leaving the turn closes the upstream connection.
The last body part goes out after the nursery, since Hypercorn's own end-of-response work must not
be cancelled by the watcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio
from attrs import define, field, frozen

from codexd.errors import CodexdError, ContextOverflow, RequestCancelled, ShuttingDown
from codexd.record.requests import CANCELLED
from codexd.record.timeline import RequestRecord
from codexd.translation import sse
from codexd.translation.messages.blocks import Event
from codexd.translation.messages.collect import MessageCollector
from codexd.translation.messages.errors import WireError, for_claude_code, to_wire
from codexd.translation.messages.prewarm import prewarm
from codexd.translation.messages.reasoning import tag_account
from codexd.translation.messages.request import MessagesRequest, parse, parse_count, to_responses
from codexd.translation.messages.stream import PING
from codexd.translation.messages.tokens import count_body
from codexd.translation.models import find_model
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
from codexd.web.turn import Sink, Turn, TurnRunner, to_message_id

DEFAULT_WINDOW_TOKENS = 272_000

_PING_FRAME = sse.encode(PING)
_STREAM_HEADERS = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
)


@frozen
class Timing:
    """How long a streamed answer may be silent."""

    hold_s: float = 12.0
    """The status line waits so long for the first good event: overload, quota and overflow arrive inside a 200."""
    ping_after_s: float = 10.0
    """Claude Code shows a banner after 20 s of silence and gives up after 300 s."""


@define
class Exchange:
    """One request and where its answer stands."""

    request: Request
    record: RequestRecord
    send: Send
    client_left: bool = False
    committed: bool = False

    @property
    def is_claude_code(self) -> bool:
        return self.request.headers.get("user-agent", "").startswith("claude-cli/")


@frozen
class StreamSink:
    """Events to the client as they come, encoded."""

    outbox: Outbox

    def emit(self, events: list[Event]) -> None:
        self.outbox.put(b"".join(map(sse.encode, events)))

    @property
    def is_full(self) -> bool:
        return self.outbox.is_full

    async def wait_for_room(self) -> None:
        await self.outbox.wait_for_room()


@frozen
class MessageSink:
    """Events put together into one message."""

    collector: MessageCollector = field(factory=MessageCollector)
    is_full: bool = False

    def emit(self, events: list[Event]) -> None:
        self.collector.receive_events(events)

    async def wait_for_room(self) -> None:
        pass  # a message has room for all of itself


@frozen
class MessagesApi:
    """``ending`` is set when streams have to end because the daemon stops."""

    turns: TurnRunner
    ending: trio.Event
    clock: Callable[[], float]
    timing: Timing = field(factory=Timing)

    async def create(self, request: Request, receive: Receive, send: Send) -> None:
        """``POST /v1/messages``."""
        client = read_client(request.headers)
        with self.turns.requests.record(request.id, request.method, request.path, client) as record:
            exchange = Exchange(request, record, send)
            wanted: MessagesRequest | None = None
            try:
                wanted = parse(await read_body(request, receive), request.headers)
                record.note_model(wanted.model)
                record.losses = wanted.losses
                answer = self._stream if wanted.stream else self._collect
                await answer(exchange, wanted, receive)
            except ClientLeftError:
                record.note_client_left()
            except CodexdError as error:
                await self._send_error(exchange, wanted, error)

    async def count_tokens(self, request: Request, receive: Receive, send: Send) -> None:
        """``POST /v1/messages/count_tokens``: works without an account."""
        try:
            wanted = parse_count(await read_body(request, receive))
            count = await trio.to_thread.run_sync(self._count, wanted)
            await send_json(send, 200, {"input_tokens": count})
        except ClientLeftError:
            pass
        except CodexdError as error:
            wire = to_wire(error, now=self.clock())
            await send_json(send, wire.status, wire.to_body(request.id), wire.headers)

    # -- streamed ---------------------------------------------------------------------------------

    async def _stream(self, exchange: Exchange, wanted: MessagesRequest, receive: Receive) -> None:
        outbox = Outbox()
        exchange.record.end_early = outbox.end
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, exchange, wanted, StreamSink(outbox), outbox)
            nursery.start_soon(self._end_with_daemon, outbox)
            await self._send_stream(exchange, wanted, outbox)
            nursery.cancel_scope.cancel("answered")
        if exchange.client_left:
            return
        if not exchange.committed and outbox.failure is not None:
            raise outbox.failure
        await exchange.send({"type": "http.response.body", "body": b""})

    async def _send_stream(self, exchange: Exchange, wanted: MessagesRequest, outbox: Outbox) -> None:
        """The outbox to the client, until its end; nothing if it failed before there was anything to send."""
        in_time = await outbox.wait(self.timing.hold_s)
        if outbox.failure is not None and not outbox.has_data:
            return
        exchange.committed = True
        exchange.record.status = 200
        await send_start(exchange.send, 200, (*_STREAM_HEADERS, *_loss_header(wanted).items()))
        silence_s = self.timing.ping_after_s
        data: bytes | Sign = await outbox.take(silence_s) if in_time else Sign.SILENCE
        while data is not Sign.END:
            part = _PING_FRAME if data is Sign.SILENCE else data
            await exchange.send({"type": "http.response.body", "body": part, "more_body": True})
            data = await outbox.take(silence_s)
        if outbox.failure is not None:
            wire = self._to_wire(exchange, wanted, outbox.failure)
            frame = sse.encode(wire.to_body(exchange.request.id))
            await exchange.send({"type": "http.response.body", "body": frame, "more_body": True})

    # -- whole ------------------------------------------------------------------------------------

    async def _collect(self, exchange: Exchange, wanted: MessagesRequest, receive: Receive) -> None:
        outbox = Outbox()
        exchange.record.end_early = outbox.end
        sink = MessageSink()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, exchange, receive, nursery.cancel_scope)
            nursery.start_soon(self._run, exchange, wanted, sink, outbox)
            nursery.start_soon(self._end_with_daemon, outbox)
            await outbox.wait(float("inf"))
            nursery.cancel_scope.cancel("answered")
        if exchange.client_left:
            return
        if outbox.failure is not None:
            raise outbox.failure
        exchange.record.status = 200
        await send_json(exchange.send, 200, sink.collector.message, _loss_header(wanted))

    # -- both -------------------------------------------------------------------------------------

    async def _run(self, exchange: Exchange, wanted: MessagesRequest, sink: Sink, outbox: Outbox) -> None:
        try:
            if wanted.max_tokens == 0:
                sink.emit(prewarm(to_message_id(exchange.request.id), wanted.model, self._count(wanted)))
            else:
                await self._ask(exchange, wanted, sink)
        except CodexdError as error:
            outbox.end(error)
        else:
            outbox.end()

    async def _ask(self, exchange: Exchange, wanted: MessagesRequest, sink: Sink) -> None:
        turn = Turn(
            request=wanted,
            request_id=exchange.request.id,
            record=exchange.record,
            tells_refusals=not exchange.is_claude_code,
            sink=sink,
        )
        if exchange.is_claude_code and not wanted.stream and self.turns.requests.is_repeated(turn.session):
            raise RequestCancelled(f"{CANCELLED} a moment ago.")
        await self.turns.run(turn)

    async def _watch(self, exchange: Exchange, receive: Receive, scope: trio.CancelScope) -> None:
        await wait_for_disconnect(receive)
        exchange.client_left = True
        exchange.record.note_client_left()
        scope.cancel("the client hung up")

    async def _end_with_daemon(self, outbox: Outbox) -> None:
        await self.ending.wait()
        outbox.end(ShuttingDown("codexd is shutting down; send the request again in a moment"))

    async def _send_error(self, exchange: Exchange, wanted: MessagesRequest | None, error: CodexdError) -> None:
        wire = self._to_wire(exchange, wanted, error)
        exchange.record.status = wire.status
        await send_json(exchange.send, wire.status, wire.to_body(exchange.request.id), wire.headers)

    def _to_wire(self, exchange: Exchange, wanted: MessagesRequest | None, error: CodexdError) -> WireError:
        record = exchange.record
        record.fail(error)
        prompt_tokens = window_tokens = 0
        if isinstance(error, ContextOverflow) and wanted is not None:
            model = find_model(record.model_used or "")
            window_tokens = model.context_window if model else DEFAULT_WINDOW_TOKENS
            prompt_tokens = self._count(wanted)
        wire = to_wire(error, now=self.clock(), prompt_tokens=prompt_tokens, window_tokens=window_tokens)
        if exchange.is_claude_code:
            wire = for_claude_code(wire, error)
        record.note_told(200 if exchange.committed else wire.status, wire.type, wire.message)
        return wire

    def _count(self, wanted: MessagesRequest) -> int:
        account = self.turns.store.active
        tag = tag_account(account.chatgpt_account_id) if account else ""
        model = self.turns.choose_model(wanted, account)
        return count_body(to_responses(wanted, model=model, account_tag=tag, default_effort=None))


def _loss_header(wanted: MessagesRequest) -> dict[str, str]:
    return {"codexd-losses": str(wanted.losses.told)} if wanted.losses.told else {}


def read_client(headers: Mapping[str, str]) -> str:
    """The client's name and version for the log, such as ``claude-cli/2.1.330``."""
    product = headers.get("user-agent", "").partition(" ")[0][:60]
    return product if product.isprintable() and product else "unknown"
