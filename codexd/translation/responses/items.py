"""The input of a Responses request as the backend accepts it: ids, roles, and reasoning that it can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from codexd.errors import RequestInvalid
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.pairing import OUTPUT_OF, Item, PastTurn, current_turn, pair, shorten_call_id
from codexd.translation.reading.parts import Part, leave_out, read_image_url, to_file_data
from codexd.translation.responses.tools import fit_schemas, shorten_names

ID_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "local_shell_call": "lsh",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "additional_tools": "at",
    "agent_message": "amsg",
    "compaction": "cmp",
    "compaction_summary": "cmp",
    "context_compaction": "cmp",
}
"""The prefix that the backend requires in the id of each type of item."""

CACHE_MARK = "prompt_cache_breakpoint"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OUTPUTS = frozenset(OUTPUT_OF.values())
_WITH_TOOLS = ("additional_tools", "tool_search_output")


def read_input(body: Fields) -> list[Fields]:
    """The items of ``input``, or of ``messages``, its name in other APIs. A string is a user message.

    Raises:
        RequestInvalid: ``input`` is missing, or neither a string nor a list of objects.
    """
    name = _find_input(body)
    value = body.get(name)
    if value is None:
        if body.get("previous_response_id") is not None:
            return []
        raise body.wrong(name, "required")
    if isinstance(value, str):
        content = [{"type": "input_text", "text": value}]
        return [Fields({"type": "message", "role": "user", "content": content}, name, body.losses)]
    if not isinstance(value, list):
        raise body.wrong(name, "must be a string or a list of items")
    return body.objects(name)


def _find_input(body: Fields) -> str:
    if body.get("messages") is None:
        return "input"
    if body.get("input") is None:
        return "messages"
    body.lose(LossKind.DROPPED, "messages", "left out: the request also has input")
    return "input"


def list_parts(items: Iterable[Fields]) -> Iterator[Fields]:
    """The parts of all messages and results."""
    for item in items:
        for name in ("content", "output"):
            value = item.get(name)
            if isinstance(value, list) and all(isinstance(part, dict) for part in value):
                yield from item.objects(name)


def strip_cache_marks(value: Any) -> Any:
    """``value`` without marks for explicit caching, which the backend rejects everywhere."""
    if isinstance(value, list):
        return [strip_cache_marks(child) for child in value]
    if isinstance(value, dict):
        return {name: strip_cache_marks(child) for name, child in value.items() if name != CACHE_MARK}
    return value


def to_items(items: Iterable[Fields], *, may_read: Callable[[str], bool]) -> list[tuple[Item, Fields]]:
    """The items that the backend accepts, each with its source.

    They have valid ids and no status, and reasoning is encrypted. ``may_read`` says whether the account can read a
    ciphertext.
    """
    kept: list[tuple[Item, Fields]] = []
    seen: set[str] = set()
    for fields in items:
        if fields.get("type") == "reasoning" and not _is_readable(fields, may_read):
            continue
        item = dict(fields.value)
        if item.pop("status", None) is not None:
            fields.lose(LossKind.COSMETIC, "status", "says how an answer ended; the backend refuses it in the input")
        if "id" in item and not _is_valid_id(item, seen):
            del item["id"]
            fields.lose(LossKind.COSMETIC, "id", "the backend rejects this id, and nothing refers to it")
        seen.add(item.get("id", ""))
        kept.append((item, fields))
    return kept


def _is_readable(item: Fields, may_read: Callable[[str], bool]) -> bool:
    sealed = item.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed:
        item.lose(LossKind.DROPPED, "", "the backend accepts reasoning only with its encrypted_content")
        return False
    if may_read(sealed):
        return True
    item.lose(LossKind.APPROXIMATED, "", "left out: the reasoning belongs to another account or model")
    return False


def _is_valid_id(item: Item, seen: set[str]) -> bool:
    item_id = item["id"]
    prefix = ID_PREFIXES.get(_kind_of(item), "")
    is_valid = isinstance(item_id, str) and bool(_ID.fullmatch(item_id)) and item_id.startswith(prefix)
    return is_valid and item_id not in seen


def _kind_of(item: Item) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else "message" if "role" in item else ""


def repair_history(items: Iterable[tuple[Item, Fields]]) -> list[Item]:
    """An SDK's items with roles that the backend accepts, and a result for each call.

    Raises:
        RequestInvalid: a call or a result has no call id, or a result has no output.
    """
    turns: list[PastTurn] = []
    for item, fields in items:
        kind = fields.optional_string("type") or _kind_of(item)
        if kind == "message":
            item["type"] = kind
            if item.get("role") == "system":
                item["role"] = "developer"
        elif kind in OUTPUT_OF or kind in _OUTPUTS:
            item["call_id"] = shorten_call_id(fields.string("call_id"))
            item.update(shorten_names(item))
        elif kind in _WITH_TOOLS and "tools" in item:
            item["tools"] = fit_schemas(fields)["tools"]
        _read_media(item, fields)
        _join(turns, item, fields)
    return pair(turns)


def _read_media(item: Item, fields: Fields) -> None:
    """Put images and files into the form that the backend accepts. What no model could read is left out of a result.

    Raises:
        RequestInvalid: a message has an image or a file that no model could read.
    """
    name = "output" if item.get("type") in _OUTPUTS else "content"
    value = item.get(name)
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        read = _read_of_result if name == "output" else read_part
        item[name] = [read(part) for part in fields.objects(name)]


def read_part(part: Fields) -> Part:
    """``part`` as the backend accepts it.

    Raises:
        RequestInvalid: it is an image or a file that no model could read.
    """
    return _MEDIA.get(str(part.get("type")), _keep)(part)


def _read_of_result(part: Fields) -> Part:
    try:
        return read_part(part)
    except RequestInvalid as refused:
        return leave_out(part, refused)


def _keep(part: Fields) -> Part:
    return part.value


def _read_image(part: Fields) -> Part:
    url = part.get("image_url")
    return {**part.value, "image_url": read_image_url(part, "image_url")} if isinstance(url, str) else part.value


def _read_file(part: Fields) -> Part:
    data = part.get("file_data")
    return {**part.value, "file_data": to_file_data(part, "file_data")} if isinstance(data, str) else part.value


_MEDIA: Mapping[str, Callable[[Fields], Part]] = {"input_image": _read_image, "input_file": _read_file}


def _join(turns: list[PastTurn], item: Item, fields: Fields) -> None:
    kind = item.get("type")
    is_output = kind in _OUTPUTS
    is_from_client = is_output or (kind == "message" and item.get("role") != "assistant")
    turn = current_turn(turns, assistant=not is_from_client)
    turn.items.append(item)
    if is_output:
        if not isinstance(item.get("output"), str | list):
            raise fields.wrong("output", "must be a string or a list of parts")
        turn.results.append((item, fields))
