"""The messages of a request as Responses input items.

There are two passes: each message becomes items in its own order, then ``pairing`` matches calls and results.
"""

from __future__ import annotations

from codexd import jsontext
from codexd.translation.client_api import Target
from codexd.translation.messages import server_blocks
from codexd.translation.messages.content import (
    describe_block,
    is_media,
    to_parts,
    to_result_parts,
)
from codexd.translation.reading import reasoning
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.openai_parts import NO_REASONING, to_assistant_part
from codexd.translation.reading.pairing import Item, PastTurn, current_turn, legal_call_id, pair
from codexd.translation.reading.parts import Part, read_content, text_part, to_output
from codexd.translation.reading.tool_names import shorten


def to_input(messages: list[Fields], target: Target) -> list[Item]:
    """The input items of ``messages``, with the reasoning that ``target`` can read.

    Raises:
        RequestInvalid: names the field.
    """
    last_user = max((index for index, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    turns: list[PastTurn] = []
    for index, message in enumerate(messages):
        blocks = read_content(message, "content")
        start = _find_compaction(blocks)
        if start:
            summary = text_part(blocks[start - 1].string("content"))
            turns = [PastTurn(assistant=False, items=_message_item("user", [summary]))]
        if index < last_user and message.get("clear_at") == "next_user_message":
            continue  # the client keeps the message in its history, but the model should see it only once
        _read_message(message, blocks[start:], turns, target)
    return pair(turns)


def _find_compaction(blocks: list[Fields]) -> int:
    """Where the blocks after the last summary begin; 0 without a summary. Everything before it is left out."""
    found = (index for index in reversed(range(len(blocks))) if blocks[index].get("type") == "compaction")
    return next((index + 1 for index in found if blocks[index].optional_string("content")), 0)


def _read_message(message: Fields, blocks: list[Fields], turns: list[PastTurn], target: Target) -> None:
    match message.string("role"):
        case "assistant":
            turn = current_turn(turns, assistant=True)
            turn.items.extend(assistant_items(blocks, turn, target))
            media = to_parts([block for block in blocks if is_media(block)])
            if media:
                current_turn(turns, assistant=False).items.extend(_message_item("user", media))
        case "user":
            turn = current_turn(turns, assistant=False)
            turn.items.extend(user_items(blocks, turn))
        case "system" | "developer":
            current_turn(turns, assistant=False).items.extend(_message_item("developer", to_parts(blocks)))
        case _:
            raise message.wrong("role", "must be user, assistant or system")


# -- one message ----------------------------------------------------------------------------------


def _message_item(role: str, parts: list[Part]) -> list[Item]:
    return [{"type": "message", "role": role, "content": parts}] if parts else []


def user_items(blocks: list[Fields], turn: PastTurn) -> list[Item]:
    """Results come first, because they answer the previous turn. Text before them does not."""
    results = [(to_result_item(block), block) for block in blocks if block.get("type") == "tool_result"]
    turn.results.extend(results)
    others = [block for block in blocks if block.get("type") != "tool_result"]
    return [*(item for item, _ in results), *_message_item("user", to_parts(others))]


def to_result_item(block: Fields) -> Item:
    call_id = legal_call_id(block, "tool_use_id", block.string("tool_use_id"))
    parts = to_result_parts(read_content(block, "content"))
    if block.boolean("is_error"):
        parts = _mark_error(parts)
    return {"type": "function_call_output", "call_id": call_id, "output": to_output(parts)}


def _mark_error(parts: list[Part]) -> list[Part]:
    """Say in the text that the call failed, because the backend has no flag for it."""
    if parts and parts[0]["type"] == "input_text":
        first = parts[0]["text"]
        return parts if first.startswith("Error: ") else [text_part(f"Error: {first}"), *parts[1:]]
    return [text_part("Error: the tool failed"), *parts]


def assistant_items(blocks: list[Fields], turn: PastTurn, target: Target) -> list[Item]:
    items: list[Item] = []
    thoughts: list[Fields] = []
    for block in blocks:
        match block.string("type"):
            case "text" | "input_text" | "output_text" | "refusal":
                _add_assistant_part(items, to_assistant_part(block))
            case "thinking" | "redacted_thinking":
                made = _reasoning_items(block, target)
                items.extend(made)
                thoughts += [block] * len(made)
            case "tool_use":
                items.append(_call_item(block, turn))
            case "server_tool_use" | "web_search_tool_result":
                _add_server_block(items, block)
            case "compaction" | "fallback" | "tool_addition" | "tool_removal":
                pass
            case "reasoning" | "reasoning_text" | "summary_text":
                block.lose(LossKind.APPROXIMATED, "", NO_REASONING)
            case kind if is_media(block):
                note = "sent after the turn as the user's, because the backend accepts none from the assistant"
                block.lose(LossKind.APPROXIMATED, "", note)
                _add_assistant_text(items, f"[{kind}: see the next message]")
            case _:
                _add_assistant_text(items, describe_block(block))
    while items and items[-1]["type"] == "reasoning":
        items.pop()  # cut after thinking: the backend requires the item that followed it
        thoughts.pop().lose(LossKind.APPROXIMATED, "", reasoning.CUT_OFF)
    return items


def _reasoning_items(block: Fields, target: Target) -> list[Item]:
    signature = block.get("signature" if block.get("type") == "thinking" else "data")
    item = reasoning.to_item(signature, model=target.model.slug, account_tag=target.account_tag)
    if item and target.keep_reasoning:
        return [item]
    block.lose(LossKind.APPROXIMATED, "", "left out: this account and model can't read the reasoning; the text stays")
    return []


def _add_server_block(items: list[Item], block: Fields) -> None:
    """Add codexd's own search as the backend's item, without its links, and any other server tool's block as text."""
    search = server_blocks.to_search_item(block) if block.get("type") == "server_tool_use" else None
    if search:
        items.append(search)
    elif block.get("type") == "server_tool_use" or not server_blocks.is_our_result(block):
        block.lose(LossKind.APPROXIMATED, "", "sent as a short text, because codexd did not make this call")
        _add_assistant_text(items, describe_block(block))


def _add_assistant_text(items: list[Item], text: str) -> None:
    _add_assistant_part(items, {"type": "output_text", "text": text})


def _add_assistant_part(items: list[Item], part: Part) -> None:
    if not part.get("text") and not part.get("refusal"):
        return
    if items and items[-1]["type"] == "message":
        items[-1]["content"].append(part)
    else:
        items.append({"type": "message", "role": "assistant", "content": [part]})


def _call_item(block: Fields, turn: PastTurn) -> Item:
    item = {
        "type": "function_call",
        "call_id": legal_call_id(block, "id", block.string("id")),
        "name": shorten(block.filled_string("name")),
        "arguments": "{}",
    }
    value = block.get("input")
    unparsed = value.get("__unparsedToolInput") if isinstance(value, dict) else None
    if isinstance(unparsed, dict):  # Claude Code's form for arguments that were not JSON
        raw = str(unparsed.get("raw"))
        if _is_json(raw):
            item["arguments"] = raw
        else:
            block.lose(LossKind.APPROXIMATED, "input", "not JSON; repeated in the result of the call")
            turn.unparsed.append((item, raw))
    elif value:
        item["arguments"] = jsontext.dumps_text(value)
    return item


def _is_json(text: str) -> bool:
    try:
        jsontext.loads(text)
    except ValueError:
        return False
    return True
