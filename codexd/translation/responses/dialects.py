"""Input in the form of Chat Completions or of Anthropic's Messages, as items of the Responses API.

Clients mix the forms: they send messages of another API, with its content parts, calls and results.
"""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from codexd import jsontext
from codexd.translation.backend import text_of
from codexd.translation.chat.history import UNKNOWN_CALL, read_result, to_call_item
from codexd.translation.messages.content import MEDIA, to_parts, to_result_parts
from codexd.translation.messages.history import to_result_item
from codexd.translation.reading import openai_parts
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.pairing import OUTPUT_OF, Item
from codexd.translation.reading.parts import Part, to_output
from codexd.translation.responses.fates import CHAT_FIELDS

_OUTPUTS = tuple(OUTPUT_OF.values())
_REASONING = (*openai_parts.REASONING, "thinking", "redacted_thinking")


def to_native(items: list[Fields]) -> list[Fields]:
    """``items``, each with the path of the item that it comes from. What has the right form stays as it is.

    Raises:
        RequestInvalid: a call, a result or a part of another API lacks what it needs.
    """
    native: list[Fields] = []
    last_calls: dict[str, str] = {}
    for index, item in enumerate(items):
        if item.get("type") in _OUTPUTS and _has_parts(item, "output"):
            parts = [part for block in item.objects("output") for part in _to_user_parts(block)]
            native.append(evolve(item, value={**item.value, "output": parts}))
        elif item.get("type") in (None, "message") and isinstance(item.get("role"), str):
            native += _split(item, index, last_calls)
        else:
            native.append(item)
    return native


def _has_parts(item: Fields, name: str) -> bool:
    """Whether the field is a list of objects. Anything else is for the backend to judge."""
    value = item.get(name)
    return isinstance(value, list) and all(isinstance(part, dict) for part in value)


def _split(item: Fields, index: int, last_calls: dict[str, str]) -> list[Fields]:
    match item.get("role"):
        case "tool":
            name = "call_id" if item.get("tool_call_id") is None and item.get("call_id") else "tool_call_id"
            made = [_to_result(item, item.string(name))]
        case "function":  # the old form of results has no call ids
            made = [_to_result(item, last_calls.get(item.string("name"), UNKNOWN_CALL))]
        case "assistant":
            made = _split_assistant(item, index, last_calls)
        case _:
            made = _split_user(item)
    return [evolve(item, value=value) for value in made]


def _to_result(item: Fields, call_id: str) -> Item:
    output = to_output(to_result_parts(read_result(item)))
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _split_user(item: Fields) -> list[Item]:
    if not _has_parts(item, "content"):
        return [_without_chat_fields(item)]
    blocks = item.objects("content")
    results = [to_result_item(block) for block in blocks if block.get("type") == "tool_result"]
    others = [block for block in blocks if block.get("type") != "tool_result"]
    parts = [part for block in others for part in _to_user_parts(block)]
    return [*results, *_to_message(item, parts)]


def _to_user_parts(block: Fields) -> list[Part]:
    kind = text_of(block.get("type"))
    if kind in _REASONING:
        return _leave_out(block)
    is_nested = isinstance(block.get("image_url"), dict) or isinstance(block.get("file"), dict)
    is_native = kind.startswith("input_") and not is_nested
    is_known = kind in openai_parts.CONVERTERS or kind in MEDIA
    if is_native or not is_known:
        return [{name: value for name, value in block.value.items() if name != "cache_control"}]
    if is_nested and kind in openai_parts.SHAPES:
        for name in block.value.keys() - {"type", *openai_parts.SHAPES[kind].fields}:
            block.lose(LossKind.DROPPED, name, "unknown to codexd")
    return to_parts([block])


def _leave_out(block: Fields) -> list[Part]:
    block.lose(LossKind.APPROXIMATED, "", openai_parts.NO_REASONING)
    return []


# -- the assistant --------------------------------------------------------------------------------


@define
class _Said:
    """What one message of the assistant holds."""

    parts: list[Part] = field(factory=list)
    calls: list[Item] = field(factory=list)
    media: list[Part] = field(factory=list)


def _split_assistant(item: Fields, index: int, last_calls: dict[str, str]) -> list[Item]:
    said = _Said()
    for block in item.objects("content") if _has_parts(item, "content") else ():
        _add_block(block, said)
    if refusal := item.optional_string("refusal"):
        said.parts.append({"type": "refusal", "refusal": refusal})
    for number, call in enumerate(item.objects("tool_calls")):
        said.calls.append(to_call_item(call, f"call_missing_{index}_{number}"))
    legacy = item.optional_object("function_call")
    if legacy is not None:
        last_calls[legacy.string("name")] = call_id = f"call_{legacy.string('name')}_{index}"
        said.calls.append(to_call_item(Fields({"function": legacy.value}, item.path, item.losses), call_id))
    shown: list[Item] = [{"type": "message", "role": "user", "content": said.media}] if said.media else []
    return [*_to_message(item, said.parts), *said.calls, *shown]


def _add_block(block: Fields, said: _Said) -> None:
    kind = block.get("type")
    if kind in ("text", "input_text"):
        said.parts.append(openai_parts.to_assistant_part(block))
    elif kind in _REASONING:
        _leave_out(block)
    elif kind == "tool_use":
        said.calls.append(_to_call(block))
    elif kind in MEDIA:
        note = "sent after the message as the user's, because the backend accepts none from the assistant"
        block.lose(LossKind.APPROXIMATED, "", note)
        said.media += to_parts([block])
    else:
        said.parts.append(block.value)


def _to_call(block: Fields) -> Item:
    arguments = jsontext.dumps_text(block.get("input") or {})
    name = block.filled_string("name")
    return {"type": "function_call", "call_id": block.string("id"), "name": name, "arguments": arguments}


# -- messages -------------------------------------------------------------------------------------


def _to_message(item: Fields, parts: list[Part]) -> list[Item]:
    """The message with ``parts`` as its content, or with its own text; nothing if everything in it went elsewhere."""
    content: Any = item.get("content")
    if parts:
        said = [{"type": "output_text", "text": content}] if isinstance(content, str) and content else []
        return [{**_without_chat_fields(item), "content": [*said, *parts]}]
    went_elsewhere = content is None or (content and _has_parts(item, "content"))
    return [] if went_elsewhere else [_without_chat_fields(item)]


def _without_chat_fields(item: Fields) -> Item:
    return {name: value for name, value in item.value.items() if name not in CHAT_FIELDS}
