"""OpenAI's Responses API as one value, for the HTTP side.

The Codex CLI speaks it with headers of its own, which are passed on in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import evolve, field, frozen

from codexd.errors import CodexdError, RequestInvalid
from codexd.translation import sse
from codexd.translation.client_api import Client, Collector, Event, WireError
from codexd.translation.responses.request import Recall, ResponsesRequest, parse, parse_count
from codexd.translation.responses.stream import SERVED_MODEL, ResponseCollector, ResponsesStream
from codexd.translation.wire_errors import OpenAIError, to_codex, to_openai

_RELAYED_DOWN = ("x-models-etag", SERVED_MODEL, "x-reasoning-included")
_PREFIX_RELAYED_DOWN = "x-codex-"
"""The turn state, and the rate limits that the Codex CLI shows."""


@frozen
class BrokenAnswer(OpenAIError):
    """An error that ends the stream of an answer with ``last_events``."""

    last_events: tuple[Event, ...] = ()


@frozen
class ResponsesApi:
    """``ClientApi`` for Responses. All its routes share ``recall``; ``read`` is the parser of one route."""

    recall: Recall = field(factory=Recall)
    read: Callable[[bytes, Mapping[str, str], Client, Recall], ResponsesRequest] = parse
    ping: bytes = sse.COMMENT
    end: bytes = b""
    encode: Callable[[Event], bytes] = sse.encode

    def parse(self, data: bytes, headers: Mapping[str, str], client: Client, *, now: float) -> ResponsesRequest:
        return self.read(data, headers, client, evolve(self.recall, now=now))

    def parse_count(self, data: bytes, *, now: float) -> ResponsesRequest:
        return parse_count(data, evolve(self.recall, now=now))

    def make_collector(self) -> Collector:
        return ResponseCollector()

    def relay_headers(self, headers: Mapping[str, str], wanted: ResponsesRequest) -> dict[str, str]:
        relayed = {
            name: value
            for name, value in headers.items()
            if name in _RELAYED_DOWN or name.startswith(_PREFIX_RELAYED_DOWN)
        }
        return wanted.answer.name_model(relayed) if wanted.answer else relayed

    def to_wire(self, error: CodexdError, client: Client, wanted: ResponsesRequest | None, *, now: float) -> WireError:
        is_codex = client is Client.CODEX
        wire = to_codex(error, now=now) if is_codex else to_openai(error, now=now, prompt="input")
        if isinstance(error, RequestInvalid) and error.path == "previous_response_id":
            wire = evolve(wire, code="previous_response_not_found")
        if wanted is None:
            return wire
        answer = wanted.answer or ResponsesStream(model=wanted.model, verbatim=True)
        events = answer.fail({**wire.more, "code": wire.code or wire.type, "message": wire.message})
        return BrokenAnswer(
            wire.status, wire.type, wire.message, wire.code, wire.param, wire.headers, wire.more, tuple(events)
        )

    def encode_error(self, wire: WireError, request_id: str) -> bytes:  # noqa: ARG002 - the events have the answer's id
        return b"".join(map(sse.encode, wire.last_events)) if isinstance(wire, BrokenAnswer) else b""
