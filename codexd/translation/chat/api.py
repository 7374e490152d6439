"""OpenAI's Chat Completions API as one value, for the HTTP side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation import sse
from codexd.translation.chat.collect import ChatCollector
from codexd.translation.chat.request import ChatRequest, parse
from codexd.translation.client_api import Client, Collector, Event, WireError
from codexd.translation.wire_errors import to_openai


@frozen
class ChatApi:
    """``ClientApi`` for Chat Completions."""

    ping: bytes = b": ping\n\n"
    """A comment: the SDK breaks on a frame without JSON."""
    end: bytes = b"data: [DONE]\n\n"
    encode: Callable[[Event], bytes] = sse.encode_data

    def parse(self, data: bytes, headers: Mapping[str, str], client: Client, *, now: float = 0.0) -> ChatRequest:  # noqa: ARG002 - the body says everything
        return parse(data)

    def make_collector(self) -> Collector:
        return ChatCollector()

    def relay_headers(self, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - clients know none of these
        return {}

    def to_wire(self, error: CodexdError, client: Client, wanted: ChatRequest | None, *, now: float) -> WireError:  # noqa: ARG002 - for other APIs
        return to_openai(error, now=now)

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode_data(wire.to_body(request_id))


CHAT = ChatApi()
