"""The answer: Responses events in, Messages events out.

Rules (anthropic-translation.md 2.1 and 2.2):

1. One block is open at a time and indexes have no gaps. Upstream items may interleave; each becomes
   a block that waits in the order of first appearance, and only the first one speaks.
2. Items are known by their id, else by their call id or output index; deltas carry no call id.
3. ``.done`` events and the terminal event's ``output`` add what no delta brought, and nothing twice.
4. Exactly one end: ``message_stop``, or an exception here, which the caller turns into an HTTP
   error or one ``error`` event. Unknown events are swallowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from codexd.translation.messages.blocks import (
    Block,
    CallBlock,
    Event,
    TextBlock,
    Thinking,
    ThinkingBlock,
    make_sealer,
)
from codexd.translation.responses import (
    Usage,
    count_of,
    object_of,
    objects_of,
    read_failure,
    read_usage,
    text_of,
)
from codexd.translation.tool_names import ToolNames

PING: Event = {"type": "ping"}

_INCOMPLETE_REASONS = {"content_filter": "refusal"}
"""``incomplete_details.reason`` -> stop reason; any other is ``max_tokens``."""


class State(Enum):
    WAITING = "waiting"
    STARTED = "started"
    ENDED = "ended"


class MessagesStream:
    """One answer. The same events in always give the same events out.

    Args:
        message_id: of the message, ``msg_...``.
        model: the name that the client asked for; Claude Code drops its thinking blocks if it sees another.
        upstream_model: the model that answers, and ``account_tag`` the account: both go into signatures.
        tool_names: the way back from shortened tool names.
        thinking: what the client asked to see of the reasoning.
        tells_refusals: True gives the stop reason ``refusal``; Claude Code hides the text of such a message.
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
        tells_refusals: bool,
    ) -> None:
        self.state = State.WAITING
        self.usage: Usage | None = None
        self._message_id = message_id
        self._model = model
        self._seal = make_sealer(upstream_model, account_tag)
        self._names = tool_names
        self._show = thinking
        self._tells_refusals = tells_refusals
        self._blocks: list[Block] = []
        self._waiting: deque[Block] = deque()
        self._by_key: dict[str | int, Block] = {}
        self._index = -1
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._raw_reasoning_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.output_text.done": self._text_done,
            "response.refusal.done": self._refusal_done,
            "response.reasoning_summary_text.done": self._summary_done,
            "response.function_call_arguments.done": self._arguments_done,
        }

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The Messages events that one upstream event makes.

        Raises:
            UpstreamError: the event reports a failure.
        """
        if self.state is State.ENDED:
            return []
        kind = event["type"]
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(event)
            made = self._drain()
            return [*self.start(), *made] if made else []
        if kind in ("response.completed", "response.done", "response.incomplete"):
            return self._end(object_of(event.get("response")), incomplete=kind == "response.incomplete")
        if kind in ("response.failed", "error"):
            raise read_failure(event, now)
        return []

    def start(self) -> list[Event]:
        """``message_start``, unless it went out before."""
        if self.state is not State.WAITING:
            return []
        self.state = State.STARTED
        message: Event = {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": to_usage(Usage()),
        }
        return [{"type": "message_start", "message": message}]

    # -- items ------------------------------------------------------------------------------------

    def _find(self, event: Event, item: Mapping[str, Any], make: Callable[[], Block]) -> Block:
        """The block of the item that ``event`` is about; a new one at its first appearance."""
        item_id = event.get("item_id")
        if isinstance(item_id, str) and item_id in self._by_key:
            return self._by_key[item_id]
        keys = _list_keys(event, item)
        block = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if block is None:
            block = make()
            self._blocks.append(block)
            self._waiting.append(block)
        for key in keys:
            self._by_key.setdefault(key, block)
        return block

    def _text(self, event: Event) -> TextBlock | None:
        block = self._find(event, {}, TextBlock)
        return block if isinstance(block, TextBlock) else None

    def _thinking(self, event: Event) -> ThinkingBlock | None:
        block = self._find(event, {}, self._make_thinking)
        return block if isinstance(block, ThinkingBlock) else None

    def _call(self, event: Event) -> CallBlock | None:
        block = self._find(event, {}, self._make_call)
        return block if isinstance(block, CallBlock) else None

    def _make_thinking(self) -> ThinkingBlock:
        return ThinkingBlock(self._show, self._seal)

    def _make_call(self) -> CallBlock:
        return CallBlock(self._names)

    def _block_of(self, event: Event, item: Mapping[str, Any]) -> Block | None:
        """The block of a whole item; None for kinds that have no block."""
        makers: Mapping[str, Callable[[], Block]] = {
            "message": TextBlock,
            "reasoning": self._make_thinking,
            "function_call": self._make_call,
        }
        make = makers.get(text_of(item.get("type")))
        return self._find(event, item, make) if make else None

    # -- events -----------------------------------------------------------------------------------

    def _item_added(self, event: Event) -> None:
        item = object_of(event.get("item"))
        block = self._block_of(event, item)
        if isinstance(block, CallBlock):
            block.identify(item)
        elif isinstance(block, ThinkingBlock):
            block.note_ciphertext(item.get("encrypted_content"))

    def _item_done(self, event: Event) -> None:
        item = object_of(event.get("item"))
        block = self._block_of(event, item)
        if block is not None and not block.stopped:
            block.finish(item)

    def _text_delta(self, event: Event) -> None:
        if block := self._text(event):
            block.add_text(("text", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _text_done(self, event: Event) -> None:
        if block := self._text(event):
            block.complete_text(("text", count_of(event.get("content_index"))), text_of(event.get("text")))

    def _refusal_delta(self, event: Event) -> None:
        if block := self._text(event):
            block.add_text(("refusal", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _refusal_done(self, event: Event) -> None:
        if block := self._text(event):
            block.complete_text(("refusal", count_of(event.get("content_index"))), text_of(event.get("refusal")))

    def _summary_delta(self, event: Event) -> None:
        if block := self._thinking(event):
            block.add_summary(("summary", count_of(event.get("summary_index"))), text_of(event.get("delta")))

    def _summary_done(self, event: Event) -> None:
        if block := self._thinking(event):
            block.complete_summary(("summary", count_of(event.get("summary_index"))), text_of(event.get("text")))

    def _raw_reasoning_delta(self, event: Event) -> None:
        if block := self._thinking(event):
            block.add_summary(("text", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _arguments_delta(self, event: Event) -> None:
        if block := self._call(event):
            block.add_arguments(text_of(event.get("delta")))

    def _arguments_done(self, event: Event) -> None:
        if block := self._call(event):
            block.complete_arguments(text_of(event.get("arguments")))

    # -- going out --------------------------------------------------------------------------------

    def _drain(self) -> list[Event]:
        """What the first waiting block has to say, and the next ones as far as each is done."""
        events: list[Event] = []
        while self._waiting:
            block = self._waiting[0]
            for event in block.take():
                if event["type"] == "content_block_start":
                    self._index += 1
                event["index"] = self._index
                events.append(event)
            if not block.stopped:
                break
            self._waiting.popleft()
        return events

    def _end(self, response: Mapping[str, Any], *, incomplete: bool) -> list[Event]:
        for index, item in enumerate(objects_of(response.get("output"))):
            self._item_done({"output_index": index, "item": item})
        for block in self._waiting:
            if not block.stopped:
                block.cut()
        self.usage = read_usage(response.get("usage"))
        made = [*self.start(), *self._drain()]
        self.state = State.ENDED
        delta: Event = {"stop_reason": self._stop_reason(response, incomplete), "stop_sequence": None}
        if delta["stop_reason"] == "refusal":
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": self._refusal() or None}
        usage = to_usage(self.usage or Usage())
        return [*made, {"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]

    def _stop_reason(self, response: Mapping[str, Any], incomplete: bool) -> str:
        details = object_of(response.get("incomplete_details"))
        if incomplete or details or response.get("status") == "incomplete":
            return _INCOMPLETE_REASONS.get(text_of(details.get("reason")), "max_tokens")
        if any(isinstance(block, CallBlock) and block.started for block in self._blocks):
            return "tool_use"
        return "refusal" if self._tells_refusals and self._refusal() else "end_turn"

    def _refusal(self) -> str:
        return "".join(block.refusal for block in self._blocks if isinstance(block, TextBlock))


def _list_keys(event: Event, item: Mapping[str, Any]) -> list[str | int]:
    """What the item is known by, the surest first."""
    names = (text_of(key) for key in (item.get("id"), event.get("item_id"), item.get("call_id")))
    index = event.get("output_index")
    return [*filter(None, names), *([index] if isinstance(index, int) else [])]


def to_usage(usage: Usage) -> dict[str, Any]:
    """``usage`` in Anthropic's split: fresh, read from the cache, written to it; their sum is the whole input."""
    fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    return {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
