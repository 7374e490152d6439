"""The answer: Responses events in, chunks of a Chat completion out.

Rules:

1. The first chunk has the role. All chunks have the same id, time and model.
2. Texts and calls go out one at a time, in the order of their first appearance, although the backend's items may
   interleave: content is one string for the client, OpenAI's SDK inserts calls by their index, and its stream helper
   parses the arguments of a call when the next one begins. Reasoning goes out independently of them.
3. ``stop`` and the token limit are applied to the content that goes out.
4. Exactly one chunk has a finish reason, after all content; the usage follows, if it was asked for. A failure is an
   exception here, which the caller turns into an HTTP error or one last frame. Unknown events are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codexd.translation.answering.output_items import ItemQueue, OutputReader, PartKey
from codexd.translation.answering.text_cut import CutReason, make_cut
from codexd.translation.backend import Usage, object_of, read_usage, text_of
from codexd.translation.backend_errors import read_end
from codexd.translation.chat.items import CallItem, ChatItem, CustomCallItem, ImageItem, ReasoningItem, TextItem
from codexd.translation.client_api import Event, State
from codexd.translation.reading.reasoning import Reasoning, seal
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.tokens import estimate_tokens

Delta = Event
"""The ``delta`` of a chunk."""

_CUTS = {CutReason.STOP_SEQUENCE: "stop", CutReason.MAX_TOKENS: "length"}


class ChatStream:
    """One answer. The same events in always give the same chunks out.

    Args:
        completion_id: ``chatcmpl-...``.
        model: the name that the client asked for.
        upstream_model: the model that answers. It and ``account_tag`` go into sealed reasoning.
        tool_names: restores shortened tool names.
        functions: use the old form of calls, which has room for one.
        shows_reasoning: the client gets ``reasoning_content``, and ``reasoning_details`` to send back.
        include_usage: the last chunk holds the token counts.
        stop: the answer ends before the first of these in its content.
        max_tokens: the answer ends after this many tokens of content. After either of these cuts ``state`` is ENDED
            before the backend's own end.
        service_tier: repeated in the answer.
        count_input: counts the tokens of the request, for an answer that ends without ``usage``.
    """

    def __init__(
        self,
        *,
        completion_id: str,
        model: str,
        upstream_model: str,
        account_tag: str,
        tool_names: ToolNames,
        functions: bool = False,
        shows_reasoning: bool = False,
        include_usage: bool = False,
        stop: tuple[str, ...] = (),
        max_tokens: int | None = None,
        service_tier: str = "default",
        count_input: Callable[[], int] = lambda: 0,
    ) -> None:
        self.state = State.WAITING
        self.usage: Usage | None = None
        self.stop_reason: str | None = None
        self._head: Event = {"id": completion_id, "object": "chat.completion.chunk", "created": 0, "model": model}
        self._tail: Event = {"service_tier": service_tier, **({"usage": None} if include_usage else {})}
        self._upstream_model = upstream_model
        self._account_tag = account_tag
        self._functions = functions
        self._shows_reasoning = shows_reasoning
        self._include_usage = include_usage
        self._cut = make_cut(stop, max_tokens)
        self._count_input = count_input
        self._visible: ItemQueue[TextItem | CallItem] = ItemQueue()
        """Texts and calls share a queue, because the SDK considers each complete when the next begins."""
        self._reasonings: ItemQueue[ReasoningItem] = ItemQueue()
        self._images: list[str] = []
        self._output: OutputReader[ChatItem] = OutputReader(self._list_makers(tool_names))
        self._chars = 0
        """The length of the content so far, sent or held back."""
        self._sent_chars = 0
        self._last_reasoning: ReasoningItem | None = None
        """The item whose reasoning was sent last."""
        self._seals_sent = 0
        self._images_sent = 0
        self._calls_sent = 0
        self._sent_anything = False

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The chunks that one upstream event makes.

        Raises:
            UpstreamError: the event reports a failure.
        """
        if self.state is State.ENDED:
            return []
        if self._output.receive(event):
            deltas = list(self._drain())
            if self._is_cut:
                return self._finish(deltas, {}, now)
            return self._to_chunks(deltas, now) if deltas else []
        response = read_end(event, now)
        return self._end(response, now) if response is not None else []

    @property
    def is_empty(self) -> bool:
        return self.state is State.ENDED and not self._sent_anything and self.stop_reason == "stop" and not self._is_cut

    @property
    def output_tokens(self) -> int:
        content = self._output.count_bytes(TextItem) if self._cut is None else self._cut.utf8_bytes
        return estimate_tokens(content + self._output.count_bytes(ReasoningItem, CallItem))

    @property
    def _is_cut(self) -> bool:
        return self._cut is not None and self._cut.reason is not None

    def _list_makers(self, names: ToolNames) -> Mapping[str, Callable[[], ChatItem]]:
        return {
            "message": lambda: self._visible.add(TextItem()),
            "reasoning": lambda: self._reasonings.add(ReasoningItem()),
            "function_call": lambda: self._visible.add(CallItem(names)),
            "custom_tool_call": lambda: self._visible.add(CustomCallItem(names)),
            "image_generation_call": lambda: ImageItem(self._images.append),
        }

    # -- deltas -----------------------------------------------------------------------------------

    def _drain(self) -> Iterator[Delta]:
        """The new parts of the answer, up to the cut."""
        yield from self._drain_reasoning()
        for delta in self._drain_visible():
            self._sent_anything = True
            yield delta

    def _drain_visible(self) -> Iterator[Delta]:
        while (item := self._visible.current) is not None:
            yield from self._emit_texts(item) if isinstance(item, TextItem) else self._emit_call(item)
            if self._is_cut or not item.finished:
                return
            self._visible.next()
        yield from self._emit_images()

    def _emit_texts(self, item: TextItem) -> Iterator[Delta]:
        for part, text in item.take():
            yield from self._emit_text(item, part, text)
            if self._is_cut:
                return
        if item.finished and self._cut is not None:
            yield from self._emit_content(self._cut.end_text())

    def _emit_text(self, item: TextItem, part: PartKey, text: str) -> Iterator[Delta]:
        kind, index = part
        if kind == "refusal":
            yield {"refusal": text}
            return
        item.part_starts.setdefault(index, self._chars)
        self._chars += len(text)
        yield from self._emit_content(text if self._cut is None else self._cut.take(text))

    def _emit_content(self, text: str) -> Iterator[Delta]:
        self._sent_chars += len(text)
        if text:
            yield {"content": text}

    def _drain_reasoning(self) -> Iterator[Delta]:
        while (item := self._reasonings.current) is not None:
            for text in item.take():
                yield from self._emit_reasoning(item, text)
            if not item.finished:
                return
            if self._shows_reasoning and item.ciphertext:
                yield {"reasoning_details": [self._seal(item)]}
            self._reasonings.next()

    def _emit_reasoning(self, item: ReasoningItem, text: str) -> Iterator[Delta]:
        if self._shows_reasoning:
            separator = "\n\n" if self._last_reasoning not in (None, item) else ""
            self._last_reasoning = item
            yield {"reasoning_content": separator + text}

    def _seal(self, item: ReasoningItem) -> Event:
        """OpenRouter's form for reasoning that a client sends back, because Chat Completions has none."""
        data = seal(Reasoning(item.id, item.ciphertext, self._upstream_model, self._account_tag))
        self._seals_sent += 1
        return {"index": self._seals_sent - 1, "type": "reasoning.encrypted", "id": item.id or None, "data": data}

    def _emit_call(self, item: CallItem) -> Iterator[Delta]:
        for entry in item.take():
            self._calls_sent += "id" in entry
            index = self._calls_sent - 1
            if not self._functions:
                yield {"tool_calls": [{**entry, "index": index}]}
            elif index == 0 and "function" in entry:
                yield {"function_call": entry["function"]}

    def _emit_images(self) -> Iterator[Delta]:
        for url in self._images[self._images_sent :]:
            yield {"images": [{"index": self._images_sent, "type": "image_url", "image_url": {"url": url}}]}
            self._images_sent += 1

    # -- chunks -----------------------------------------------------------------------------------

    def _to_chunks(self, deltas: list[Delta], now: float) -> list[Event]:
        if self.state is State.WAITING:
            self.state = State.STARTED
            self._head["created"] = int(now)
            deltas = [{"role": "assistant", "content": ""}, *deltas]
        return [self._to_chunk(delta) for delta in deltas]

    def _to_chunk(self, delta: Delta, finish_reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice], **self._tail}

    def _end(self, response: Mapping[str, Any], now: float) -> list[Event]:
        self._output.end(response)
        for item in self._output.items:
            item.finished = True
        return self._finish(list(self._drain()), response, now)

    def _finish(self, deltas: list[Delta], response: Mapping[str, Any], now: float) -> list[Event]:
        """The last chunks. ``response`` is empty if the answer was cut before the backend ended it."""
        annotations = self._list_annotations()
        chunks = self._to_chunks([*deltas, {"annotations": annotations}] if annotations else deltas, now)
        self.state = State.ENDED
        self.usage = read_usage(response.get("usage")) or self._estimate_usage()
        self.stop_reason = self._find_finish_reason(response)
        chunks.append(self._to_chunk({}, self.stop_reason))
        if self._include_usage:
            usage = to_usage(self.usage, object_of(response.get("usage")))
            chunks.append({**self._head, "choices": [], **self._tail, "usage": usage})
        return chunks

    def _list_annotations(self) -> list[Event]:
        """All annotations at once, because the SDK can't extend a list. Their places are in the whole content."""
        found = []
        texts = [item for item in self._visible.all if isinstance(item, TextItem)]
        for item in texts:
            for citation in item.citations:
                start = item.part_starts.get(citation.index)
                if start is not None and start + citation.end <= self._sent_chars:
                    place = {"start_index": start + citation.start, "end_index": start + citation.end}
                    page = {"url": citation.url, "title": citation.title, **place}
                    found.append({"type": "url_citation", "url_citation": page})
        return found

    def _find_finish_reason(self, response: Mapping[str, Any]) -> str:
        """A cut comes first, then an incomplete answer, then a tool call."""
        if self._cut is not None and self._cut.reason is not None:
            return _CUTS[self._cut.reason]
        details = object_of(response.get("incomplete_details"))
        if details or response.get("status") == "incomplete":
            return "content_filter" if text_of(details.get("reason")) == "content_filter" else "length"
        if self._calls_sent:
            return "function_call" if self._functions else "tool_calls"
        return "stop"

    def _estimate_usage(self) -> Usage:
        return Usage(
            input_tokens=self._count_input(),
            output_tokens=self.output_tokens,
            reasoning_tokens=estimate_tokens(self._output.count_bytes(ReasoningItem)),
        )


def to_usage(usage: Usage, reported: Mapping[str, Any]) -> dict[str, Any]:
    """``usage`` in Chat's form; ``reported`` is the backend's own usage, empty if it sent none.

    ``cache_write_tokens`` appears only if the backend reported it, because zero would mean something else.
    """
    prompt = {"cached_tokens": usage.cached_tokens, "audio_tokens": 0}
    if object_of(reported.get("input_tokens_details")).get("cache_write_tokens") is not None:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
