"""The messages of a request as Responses input items.

Two passes: each message to entries in its own order; then calls and results are paired, because the
backend refuses a call without a result and a result without a call, and histories that were
interrupted, compacted or cut have both. Source: anthropic-translation.md 1.3 to 1.5.
"""

from __future__ import annotations

import hashlib
from itertools import count
from typing import Any

from attrs import define, field, frozen

from codexd.translation import jsontext
from codexd.translation.fields import Fields
from codexd.translation.losses import LossKind
from codexd.translation.messages import reasoning, server_blocks
from codexd.translation.messages.content import (
    Part,
    is_medium,
    read_content,
    text_part,
    to_parts,
    to_result_parts,
    to_words,
)
from codexd.translation.tool_names import shorten

Item = dict[str, Any]

MAX_CALL_ID_CHARS = 64
NO_OUTPUT = "(no output)"
"""An empty result stalls GPT models (anthropic-translation.md 1.5)."""
ABORTED = "aborted"
"""The result of a call that never got one, in the official client's word."""

_REASONING = ("thinking", "redacted_thinking")


@define
class Turn:
    """Consecutive items of one side, before pairing.

    ``results`` holds the blocks that the results came from, ``unparsed`` the arguments of calls that were not JSON.
    """

    assistant: bool
    items: list[Item] = field(factory=list)
    results: list[tuple[Item, Fields]] = field(factory=list)
    unparsed: list[tuple[Item, str]] = field(factory=list)


@frozen
class Reader:
    """Reads assistant messages for one upstream model and one account."""

    model: str
    account_tag: str
    keep_reasoning: bool


def to_input(messages: list[Fields], *, model: str, account_tag: str, keep_reasoning: bool) -> list[Item]:
    """The input items of ``messages``.

    Args:
        messages: in the client's order; roles user, assistant, system and developer.
        model: the upstream model, and ``account_tag`` the account: reasoning of others is left out.
        keep_reasoning: False leaves out all of it.

    Raises:
        RequestInvalid: names the field.
    """
    reader = Reader(model, account_tag, keep_reasoning)
    last_user = max((index for index, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        blocks = read_content(message, "content")
        start = _find_compaction(blocks)
        if start:
            turns = [
                Turn(assistant=False, items=_message_item("user", [text_part(blocks[start - 1].string("content"))]))
            ]
        if index < last_user and message.get("clear_at") == "next_user_message":
            continue  # the client keeps it in its history, and the model is to see it once
        _read_message(message, blocks[start:], turns, reader)
    return _pair(turns)


def _find_compaction(blocks: list[Fields]) -> int:
    """Where the blocks after the last summary begin; 0 without one. Everything before a summary is left out."""
    found = (index for index in reversed(range(len(blocks))) if blocks[index].get("type") == "compaction")
    return next((index + 1 for index in found if blocks[index].optional_string("content")), 0)


def _read_message(message: Fields, blocks: list[Fields], turns: list[Turn], reader: Reader) -> None:
    match message.string("role"):
        case "assistant":
            turn = _turn(turns, assistant=True)
            turn.items.extend(_assistant_items(blocks, turn, reader))
            media = to_parts([block for block in blocks if is_medium(block)])
            if media:
                _turn(turns, assistant=False).items.extend(_message_item("user", media))
        case "user":
            turn = _turn(turns, assistant=False)
            turn.items.extend(_user_items(blocks, turn))
        case "system" | "developer":
            _turn(turns, assistant=False).items.extend(_message_item("developer", to_parts(blocks)))
        case _:
            raise message.wrong("role", "must be user, assistant or system")


def _turn(turns: list[Turn], *, assistant: bool) -> Turn:
    """The turn that goes on, or a new one."""
    if not turns or turns[-1].assistant != assistant:
        turns.append(Turn(assistant))
    return turns[-1]


def shorten_call_id(call_id: str) -> str:
    """``call_id`` in 1 to 64 characters; the same for a call and its result."""
    if not call_id:
        return "call_0"
    if len(call_id) <= MAX_CALL_ID_CHARS:
        return call_id
    return f"{call_id[:47]}_{hashlib.sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:16]}"


# -- one message ----------------------------------------------------------------------------------


def _message_item(role: str, parts: list[Part]) -> list[Item]:
    return [{"type": "message", "role": role, "content": parts}] if parts else []


def _user_items(blocks: list[Fields], turn: Turn) -> list[Item]:
    """Results first: they answer the turn before, and the text that may stand before them does not."""
    results = [(_result_item(block), block) for block in blocks if block.get("type") == "tool_result"]
    turn.results.extend(results)
    others = [block for block in blocks if block.get("type") not in ("tool_result", *_REASONING)]
    for block in blocks:
        if block.get("type") in _REASONING:
            block.lose(LossKind.DROPPED, "", "reasoning belongs in an assistant message")
    return [*(item for item, _ in results), *_message_item("user", to_parts(others))]


def _result_item(block: Fields) -> Item:
    call_id = _call_id(block, "tool_use_id")
    parts = to_result_parts(read_content(block, "content"))
    if block.boolean("is_error"):
        parts = _mark_error(parts)
    return {"type": "function_call_output", "call_id": call_id, "output": _to_output(parts)}


def _mark_error(parts: list[Part]) -> list[Part]:
    """The backend has no flag for a failed call, so its text says so."""
    if parts and parts[0]["type"] == "input_text":
        first = parts[0]["text"]
        return parts if first.startswith("Error: ") else [text_part(f"Error: {first}"), *parts[1:]]
    return [text_part("Error: the tool failed"), *parts]


def _to_output(parts: list[Part]) -> str | list[Part]:
    """One text as a plain string, so that the string form and the block form of a result are the same bytes."""
    if not parts:
        return NO_OUTPUT
    if len(parts) == 1 and parts[0]["type"] == "input_text":
        text: str = parts[0]["text"]
        return text
    return parts


def _assistant_items(blocks: list[Fields], turn: Turn, reader: Reader) -> list[Item]:
    items: list[Item] = []
    for block in blocks:
        match block.string("type"):
            case "text":
                _add_assistant_text(items, block.string("text"))
            case "thinking" | "redacted_thinking":
                items.extend(_reasoning_items(block, reader))
            case "tool_use":
                items.append(_call_item(block, turn))
            case "server_tool_use" | "web_search_tool_result":
                _add_server_block(items, block)
            case "compaction" | "fallback" | "tool_addition" | "tool_removal":
                pass
            case kind if is_medium(block):
                block.lose(LossKind.APPROXIMATED, "", "shown after the turn, as the user's: the backend takes no other")
                _add_assistant_text(items, f"[{kind}: see the next message]")
            case _:
                _add_assistant_text(items, to_words(block))
    while items and items[-1]["type"] == "reasoning":
        items.pop()  # cut after thinking: the backend wants the item that followed it
    return items


def _reasoning_items(block: Fields, reader: Reader) -> list[Item]:
    signature = block.get("signature" if block.get("type") == "thinking" else "data")
    item = reasoning.to_item(signature, model=reader.model, account_tag=reader.account_tag)
    if item and reader.keep_reasoning:
        return [item]
    block.lose(LossKind.APPROXIMATED, "", "reasoning that this account and model can't read; the words around it stay")
    return []


def _add_server_block(items: list[Item], block: Fields) -> None:
    """Our own search as the backend's item; its links, which the item stands for, and other searches as text."""
    search = server_blocks.to_search_item(block) if block.get("type") == "server_tool_use" else None
    if search:
        items.append(search)
    elif block.get("type") == "server_tool_use" or not server_blocks.is_our_result(block):
        block.lose(LossKind.APPROXIMATED, "", "as a short text: codexd did not make this call")
        _add_assistant_text(items, to_words(block))


def _add_assistant_text(items: list[Item], text: str) -> None:
    part = {"type": "output_text", "text": text}
    if not text:
        return
    if items and items[-1]["type"] == "message":
        items[-1]["content"].append(part)
    else:
        items.append({"type": "message", "role": "assistant", "content": [part]})


def _call_item(block: Fields, turn: Turn) -> Item:
    item = {
        "type": "function_call",
        "call_id": _call_id(block, "id"),
        "name": _name(block),
        "arguments": "{}",
    }
    value = block.get("input")
    unparsed = value.get("__unparsedToolInput") if isinstance(value, dict) else None
    if isinstance(unparsed, dict):  # Claude Code's form for arguments that were not JSON
        raw = str(unparsed.get("raw"))
        if _is_json(raw):
            item["arguments"] = raw
        else:
            block.lose(LossKind.APPROXIMATED, "input", "was not JSON; told in the call's result")
            turn.unparsed.append((item, raw))
    elif value:
        item["arguments"] = jsontext.dumps_text(value)
    return item


def _name(block: Fields) -> str:
    name = block.string("name")
    if not name:
        raise block.wrong("name", "must not be empty")
    return shorten(name)


def _call_id(block: Fields, name: str) -> str:
    given = block.string(name)
    short = shorten_call_id(given)
    if short != given:
        block.lose(LossKind.RENAMED, name, f"sent as {short}")
    return short


def _is_json(text: str) -> bool:
    try:
        jsontext.loads(text)
    except ValueError:
        return False
    return True


# -- pairing --------------------------------------------------------------------------------------


def _pair(turns: list[Turn]) -> list[Item]:
    """Each call answered right after the turn that made it; results of no call become user text."""
    answers: dict[int, list[Item]] = {}
    open_calls: dict[str, list[tuple[int, str]]] = {}
    for index, turn in enumerate(turns):
        if turn.assistant:
            for call_id, names in _rename_calls(turn).items():
                open_calls[call_id] = [(index, name) for name in names]
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


def _calls(turn: Turn) -> list[Item]:
    return [item for item in turn.items if item["type"] == "function_call"]


def _rename_calls(turn: Turn) -> dict[str, list[str]]:
    """The ids of the turn's calls; a second call of one id gets another, and so does its result."""
    taken = {call["call_id"] for call in _calls(turn)}
    renamed: dict[str, list[str]] = {}
    for call in _calls(turn):
        names = renamed.setdefault(call["call_id"], [])
        if names:
            fresh = (shorten_call_id(f"{call['call_id']}_{number}") for number in count(len(names) + 1))
            call["call_id"] = next(name for name in fresh if name not in taken)
            taken.add(call["call_id"])
        names.append(call["call_id"])
    return renamed


def _take_answer(item: Item, open_calls: dict[str, list[tuple[int, str]]], answers: dict[int, list[Item]]) -> bool:
    """Whether ``item`` is the result of an open call; it then goes to that call's turn."""
    waiting = open_calls.get(item["call_id"]) if item["type"] == "function_call_output" else None
    if not waiting:
        return False
    index, item["call_id"] = waiting.pop(0)
    answers.setdefault(index, []).append(item)
    return True


def _answer(turn: Turn, answers: list[Item]) -> list[Item]:
    """The turn, its results in the client's order, and a result for each call that has none."""
    answered = {answer["call_id"] for answer in answers}
    missing = [call["call_id"] for call in _calls(turn) if call["call_id"] not in answered]
    aborted = [{"type": "function_call_output", "call_id": call_id, "output": ABORTED} for call_id in missing]
    unparsed = {call["call_id"]: raw for call, raw in turn.unparsed}
    outputs = [*answers, *aborted]
    for answer in outputs:
        if answer["call_id"] in unparsed:
            answer["output"] = _tell_unparsed(unparsed[answer["call_id"]], answer["output"])
    return [*turn.items, *outputs]


def _tell_unparsed(raw: str, output: str | list[Part]) -> str | list[Part]:
    note = f"The arguments of this call were not JSON: {raw}"
    return f"{note}\n{output}" if isinstance(output, str) else [text_part(note), *output]


def _note_orphans(turn: Turn) -> None:
    left = {id(item) for item in turn.items}
    for item, block in turn.results:
        if id(item) in left:
            block.lose(LossKind.APPROXIMATED, "", "as the user's text: it answers no open call before it")


def _orphan_to_text(item: Item) -> Item:
    if item["type"] != "function_call_output":
        return item
    output = item["output"]
    parts = [text_part(output)] if isinstance(output, str) else output
    heading = text_part(f"Result of an earlier tool call ({item['call_id']}):")
    return {"type": "message", "role": "user", "content": [heading, *parts]}
