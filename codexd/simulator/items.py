"""The events of one output item: its opening, its deltas, its closing. Pure.

``sequence_number`` is added in ``events.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import evolve, frozen

from codexd.simulator.prompts import BYTES_PER_TOKEN, count_tokens, seal_reasoning
from codexd.simulator.scripts import (
    BigText,
    Call,
    Compaction,
    CustomCall,
    Item,
    Reasoning,
    Refusing,
    Reply,
    Text,
    WebSearch,
)

Event = dict[str, Any]

MAX_OUTPUT_TOKENS = 128_000
"""The most that a model writes. A longer text counts as this many tokens, so that it does not use up the plan."""


@frozen
class ItemOptions:
    """What the items of a response have in common."""

    account_id: str
    response_key: str
    """The response's id without its prefix; item ids are made from it."""
    delta_chars: int
    reply: Reply
    seals_reasoning: bool
    """Whether the request asks for encrypted reasoning."""
    completed: str = "completed"
    """The final status of an item."""


@frozen
class ItemEvents:
    """The events of one item. ``final`` is the completed item."""

    final: dict[str, Any]
    opening: tuple[Event, ...]
    pieces: Iterator[Event]
    closing: tuple[Event, ...]
    tokens: int = 0
    reasoning_tokens: int = 0
    is_call: bool = False

    def play(self) -> Iterator[Event]:
        yield from self.opening
        yield from self.pieces
        yield from self.closing


def make_item_events(item: Item, index: int, options: ItemOptions) -> ItemEvents:
    """The events of ``item`` at ``output_index`` ``index``."""
    item_events = _make_item_events(item, index, options)
    if not options.reply.done_without_index:
        return item_events
    *before, done = item_events.closing
    return evolve(item_events, closing=(*before, {key: value for key, value in done.items() if key != "output_index"}))


def _make_item_events(item: Item, index: int, options: ItemOptions) -> ItemEvents:
    match item:
        case Text():
            return _make_text(item, index, options)
        case BigText():
            return _make_big_text(item, index, options)
        case Refusing():
            return _make_refusal(item, index, options)
        case Reasoning():
            return _make_reasoning(item, index, options)
        case Call():
            return _make_call(item, index, options)
        case CustomCall():
            return _make_custom_call(item, index, options)
        case WebSearch():
            return _make_web_search(item, index, options)
        case Compaction():
            return _make_compaction(index, options)


def _make_text(item: Text, index: int, options: ItemOptions) -> ItemEvents:
    place = {"item_id": _make_id("msg", index, options), "output_index": index, "content_index": 0}
    part = {"type": "output_text", "annotations": list(item.annotations), "logprobs": [], "text": item.text}
    notes = tuple(
        {"type": "response.output_text.annotation.added", **place, "annotation_index": number, "annotation": note}
        for number, note in enumerate(item.annotations)
    )
    done = {"type": "response.output_text.done", **place, "text": item.text, "logprobs": []}
    pieces = (
        {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
        for piece in _cut(item.text, options.delta_chars)
    )
    item_events = _make_message(index, options, phase=item.phase, part=part, pieces=pieces, done=(*notes, done))
    return evolve(item_events, tokens=count_tokens(item.text))


def _make_big_text(item: BigText, index: int, options: ItemOptions) -> ItemEvents:
    place = {"item_id": _make_id("msg", index, options), "output_index": index, "content_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    done = {"type": "response.output_text.done", **place, "text": "", "logprobs": []}
    pieces = (
        {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in _make_filler(item)
    )
    item_events = _make_message(index, options, phase="final_answer", part=part, pieces=pieces, done=(done,))
    return evolve(item_events, tokens=min(item.size_bytes // BYTES_PER_TOKEN, MAX_OUTPUT_TOKENS))


def _make_refusal(item: Refusing, index: int, options: ItemOptions) -> ItemEvents:
    place = {"item_id": _make_id("msg", index, options), "output_index": index, "content_index": 0}
    pieces = (
        {"type": "response.refusal.delta", **place, "delta": piece} for piece in _cut(item.refusal, options.delta_chars)
    )
    done = {"type": "response.refusal.done", **place, "refusal": item.refusal}
    part = {"type": "refusal", "refusal": item.refusal}
    item_events = _make_message(index, options, phase="final_answer", part=part, pieces=pieces, done=(done,))
    return evolve(item_events, tokens=count_tokens(item.refusal))


def _make_message(
    index: int, options: ItemOptions, *, phase: str, part: Event, pieces: Iterator[Event], done: tuple[Event, ...]
) -> ItemEvents:
    item = {"id": _make_id("msg", index, options), "type": "message", "role": "assistant", "phase": phase}
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    text_key = "refusal" if part["type"] == "refusal" else "text"
    empty = {**part, text_key: "", **({"annotations": []} if "annotations" in part else {})}
    ended = {**item, "status": options.completed, "content": [part]}
    return ItemEvents(
        ended,
        opening=(
            _added(index, {**item, "status": "in_progress", "content": []}),
            {"type": "response.content_part.added", **place, "part": empty},
        ),
        pieces=pieces,
        closing=(*done, {"type": "response.content_part.done", **place, "part": part}, _done(index, ended)),
    )


def _make_reasoning(item: Reasoning, index: int, options: ItemOptions) -> ItemEvents:
    item_id = _make_id("rs", index, options)
    started: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": []}
    ended = {**started, "summary": [{"type": "summary_text", "text": text} for text in item.summary]}
    if item.text:
        ended["content"] = [{"type": "reasoning_text", "text": item.text}]
    if item.encrypted and options.seals_reasoning:
        started["encrypted_content"] = seal_reasoning(options.account_id, f"{item_id} begun")
        ended["encrypted_content"] = (
            item.encrypted if isinstance(item.encrypted, str) else seal_reasoning(options.account_id, item_id)
        )
    tokens = sum(count_tokens(text) for text in (*item.summary, item.text))
    return ItemEvents(
        ended,
        opening=(_added(index, started),),
        pieces=_play_reasoning(item, {"item_id": item_id, "output_index": index}, options),
        closing=(_done(index, ended),),
        tokens=tokens,
        reasoning_tokens=tokens,
    )


def _play_reasoning(item: Reasoning, place: Event, options: ItemOptions) -> Iterator[Event]:
    for number, text in enumerate(item.summary):
        at = {**place, "summary_index": number}
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}}
        for piece in () if options.reply.summary_in_done_only else _cut(text, options.delta_chars):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": {"type": "summary_text", "text": text}}
    if item.text:
        at = {**place, "content_index": 0}
        for piece in _cut(item.text, options.delta_chars):
            yield {"type": "response.reasoning_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_text.done", **at, "text": item.text}


def _make_call(item: Call, index: int, options: ItemOptions) -> ItemEvents:
    ended = {
        "id": _make_id("fc", index, options),
        "type": "function_call",
        "status": options.completed,
        "arguments": item.arguments_text,
        "call_id": item.call_id or _make_id("call", index, options),
        "name": item.name,
    }
    if item.namespace is not None:
        ended["namespace"] = item.namespace
    return _make_call_events(ended, index, options, "arguments", "response.function_call_arguments")


def _make_custom_call(item: CustomCall, index: int, options: ItemOptions) -> ItemEvents:
    ended = {
        "id": _make_id("ctc", index, options),
        "type": "custom_tool_call",
        "status": options.completed,
        "call_id": item.call_id or _make_id("call", index, options),
        "name": item.name,
        "input": item.input,
    }
    return _make_call_events(ended, index, options, "input", "response.custom_tool_call_input")


def _make_call_events(ended: dict[str, Any], index: int, options: ItemOptions, key: str, event: str) -> ItemEvents:
    place = {"item_id": ended["id"], "output_index": index}
    content = ended[key]
    started = {**ended, "status": "in_progress", key: ""}
    if options.reply.name_in_done_only:
        started["name"] = ""
    pieces = () if options.reply.arguments_in_done_only else _cut(content, options.delta_chars)
    return ItemEvents(
        ended,
        opening=(_added(index, started),),
        pieces=({"type": f"{event}.delta", **place, "delta": piece} for piece in pieces),
        closing=({"type": f"{event}.done", **place, key: content}, _done(index, ended)),
        tokens=count_tokens(content + ended["name"]),
        is_call=True,
    )


def _make_web_search(item: WebSearch, index: int, options: ItemOptions) -> ItemEvents:
    started = {"id": _make_id("ws", index, options), "type": "web_search_call", "status": "in_progress"}
    place = {"item_id": started["id"], "output_index": index}
    search: dict[str, Any] = {"type": "search", "query": item.query, "queries": [item.query]}
    if item.sources:
        search["sources"] = [{"type": "url", "url": url} for url in item.sources]
    ended = {**started, "status": options.completed, "action": item.action or search}
    stages = ("in_progress", "searching", "completed")
    return ItemEvents(
        ended,
        opening=(_added(index, started),),
        pieces=({"type": f"response.web_search_call.{stage}", **place} for stage in stages),
        closing=(_done(index, ended),),
    )


def _make_compaction(index: int, options: ItemOptions) -> ItemEvents:
    item_id = _make_id("cmp", index, options)
    ended = {
        "id": item_id,
        "type": "compaction",
        "encrypted_content": seal_reasoning(options.account_id, item_id),
    }
    return ItemEvents(ended, opening=(), pieces=iter(()), closing=(_done(index, ended),), tokens=100)


def _added(index: int, item: Event) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: Event) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _make_id(prefix: str, index: int, options: ItemOptions) -> str:
    return f"{prefix}_{options.response_key}{index:04x}"


def _cut(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _make_filler(item: BigText) -> Iterator[str]:
    """ASCII lines of the requested size, one piece at a time."""
    line = "The simulated backend writes a long answer, of which no one keeps more than a piece.\n"
    piece = (line * (item.chunk_bytes // len(line) + 1))[: item.chunk_bytes]
    whole, rest = divmod(item.size_bytes, item.chunk_bytes)
    for _ in range(whole):
        yield piece
    if rest:
        yield piece[:rest]
