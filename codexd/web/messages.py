"""Anthropic Messages: how its requests are read and its answers worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from codexd.errors import CodexdError, ContextOverflow, RequestCancelled
from codexd.record.requests import CANCELLED
from codexd.translation import sse
from codexd.translation.client_api import Collector, Event, WireError
from codexd.translation.messages.collect import MessageCollector
from codexd.translation.messages.request import MessagesRequest, is_claude_code, parse, to_message_id
from codexd.translation.messages.stream import PING, prewarm
from codexd.translation.wire_errors import for_claude_code, to_anthropic
from codexd.turns.turn import TurnRunner
from codexd.web.exchange import Exchange
from codexd.web.http import Request


@frozen
class MessagesApi:
    """``clock`` gives seconds since the epoch."""

    turns: TurnRunner
    clock: Callable[[], float]
    ping: bytes = sse.encode(PING)
    end: bytes = b""
    encode: Callable[[Event], bytes] = sse.encode

    def parse(self, data: bytes, headers: Mapping[str, str]) -> MessagesRequest:
        return parse(data, headers)

    def answer_alone(self, wanted: MessagesRequest, request: Request) -> list[Event] | None:
        """Claude Code's second try at what its user has cancelled is refused; ``max_tokens: 0`` needs no model."""
        if wanted.max_tokens == 0:
            return prewarm(to_message_id(request.id), wanted.model, self.turns.count_input(wanted))
        is_second_try = is_claude_code(request.headers) and not wanted.stream
        if is_second_try and self.turns.requests.is_repeated(wanted.session_key):
            raise RequestCancelled(f"{CANCELLED} a moment ago.")
        return None

    def make_collector(self) -> Collector:
        return MessageCollector()

    def relay_headers(self, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - the client knows none
        return {}

    def word(self, error: CodexdError, exchange: Exchange, wanted: MessagesRequest | None) -> WireError:
        if isinstance(error, ContextOverflow) and wanted is not None:
            active = self.turns.store.active
            error.window_tokens = self.turns.aim(wanted.model, active, exchange.record.model_used).model.context_window
            error.prompt_tokens = self.turns.count_input(wanted)
        wire = to_anthropic(error, now=self.clock())
        return for_claude_code(wire, error) if is_claude_code(exchange.request.headers) else wire

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode(wire.to_body(request_id))
