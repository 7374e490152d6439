"""The answer: Responses events in, Messages events out.

Rules (anthropic-translation.md 2.1 and 2.2):

1. One block is open at a time and indexes have no gaps. Upstream items may interleave; each becomes
   a block that waits in the order of first appearance, and only the first one speaks.
2. Items are known by their id, else by their call id or output index; deltas carry no call id.
3. ``.done`` events and the terminal event's ``output`` add what no delta brought, and nothing twice.
4. What the client set as the end (stop sequence, number of tokens) is looked for in what goes out.
5. Exactly one end: ``message_stop``, or an exception here, which the caller turns into an HTTP
   error or one ``error`` event. Unknown events are swallowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from codexd.translation.client_api import Event, State
from codexd.translation.messages.blocks import (
    Block,
    CallBlock,
    TextBlock,
    Thinking,
    ThinkingBlock,
    make_sealer,
)
from codexd.translation.messages.cut import make_cut
from codexd.translation.messages.search import SearchBlock, fill_searches
from codexd.translation.messages.usage import start_usage, to_usage
from codexd.translation.output_items import ItemRegister
from codexd.translation.responses import (
    Usage,
    count_of,
    object_of,
    objects_of,
    read_failure,
    read_usage,
    text_of,
)
from codexd.translation.text_size import estimate_tokens
from codexd.translation.tool_names import ToolNames

B = TypeVar("B", bound=Block)

PING: Event = {"type": "ping"}

_INCOMPLETE_REASONS = {"content_filter": "refusal"}
"""``incomplete_details.reason`` -> stop reason; any other is ``max_tokens``."""


class MessagesStream:
    """One answer. The same events in always give the same events out.

    Args:
        message_id: of the message, ``msg_...``.
        model: the name that the client asked for; Claude Code drops its thinking blocks if it sees another.
        upstream_model: the model that answers, and ``account_tag`` the account: both go into signatures.
        tool_names: the way back from shortened tool names.
        thinking: what the client asked to see of the reasoning.
        tells_refusals: True gives the stop reason ``refusal``; Claude Code hides the text of such a message.
        stop_sequences: the answer ends before the first of them in its visible text; ``max_tokens``: and
            after so many tokens of visible text. Then ``state`` is ENDED before the backend's own end.
        web_search_only: web search is the only tool. Then a search without sources is told with the pages
            that the text cites, and the text waits for the end of the answer.
        blocked_domains: of which no search results are told.
        speed: ``fast`` if that was asked of the backend, for ``usage``.
        count_input: the tokens of the request, for an answer that ends without ``usage``.
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
        stop_sequences: tuple[str, ...] = (),
        max_tokens: int | None = None,
        web_search_only: bool = False,
        blocked_domains: tuple[str, ...] = (),
        speed: str | None = None,
        count_input: Callable[[], int] = lambda: 0,
    ) -> None:
        self.state = State.WAITING
        self.usage: Usage | None = None
        self._message_id = message_id
        self._model = model
        self._seal = make_sealer(upstream_model, account_tag)
        self._names = tool_names
        self._show = thinking
        self._tells_refusals = tells_refusals
        self._cut = make_cut(stop_sequences, max_tokens)
        self._web_search_only = web_search_only
        self._blocked_domains = blocked_domains
        self._speed = speed
        self._count_input = count_input
        self._blocks: ItemRegister[Block] = ItemRegister()
        self._waiting: deque[Block] = deque()
        self._index = -1
        self._stop_reason: str | None = None
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._raw_reasoning_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.output_text.annotation.added": self._annotation_added,
            "response.content_part.done": self._part_done,
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
            if self._cut is not None:
                made = self._cut.pass_on(made)
                if self._cut.reason is not None:
                    return self._finish(made, {})
            return [*self.start(), *made] if made else []
        if kind in ("response.completed", "response.done", "response.incomplete"):
            status = {"status": "incomplete"} if kind == "response.incomplete" else {}
            return self._end({**object_of(event.get("response")), **status})
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
            "usage": start_usage(self._speed),
        }
        return [{"type": "message_start", "message": message}]

    @property
    def is_empty(self) -> bool:
        """Whether the answer came to its end with nothing in it, which is worth another try."""
        return self.state is State.ENDED and self._index < 0 and self._stop_reason == "end_turn"

    @property
    def stop_reason(self) -> str | None:
        return self._stop_reason

    @property
    def output_tokens(self) -> int:
        """An estimate of the answer so far."""
        visible = self._count_bytes(TextBlock) if self._cut is None else self._cut.utf8_bytes
        return estimate_tokens(visible + self._count_bytes(ThinkingBlock) + self._count_bytes(CallBlock))

    # -- items ------------------------------------------------------------------------------------

    def _text(self, event: Event) -> TextBlock | None:
        block = self._blocks.find(event, {}, self._make_text)
        return block if isinstance(block, TextBlock) else None

    def _thinking(self, event: Event) -> ThinkingBlock | None:
        block = self._blocks.find(event, {}, self._make_thinking)
        return block if isinstance(block, ThinkingBlock) else None

    def _call(self, event: Event) -> CallBlock | None:
        block = self._blocks.find(event, {}, self._make_call)
        return block if isinstance(block, CallBlock) else None

    def _make_text(self) -> TextBlock:
        return self._wait(TextBlock(keeps_text=any(isinstance(block, SearchBlock) for block in self._blocks.all)))

    def _make_thinking(self) -> ThinkingBlock:
        return self._wait(ThinkingBlock(self._show, self._seal))

    def _make_call(self) -> CallBlock:
        return self._wait(CallBlock(self._names))

    def _make_search(self) -> SearchBlock:
        spare_id = f"{self._message_id}_{len(self._blocks.all)}"
        return self._wait(SearchBlock(spare_id, self._blocked_domains, waits=self._web_search_only))

    def _wait(self, block: B) -> B:
        """A new block waits for its turn to speak."""
        self._waiting.append(block)
        return block

    def _block_of(self, event: Event, item: Mapping[str, Any]) -> Block | None:
        """The block of a whole item; None for kinds that have no block."""
        makers: Mapping[str, Callable[[], Block]] = {
            "message": self._make_text,
            "reasoning": self._make_thinking,
            "function_call": self._make_call,
            "web_search_call": self._make_search,
        }
        make = makers.get(text_of(item.get("type")))
        return self._blocks.find(event, item, make) if make else None

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

    def _annotation_added(self, event: Event) -> None:
        if block := self._text(event):
            block.add_annotation(count_of(event.get("content_index")), object_of(event.get("annotation")))

    def _part_done(self, event: Event) -> None:
        part = object_of(event.get("part"))
        if part.get("type") in ("output_text", "refusal") and (block := self._text(event)):
            block.complete_part(count_of(event.get("content_index")), part)

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

    def _end(self, response: Mapping[str, Any]) -> list[Event]:
        for index, item in enumerate(objects_of(response.get("output"))):
            self._item_done({"output_index": index, "item": item})
        fill_searches(block for block in self._blocks.all if isinstance(block, SearchBlock | TextBlock))
        for block in self._waiting:
            if not block.stopped:
                block.cut()
        made = self._drain()
        return self._finish(made if self._cut is None else self._cut.pass_on(made), response)

    def _finish(self, made: list[Event], response: Mapping[str, Any]) -> list[Event]:
        """The last events. ``response`` is empty if the answer is cut before the backend ends it."""
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
        """Stop reason and stop sequence. Source: anthropic-translation.md 2.3."""
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
        return ("refusal" if self._tells_refusals and self._refusal() else "end_turn"), None

    def _estimate_usage(self) -> Usage:
        return Usage(
            input_tokens=self._count_input(),
            output_tokens=self.output_tokens,
            reasoning_tokens=estimate_tokens(self._count_bytes(ThinkingBlock)),
        )

    def _count_bytes(self, kind: type[TextBlock | ThinkingBlock | CallBlock]) -> int:
        return sum(block.utf8_bytes for block in self._blocks.all if isinstance(block, kind))

    def _refusal(self) -> str:
        return "".join(block.refusal for block in self._blocks.all if isinstance(block, TextBlock))
