"""Anthropic Messages: how its requests are read and its answers encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio
from attrs import frozen

from codexd.errors import CodexdError, RequestCancelled
from codexd.record.requests import CANCELLED
from codexd.translation import sse
from codexd.translation.client_api import Client, Collector, Event, WireError
from codexd.translation.messages.collect import MessageCollector
from codexd.translation.messages.request import MessagesRequest, parse, to_message_id
from codexd.translation.messages.stream import PING, prewarm
from codexd.web.caller import to_wire
from codexd.web.http import Request


@frozen
class MessagesApi:
    """``clock`` gives seconds since the epoch.

    ``count_input`` counts the tokens of a request; ``is_repeated`` knows whether a request of that session was
    cancelled a moment ago.
    """

    count_input: Callable[[MessagesRequest], int]
    is_repeated: Callable[[str], bool]
    clock: Callable[[], float]
    ping: bytes = sse.encode(PING)
    end: bytes = b""
    encode: Callable[[Event], bytes] = sse.encode

    def parse(self, data: bytes, request: Request) -> MessagesRequest:
        return parse(data, request.headers, request.caller.client)

    async def answer_alone(self, wanted: MessagesRequest, request: Request) -> list[Event] | None:
        """Refuse Claude Code's second try at what its user has cancelled; ``max_tokens: 0`` needs no model."""
        if wanted.max_tokens == 0:
            input_tokens = await trio.to_thread.run_sync(self.count_input, wanted)
            return prewarm(to_message_id(request.id), wanted.model, input_tokens)
        is_second_try = request.caller.client is Client.CLAUDE_CODE and not wanted.stream
        if is_second_try and self.is_repeated(wanted.session_key):
            raise RequestCancelled(f"{CANCELLED} a moment ago.")
        return None

    def make_collector(self) -> Collector:
        return MessageCollector()

    def relay_headers(self, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - clients know none of them
        return {}

    def to_wire(self, error: CodexdError, request: Request, wanted: MessagesRequest | None) -> WireError:  # noqa: ARG002
        return to_wire(error, request.caller, now=self.clock())

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode(wire.to_body(request_id))
