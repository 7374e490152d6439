"""The messages of a request as Responses input items.

Two passes: each message to entries in its own order; then calls and results are paired, because the
backend refuses a call without a result and a result without a call, and histories that were
interrupted, compacted or cut have both. Source: anthropic-translation.md 1.3 to 1.5.
"""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import define, field

from codexd.translation import jsontext
from codexd.translation.fields import Fields
from codexd.translation.messages import reasoning
from codexd.translation.messages.content import Part, read_content, text_part, to_parts, to_placeholder
from codexd.translation.tool_names import shorten

Item = dict[str, Any]

MAX_CALL_ID_CHARS = 64
NO_OUTPUT = "(no output)"
"""An empty result stalls GPT models (anthropic-translation.md 1.5)."""
ABORTED = "aborted"
"""The result of a call that never got one, in the official client's word."""


@define
class Turn:
    """Consecutive items of one side, before pairing."""

    assistant: bool
    items: list[Item] = field(factory=list)


def to_input(messages: list[Fields], *, model: str, account_tag: str, keep_reasoning: bool) -> list[Item]:
    """The input items of ``messages``.

    Args:
        messages: in the client's order; roles user, assistant, system and developer.
        model: the upstream model, and ``account_tag`` the account: reasoning of others is left out.
        keep_reasoning: False leaves out all of it.

    Raises:
        RequestInvalid: names the field.
    """
    turns: list[Turn] = []
    for message in messages:
        role = message.string("role")
        match role:
            case "assistant":
                items = _assistant_items(message, model, account_tag, keep_reasoning)
            case "user":
                items = _user_items(message)
            case "system" | "developer":
                items = _message_item("developer", to_parts(read_content(message, "content")))
            case _:
                raise message.wrong("role", "must be user, assistant or system")
        assistant = role == "assistant"
        if not turns or turns[-1].assistant != assistant:
            turns.append(Turn(assistant))
        turns[-1].items.extend(items)
    return _pair(turns)


def shorten_call_id(call_id: str) -> str:
    """``call_id`` in at most 64 characters; the same for a call and its result."""
    if len(call_id) <= MAX_CALL_ID_CHARS:
        return call_id
    return f"{call_id[:47]}_{hashlib.sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:16]}"


# -- one message ----------------------------------------------------------------------------------


def _message_item(role: str, parts: list[Part]) -> list[Item]:
    return [{"type": "message", "role": role, "content": parts}] if parts else []


def _user_items(message: Fields) -> list[Item]:
    """Results first: they answer the turn before, and the text that may stand before them does not."""
    blocks = read_content(message, "content")
    results = [block for block in blocks if block.get("type") == "tool_result"]
    others = [block for block in blocks if block.get("type") not in ("tool_result", "thinking", "redacted_thinking")]
    return [*(_result_item(block) for block in results), *_message_item("user", to_parts(others))]


def _result_item(block: Fields) -> Item:
    call_id = shorten_call_id(block.string("tool_use_id"))
    parts = to_parts(read_content(block, "content"))
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


def _assistant_items(message: Fields, model: str, account_tag: str, keep_reasoning: bool) -> list[Item]:
    items: list[Item] = []
    for block in read_content(message, "content"):
        match block.string("type"):
            case "text":
                if text := block.string("text"):
                    _add_assistant_text(items, text)
            case "thinking" | "redacted_thinking" as kind:
                signature = block.get("signature" if kind == "thinking" else "data")
                item = reasoning.to_item(signature, model=model, account_tag=account_tag)
                if item and keep_reasoning:
                    items.append(item)
            case "tool_use":
                items.append(_call_item(block))
            case kind:
                _add_assistant_text(items, to_placeholder(kind)["text"])
    while items and items[-1]["type"] == "reasoning":
        items.pop()  # cut after thinking: the backend wants the item that followed it
    return items


def _add_assistant_text(items: list[Item], text: str) -> None:
    part = {"type": "output_text", "text": text}
    if items and items[-1]["type"] == "message":
        items[-1]["content"].append(part)
    else:
        items.append({"type": "message", "role": "assistant", "content": [part]})


def _call_item(block: Fields) -> Item:
    return {
        "type": "function_call",
        "call_id": shorten_call_id(block.string("id")),
        "name": shorten(block.string("name")),
        "arguments": _to_arguments(block.get("input")),
    }


def _to_arguments(value: Any) -> str:
    if not value:
        return "{}"
    unparsed = value.get("__unparsedToolInput") if isinstance(value, dict) else None
    if isinstance(unparsed, dict):  # Claude Code's form for arguments that were not JSON
        raw = unparsed.get("raw")
        return raw if isinstance(raw, str) and _is_json(raw) else "{}"
    return jsontext.dumps_text(value)


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
    open_calls: dict[str, int] = {}
    for index, turn in enumerate(turns):
        if turn.assistant:
            open_calls.update((item["call_id"], index) for item in _calls(turn))
            continue
        turn.items = [item for item in turn.items if not _take_answer(item, open_calls, answers)]
    paired: list[Item] = []
    for index, turn in enumerate(turns):
        if turn.assistant:
            paired.extend(_answer(turn, answers.get(index, [])))
        else:
            paired.extend(_orphan_to_text(item) for item in turn.items)
    return paired


def _calls(turn: Turn) -> list[Item]:
    return [item for item in turn.items if item["type"] == "function_call"]


def _take_answer(item: Item, open_calls: dict[str, int], answers: dict[int, list[Item]]) -> bool:
    """Whether ``item`` is the result of an open call; it then goes to that call's turn."""
    if item["type"] != "function_call_output" or item["call_id"] not in open_calls:
        return False
    answers.setdefault(open_calls.pop(item["call_id"]), []).append(item)
    return True


def _answer(turn: Turn, answers: list[Item]) -> list[Item]:
    """The turn, its results in the client's order, and a result for each call that has none."""
    answered = {answer["call_id"] for answer in answers}
    missing = [call["call_id"] for call in _calls(turn) if call["call_id"] not in answered]
    aborted = [{"type": "function_call_output", "call_id": call_id, "output": ABORTED} for call_id in missing]
    return [*turn.items, *answers, *aborted]


def _orphan_to_text(item: Item) -> Item:
    if item["type"] != "function_call_output":
        return item
    output = item["output"]
    parts = [text_part(output)] if isinstance(output, str) else output
    heading = text_part(f"Result of an earlier tool call ({item['call_id']}):")
    return {"type": "message", "role": "user", "content": [heading, *parts]}
