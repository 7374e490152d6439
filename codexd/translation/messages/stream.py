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

from collections.abc import Callable, Mapping
from typing import Any

from codexd.translation.answering.output_items import Lane, OutputReader
from codexd.translation.answering.text_size import estimate_tokens
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
from codexd.translation.messages.cut import make_cut
from codexd.translation.messages.search import SearchBlock, fill_searches
from codexd.translation.messages.usage import start_usage, to_usage
from codexd.translation.reading.tool_names import ToolNames

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
        self._blocks: Lane[Block] = Lane()
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
        return self._blocks.add(TextBlock(keeps_text=searched))

    def _make_thinking(self) -> Block:
        return self._blocks.add(ThinkingBlock(self._show, self._seal))

    def _make_call(self) -> Block:
        return self._blocks.add(CallBlock(self._names))

    def _make_search(self) -> Block:
        spare_id = f"{self._message_id}_{len(self._blocks.all)}"
        return self._blocks.add(SearchBlock(spare_id, self._blocked_domains, waits=self._web_search_only))

    # -- going out --------------------------------------------------------------------------------

    def _drain(self) -> list[Event]:
        """What the first waiting block has to say, and the next ones as far as each is done."""
        events: list[Event] = []
        while (block := self._blocks.speaking) is not None:
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
            reasoning_tokens=estimate_tokens(self._output.count_bytes(ThinkingBlock)),
        )

    def _refusal(self) -> str:
        return "".join(block.refusal for block in self._blocks.all if isinstance(block, TextBlock))
