"""The answer: Responses events in, Messages events out.

Rules:

1. One block is open at a time, and indexes have no gaps. The backend's items may interleave: each becomes a block,
   blocks go out in the order in which they first appear, and later ones wait.
2. Items are identified by their id, or else by their call id or output index. Deltas carry no call id.
3. ``.done`` events and the terminal event's ``output`` add what the deltas left out, and nothing twice.
4. Stop sequences and the token limit are applied to the text that goes out.
5. There is exactly one end: ``message_stop``, or an exception here, which the caller turns into an HTTP error or one
   ``error`` event. Unknown events are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codexd.translation.answering.output_items import ItemQueue, OutputReader
from codexd.translation.answering.text_cut import make_cut
from codexd.translation.backend import Usage, object_of, read_end, read_usage, text_of
from codexd.translation.client_api import Event, State
from codexd.translation.messages.blocks import (
    Block,
    CallBlock,
    TextBlock,
    Thinking,
    ThinkingBlock,
    make_sealer,
)
from codexd.translation.messages.cut import MessageCut
from codexd.translation.messages.search import SearchBlock, fill_searches
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.tokens import estimate_tokens

PING: Event = {"type": "ping"}

_INCOMPLETE_REASONS = {"content_filter": "refusal"}
"""``incomplete_details.reason`` -> stop reason; any other reason becomes ``max_tokens``."""


class MessagesStream:
    """One answer. The same events in always give the same events out.

    Args:
        message_id: ``msg_...``.
        model: the name that the client asked for; Claude Code drops its thinking blocks if it sees another.
        upstream_model: the model that answers. It and ``account_tag`` go into signatures.
        tool_names: restores shortened tool names.
        thinking: what the client asked to see of the reasoning.
        reports_refusals: True gives the stop reason ``refusal``; Claude Code hides the text of such a message.
        stop_sequences: the answer ends before the first of them in its visible text.
        max_tokens: the answer ends after this many tokens of visible text. After either of these cuts ``state`` is
            ENDED before the backend's own end.
        web_search_only: web search is the only tool. A search without sources then lists the pages that the text
            cites, so the text is held until the end of the answer.
        blocked_domains: search results in these domains are left out.
        speed: ``fast`` if the backend was asked for it; repeated in ``usage``.
        is_usable: whether the client can use the text of the answer. A text that it can't use counts as a refusal,
            because the client would ask for it again and again.
        count_input: counts the tokens of the request, for an answer that ends without ``usage``.
    """

    def __init__(
        self,
        *,
        message_id: str,
        model: str,
        upstream_model: str,
        account_tag: str,
        tool_names: ToolNames,
        thinking: Thinking,
        reports_refusals: bool,
        stop_sequences: tuple[str, ...] = (),
        max_tokens: int | None = None,
        web_search_only: bool = False,
        blocked_domains: tuple[str, ...] = (),
        speed: str | None = None,
        is_usable: Callable[[str], bool] | None = None,
        count_input: Callable[[], int] = lambda: 0,
    ) -> None:
        self.state = State.WAITING
        self.usage: Usage | None = None
        self._message_id = message_id
        self._model = model
        self._seal = make_sealer(upstream_model, account_tag)
        self._names = tool_names
        self._show = thinking
        self._reports_refusals = reports_refusals
        cut = make_cut(stop_sequences, max_tokens)
        self._cut = MessageCut(cut) if cut is not None else None
        self._web_search_only = web_search_only
        self._blocked_domains = blocked_domains
        self._speed = speed
        self._is_usable = is_usable
        self._count_input = count_input
        self._blocks: ItemQueue[Block] = ItemQueue()
        self._output: OutputReader[Block] = OutputReader(
            {
                "message": self._make_text,
                "reasoning": self._make_thinking,
                "function_call": self._make_call,
                "web_search_call": self._make_search,
            }
        )
        self._index = -1
        self._stop_reason: str | None = None

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The Messages events that one upstream event makes.

        Raises:
            UpstreamError: the event reports a failure.
        """
        if self.state is State.ENDED:
            return []
        if self._output.receive(event):
            made = self._drain()
            if self._cut is not None:
                made = self._cut.pass_on(made)
                if self._cut.reason is not None:
                    return self._finish(made, {})
            return [*self.start(), *made] if made else []
        response = read_end(event, now)
        return self._end(response) if response is not None else []

    def start(self) -> list[Event]:
        """``message_start``, unless it went out before."""
        if self.state is not State.WAITING:
            return []
        self.state = State.STARTED
        return [_make_start(self._message_id, self._model, start_usage(self._speed))]

    @property
    def is_empty(self) -> bool:
        return self.state is State.ENDED and self._index < 0 and self._stop_reason == "end_turn"

    @property
    def stop_reason(self) -> str | None:
        return self._stop_reason

    @property
    def output_tokens(self) -> int:
        visible = self._output.count_bytes(TextBlock) if self._cut is None else self._cut.utf8_bytes
        return estimate_tokens(visible + self._output.count_bytes(ThinkingBlock, CallBlock))

    # -- items ------------------------------------------------------------------------------------

    def _make_text(self) -> Block:
        searched = any(isinstance(block, SearchBlock) for block in self._blocks.all)
        return self._blocks.add(TextBlock(keeps_text=searched or self._is_usable is not None))

    def _make_thinking(self) -> Block:
        return self._blocks.add(ThinkingBlock(self._show, self._seal))

    def _make_call(self) -> Block:
        return self._blocks.add(CallBlock(self._names))

    def _make_search(self) -> Block:
        spare_id = f"{self._message_id}_{len(self._blocks.all)}"
        return self._blocks.add(SearchBlock(spare_id, self._blocked_domains, waits=self._web_search_only))

    # -- going out --------------------------------------------------------------------------------

    def _drain(self) -> list[Event]:
        """The events of the current block and, once it is done, of those that follow."""
        events: list[Event] = []
        while (block := self._blocks.current) is not None:
            for event in block.take():
                if event["type"] == "content_block_start":
                    self._index += 1
                event["index"] = self._index
                events.append(event)
            if not block.stopped:
                break
            self._blocks.next()
        return events

    def _end(self, response: Mapping[str, Any]) -> list[Event]:
        self._output.end(response)
        fill_searches(block for block in self._blocks.all if isinstance(block, SearchBlock | TextBlock))
        for block in self._blocks.all:
            if not block.stopped:
                block.cut()
        made = self._drain()
        return self._finish(made if self._cut is None else self._cut.pass_on(made), response)

    def _finish(self, made: list[Event], response: Mapping[str, Any]) -> list[Event]:
        """The last events. ``response`` is empty if the answer was cut before the backend ended it."""
        made = [*self.start(), *made]
        self.state = State.ENDED
        self.usage = read_usage(response.get("usage")) or self._estimate_usage()
        self._stop_reason, stop_sequence = self._find_stop(response)
        delta: Event = {"stop_reason": self._stop_reason, "stop_sequence": stop_sequence}
        if self._stop_reason == "refusal":
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": self._refusal() or None}
        searches = sum(isinstance(block, SearchBlock) and block.started for block in self._blocks.all)
        usage = to_usage(self.usage, web_searches=searches)
        return [*made, {"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]

    def _find_stop(self, response: Mapping[str, Any]) -> tuple[str, str | None]:
        """Stop reason and stop sequence. A cut comes first, then an incomplete answer, then a tool call."""
        if self._is_usable is not None and not self._is_usable(self._text()):
            return "refusal", None
        if self._cut is not None and self._cut.reason is not None:
            return self._cut.reason.value, self._cut.stop_sequence
        details = object_of(response.get("incomplete_details"))
        if details or response.get("status") == "incomplete":
            return _INCOMPLETE_REASONS.get(text_of(details.get("reason")), "max_tokens"), None
        if any(isinstance(block, CallBlock) and block.started for block in self._blocks.all):
            return "tool_use", None
        stop_sequence = text_of(response.get("stop_sequence"))
        if response.get("stop_reason") == "stop_sequence" and stop_sequence:
            return "stop_sequence", stop_sequence
        return ("refusal" if self._reports_refusals and self._refusal() else "end_turn"), None

    def _estimate_usage(self) -> Usage:
        return Usage(
            input_tokens=self._count_input(),
            output_tokens=self.output_tokens,
            reasoning_tokens=estimate_tokens(self._output.count_bytes(ThinkingBlock)),
        )

    def _text(self) -> str:
        return "".join(block.text for block in self._blocks.all if isinstance(block, TextBlock))

    def _refusal(self) -> str:
        return "".join(block.refusal for block in self._blocks.all if isinstance(block, TextBlock))


def prewarm(message_id: str, model: str, input_tokens: int) -> list[Event]:
    """The answer to ``max_tokens: 0``, Anthropic's way to warm a cache: an empty message, made without a model."""
    usage = to_usage(Usage(input_tokens=input_tokens))
    return [
        _make_start(message_id, model, usage),
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]


def _make_start(message_id: str, model: str, usage: dict[str, Any]) -> Event:
    message: Event = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


# -- token numbers --------------------------------------------------------------------------------


def to_usage(usage: Usage, *, web_searches: int = 0) -> dict[str, Any]:
    """``usage`` of a ``message_delta``. Fresh, cached and cache-writing input tokens add up to the whole input."""
    fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    split: dict[str, Any] = {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
    if web_searches:
        split["server_tool_use"] = {"web_search_requests": web_searches, "web_fetch_requests": 0}
    return split


def start_usage(speed: str | None) -> dict[str, Any]:
    """``usage`` of a ``message_start``. All zero: clients keep a number from here if the final one is zero."""
    usage = to_usage(Usage()) | {
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }
    return usage | {"speed": speed} if speed else usage
