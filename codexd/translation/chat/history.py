"""The messages of a Chat request as Responses input items: each is converted in place, then calls are paired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codexd import jsontext
from codexd.translation.chat.effort import SHOWN_REASONING
from codexd.translation.client_api import Target
from codexd.translation.messages.content import is_media, to_parts, to_result_parts
from codexd.translation.messages.history import assistant_items, user_items
from codexd.translation.reading import reasoning
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.media import load_parts
from codexd.translation.reading.openai_parts import FILES, IMAGES
from codexd.translation.reading.pairing import (
    OUTPUT_OF,
    Item,
    PastTurn,
    current_turn,
    legal_call_id,
    pair,
    shorten_call_id,
)
from codexd.translation.reading.parts import Part, read_content, to_output
from codexd.translation.reading.tool_names import shorten

ROLES = "system, developer, user, assistant, tool or function"
_IMAGES = (*IMAGES, "image")

UNKNOWN_CALL = "call_unknown"
"""The call id of a result without a known call; ``pairing`` turns such a result into text."""


def to_input(messages: list[Fields], target: Target) -> list[Item]:
    """The input items of ``messages``, with the reasoning that ``target`` can read.

    Raises:
        RequestInvalid: names the field.
    """
    turns: list[PastTurn] = []
    waiting = WaitingCalls()
    for index, message in enumerate(messages):
        _read_message(message, index, turns, waiting, target)
    return pair(turns)


def list_called(messages: list[Fields]) -> Iterator[str]:
    """The names of the tools that were called."""
    for message in messages:
        calls = message.objects("tool_calls")
        called = [call.optional_object("function") or call.optional_object("custom") for call in calls]
        called.append(message.optional_object("function_call"))
        yield from (name.filled_string("name") for name in called if name is not None)


class WaitingCalls:
    """The calls of the last assistant turn that have no result yet."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """Call id -> the function's name."""
        self._ids: dict[str, dict[str, None]] = {}
        """Function name -> the ids of its calls, in order."""

    def begin(self, items: list[Item], *, new_turn: bool) -> None:
        """Add the calls among ``items``. A new assistant turn forgets the calls of the turn before."""
        if new_turn:
            self._names, self._ids = {}, {}
        for item in items:
            if item["type"] in OUTPUT_OF:
                self._names[item["call_id"]] = item["name"]
                self._ids.setdefault(item["name"], {})[item["call_id"]] = None

    def answer(self, call_id: str) -> None:
        name = self._names.pop(call_id, None)
        if name is not None:
            del self._ids[name][call_id]

    def find_only(self) -> str:
        return next(iter(self._names)) if len(self._names) == 1 else UNKNOWN_CALL

    def find_last(self, name: str) -> str:
        return next(reversed(self._ids.get(name, {})), UNKNOWN_CALL)


def _read_message(message: Fields, index: int, turns: list[PastTurn], waiting: WaitingCalls, target: Target) -> None:
    match message.string("role"):
        case "system" | "developer":
            _add_message("developer", to_parts(read_content(message, "content")), turns)
        case "user":
            _add_user_message(read_content(message, "content"), turns, waiting)
        case "assistant":
            _add_assistant_message(message, index, turns, waiting, target)
        case "tool":
            _add_result(message, _find_call_id(message, waiting), turns, waiting)
        case "function":
            # The old form of results has no call ids.
            _add_result(message, waiting.find_last(shorten(message.string("name"))), turns, waiting)
        case _:
            raise message.wrong("role", f"must be {ROLES}")


def _add_message(role: str, parts: list[Part], turns: list[PastTurn]) -> None:
    if parts:
        current_turn(turns, assistant=False).items.append({"type": "message", "role": role, "content": parts})


def _add_user_message(blocks: list[Fields], turns: list[PastTurn], waiting: WaitingCalls) -> None:
    """Add a message whose content may have Anthropic's blocks, with results of tools."""
    turn = PastTurn(assistant=False)
    items = user_items(blocks, turn)
    for result, _ in turn.results:
        waiting.answer(result["call_id"])
    if items:
        current = current_turn(turns, assistant=False)
        current.items.extend(items)
        current.results.extend(turn.results)


# -- results --------------------------------------------------------------------------------------


def _add_result(message: Fields, call_id: str, turns: list[PastTurn], waiting: WaitingCalls) -> None:
    waiting.answer(call_id)
    output = to_output(to_result_parts(read_result(message)))
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    turn = current_turn(turns, assistant=False)
    turn.items.append(item)
    turn.results.append((item, message))


def _find_call_id(message: Fields, waiting: WaitingCalls) -> str:
    """The call id of a result; without one, the id of the only call that waits for a result."""
    given = message.optional_string("tool_call_id")
    return legal_call_id(message, "tool_call_id", given) if given else waiting.find_only()


# -- the assistant --------------------------------------------------------------------------------


def _add_assistant_message(
    message: Fields, index: int, turns: list[PastTurn], waiting: WaitingCalls, target: Target
) -> None:
    new_turn = not turns or not turns[-1].assistant
    blocks = read_content(message, "content")
    if refusal := message.optional_string("refusal"):
        blocks.append(Fields({"type": "refusal", "refusal": refusal}, message.path, message.losses))
    turn = current_turn(turns, assistant=True)
    items = [*_reasoning_items(message, target), *assistant_items(blocks, turn, target), *_calls(message, index)]
    if items and items[-1]["type"] == "reasoning":
        message.lose(LossKind.APPROXIMATED, "reasoning_details", reasoning.CUT_OFF)
        items = []
    waiting.begin(items, new_turn=new_turn)
    turn.items.extend(items)
    _add_message("user", to_parts([block for block in blocks if is_media(block)]), turns)


def _calls(message: Fields, index: int) -> list[Item]:
    calls = enumerate(message.objects("tool_calls"))
    items = [to_call_item(call, f"call_missing_{index}_{number}") for number, call in calls]
    legacy = message.optional_object("function_call")
    if legacy is not None:
        call_id = shorten_call_id(f"call_{shorten(legacy.filled_string('name'))}_{index}")
        items.append(_function_call(legacy, call_id))
    return [{**item, "name": shorten(item["name"])} for item in items]


def _reasoning_items(message: Fields, target: Target) -> list[Item]:
    """The encrypted reasoning in ``reasoning_details``. Reasoning that a client shows is never sent back as text."""
    shown = next((name for name in SHOWN_REASONING if message.get(name)), None)
    if shown is None:
        return []
    details = message.get("reasoning_details")
    entries = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
    sealed = [entry["data"] for entry in entries if entry.get("data")]
    found = [reasoning.to_item(data, model=target.model.slug, account_tag=target.account_tag) for data in sealed]
    items = [item for item in found if item and target.keep_reasoning]
    if not items or len(items) < len(sealed):
        note = "left out: this account and model can't read the reasoning; the text stays"
        message.lose(LossKind.APPROXIMATED, shown, note)
    return items


def to_call_item(call: Fields, spare_id: str) -> Item:
    """The item of a call, under the client's name of the tool; ``spare_id`` is its id if it has none."""
    given = call.optional_string("id")
    call_id = legal_call_id(call, "id", given) if given else spare_id
    kind = call.optional_string("type") or ("custom" if call.get("custom") else "function")
    match kind:
        case "function":
            function = call.object("function")
            return _function_call(function, call_id)
        case "custom":
            custom = call.object("custom")
            text = custom.optional_string("input") or ""
            return {"type": "custom_tool_call", "call_id": call_id, "name": custom.filled_string("name"), "input": text}
        case _:
            raise call.wrong("type", "must be function or custom")


def _function_call(function: Fields, call_id: str) -> Item:
    name = function.filled_string("name")
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": _arguments(function)}


def _arguments(function: Fields) -> str:
    """The arguments as the model wrote them. Anything but a string becomes JSON text."""
    value: Any = function.get("arguments")
    if value is None or value == "":
        return "{}"
    return value if isinstance(value, str) else jsontext.dumps_text(value)


# -- results of tools, which come in several forms ------------------------------------------------


def read_result(message: Fields) -> list[Fields]:
    """The parts of a result. Some clients send images as the JSON text of a list of parts; others any JSON."""
    value = message.get("content")
    if isinstance(value, str):
        parts = _read_json_parts(message, value)
        return parts if parts is not None else read_content(message, "content")
    if value is None or (isinstance(value, list) and all(map(_is_part, value))):
        return message.objects("content")
    text = Fields({"content": jsontext.dumps_text(value)}, message.path, message.losses)
    return read_content(text, "content")


def _read_json_parts(message: Fields, text: str) -> list[Fields] | None:
    """The parts in a JSON text, if one of them is an image; None for any other text, which stays as it is."""
    value = load_parts(text)
    if value is None or not all(map(_is_part, value)) or jsontext.find_too_deep(value):
        return None
    if not any(part["type"] in _IMAGES for part in value):
        return None
    return Fields({"content": value}, message.path, message.losses).objects("content")


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def list_media(messages: list[Fields]) -> Iterator[Fields]:
    """The images and files of a request."""
    for message in messages:
        parts = read_result(message)
        yield from (part for part in parts if part.get("type") in (*_IMAGES, *FILES, "document"))
