"""Anthropic's Messages API as one value, for the HTTP side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation import sse
from codexd.translation.client_api import Client, Collector, Event, WireError
from codexd.translation.messages.collect import MessageCollector
from codexd.translation.messages.request import MessagesRequest, parse
from codexd.translation.messages.stream import PING
from codexd.translation.wire_errors import for_claude_code, to_anthropic


@frozen
class MessagesApi:
    """``ClientApi`` for Messages."""

    ping: bytes = sse.encode(PING)
    end: bytes = b""
    encode: Callable[[Event], bytes] = sse.encode

    def parse(self, data: bytes, headers: Mapping[str, str], client: Client, *, now: float = 0.0) -> MessagesRequest:  # noqa: ARG002 - for APIs that remember
        return parse(data, headers, client)

    def make_collector(self) -> Collector:
        return MessageCollector()

    def relay_headers(self, headers: Mapping[str, str], wanted: MessagesRequest) -> dict[str, str]:  # noqa: ARG002 - clients know none
        return {}

    def to_wire(self, error: CodexdError, client: Client, wanted: MessagesRequest | None, *, now: float) -> WireError:  # noqa: ARG002 - for Responses
        wire = to_anthropic(error, now=now)
        return for_claude_code(wire, error) if client is Client.CLAUDE_CODE else wire

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode(wire.to_body(request_id))


MESSAGES = MessagesApi()
