"""Pairs calls with their results, because the backend rejects a call without a result and a result without a call.

Histories that were interrupted, compacted or cut contain both.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from itertools import count
from typing import Any

from attrs import define, field

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.parts import Part, text_part

Item = dict[str, Any]

MAX_CALL_ID_CHARS = 64
ABORTED = "aborted"
"""The result of a call that never got one; the official client writes the same."""

OUTPUT_OF: Mapping[str, str] = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "function_call_output",
}
"""The type of the item that answers each type of call."""

_OUTPUTS = frozenset(OUTPUT_OF.values())

OpenCalls = dict[str, list[tuple[int, Item]]]
"""The client's call id -> turn index and call, for each call that waits for its result."""


@define
class PastTurn:
    """Consecutive items of one side in a request's history, before pairing.

    ``results`` holds each result with the block it came from; ``unparsed`` holds calls whose arguments were not JSON.
    """

    assistant: bool
    items: list[Item] = field(factory=list)
    results: list[tuple[Item, Fields]] = field(factory=list)
    unparsed: list[tuple[Item, str]] = field(factory=list)


def current_turn(turns: list[PastTurn], *, assistant: bool) -> PastTurn:
    """The current turn, or a new one."""
    if not turns or turns[-1].assistant != assistant:
        turns.append(PastTurn(assistant))
    return turns[-1]


def shorten_call_id(call_id: str) -> str:
    """``call_id`` in 1 to 64 characters; the same for a call and its result."""
    if not call_id:
        return "call_0"
    if len(call_id) <= MAX_CALL_ID_CHARS:
        return call_id
    return f"{call_id[:47]}_{hashlib.sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:16]}"


def legal_call_id(owner: Fields, name: str, call_id: str) -> str:
    """``call_id``, from the field ``name`` of ``owner``, as the backend accepts it."""
    short = shorten_call_id(call_id)
    if short != call_id:
        owner.lose(LossKind.RENAMED, name, f"sent as {short}")
    return short


def pair(turns: list[PastTurn]) -> list[Item]:
    """The items, with each call answered right after its turn. Results without a call become user text."""
    answers: dict[int, list[Item]] = {}
    open_calls: OpenCalls = {}
    for index, turn in enumerate(turns):
        if turn.assistant:
            for call_id, calls in _rename_calls(turn).items():
                open_calls[call_id] = [(index, call) for call in calls]
            continue
        turn.items = [item for item in turn.items if not _take_answer(item, open_calls, answers)]
        _note_orphans(turn)
    paired: list[Item] = []
    for index, turn in enumerate(turns):
        if turn.assistant:
            paired.extend(_answer(turn, answers.get(index, [])))
        else:
            paired.extend(_orphan_to_text(item) for item in turn.items)
    return paired


def _calls(turn: PastTurn) -> list[Item]:
    return [item for item in turn.items if item.get("type") in OUTPUT_OF]


def _rename_calls(turn: PastTurn) -> dict[str, list[Item]]:
    """The turn's calls by id. A second call with the same id gets a new id, and so does its result."""
    taken = {call["call_id"] for call in _calls(turn)}
    numbers = defaultdict[str, "count[int]"](lambda: count(2))
    by_id: dict[str, list[Item]] = {}
    for call in _calls(turn):
        calls = by_id.setdefault(call["call_id"], [])
        if calls:
            fresh = (shorten_call_id(f"{call['call_id']}_{number}") for number in numbers[call["call_id"]])
            call["call_id"] = next(name for name in fresh if name not in taken)
            taken.add(call["call_id"])
        calls.append(call)
    return by_id


def _take_answer(item: Item, open_calls: OpenCalls, answers: dict[int, list[Item]]) -> bool:
    """Move ``item`` to the call that it answers, with that call's id and type; False if it answers no open call."""
    waiting = open_calls.get(item["call_id"]) if item.get("type") in _OUTPUTS else None
    if not waiting:
        return False
    index, call = waiting.pop(0)
    item["call_id"], item["type"] = call["call_id"], OUTPUT_OF[call["type"]]
    answers.setdefault(index, []).append(item)
    return True


def _answer(turn: PastTurn, answers: list[Item]) -> list[Item]:
    """The turn's items, its results in the client's order, and a result for each call that has none."""
    answered = {answer["call_id"] for answer in answers}
    missing = [call for call in _calls(turn) if call["call_id"] not in answered]
    aborted = [{"type": OUTPUT_OF[call["type"]], "call_id": call["call_id"], "output": ABORTED} for call in missing]
    unparsed = {call["call_id"]: raw for call, raw in turn.unparsed}
    outputs = [*answers, *aborted]
    for answer in outputs:
        if answer["call_id"] in unparsed:
            answer["output"] = _prepend_unparsed(unparsed[answer["call_id"]], answer["output"])
    return [*turn.items, *outputs]


def _prepend_unparsed(raw: str, output: str | list[Part]) -> str | list[Part]:
    note = f"The arguments of this call were not JSON: {raw}"
    return f"{note}\n{output}" if isinstance(output, str) else [text_part(note), *output]


def _note_orphans(turn: PastTurn) -> None:
    left = {id(item) for item in turn.items}
    for item, block in turn.results:
        if id(item) in left:
            block.lose(LossKind.APPROXIMATED, "", "sent as user text, because it answers no open call")


def _orphan_to_text(item: Item) -> Item:
    if item.get("type") not in _OUTPUTS:
        return item
    output = item["output"]
    parts = [text_part(output)] if isinstance(output, str) else output
    heading = text_part(f"Result of an earlier tool call ({item['call_id']}):")
    return {"type": "message", "role": "user", "content": [heading, *parts]}
