"""Chat Completions: how its requests are read and its answers encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation import sse
from codexd.translation.chat.collect import ChatCollector
from codexd.translation.chat.request import ChatRequest, parse
from codexd.translation.client_api import Collector, Event, WireError
from codexd.translation.wire_errors import to_openai
from codexd.web.http import Request


@frozen
class ChatApi:
    """``clock`` gives seconds since the epoch."""

    clock: Callable[[], float]
    ping: bytes = b": ping\n\n"
    """A comment: the SDK breaks on a frame without JSON."""
    end: bytes = b"data: [DONE]\n\n"
    encode: Callable[[Event], bytes] = sse.encode_data

    def parse(self, data: bytes, request: Request) -> ChatRequest:  # noqa: ARG002 - the body says everything
        return parse(data)

    async def answer_alone(self, wanted: ChatRequest, request: Request) -> list[Event] | None:  # noqa: ARG002 - never
        return None

    def make_collector(self) -> Collector:
        return ChatCollector()

    def relay_headers(self, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - clients know none of them
        return {}

    def to_wire(self, error: CodexdError, request: Request, wanted: ChatRequest | None) -> WireError:  # noqa: ARG002
        return to_openai(error, now=self.clock())

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode_data(wire.to_body(request_id))
