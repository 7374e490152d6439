"""OpenAI's Chat Completions API as one value, for the HTTP side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation import sse
from codexd.translation.chat.collect import ChatCollector
from codexd.translation.chat.request import ChatRequest, read_request
from codexd.translation.chat.responses_form import ResponsesFormRequest, is_responses_form, read_responses_form
from codexd.translation.client_api import Client, Collector, Event, WireError
from codexd.translation.reading.fields import parse_body
from codexd.translation.wire_errors import to_openai

Wanted = ChatRequest | ResponsesFormRequest


@frozen
class ChatApi:
    """``ClientApi`` for Chat Completions."""

    ping: bytes = sse.COMMENT
    """The SDK breaks on a frame without JSON."""
    end: bytes = b"data: [DONE]\n\n"
    encode: Callable[[Event], bytes] = sse.encode_data

    def parse(self, data: bytes, headers: Mapping[str, str], client: Client, *, now: float = 0.0) -> Wanted:  # noqa: ARG002 - the body says everything
        body = parse_body(data)
        return read_responses_form(body) if is_responses_form(body) else read_request(body)

    def make_collector(self) -> Collector:
        return ChatCollector()

    def relay_headers(self, headers: Mapping[str, str], wanted: Wanted) -> dict[str, str]:  # noqa: ARG002 - clients know none
        return {}

    def to_wire(self, error: CodexdError, client: Client, wanted: Wanted | None, *, now: float) -> WireError:  # noqa: ARG002 - one form for all
        return to_openai(error, now=now, prompt="input" if isinstance(wanted, ResponsesFormRequest) else "messages")

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        return sse.encode_data(wire.to_body(request_id))


CHAT = ChatApi()
