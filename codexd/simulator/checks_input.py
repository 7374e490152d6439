"""What the backend refuses in ``input``: items, their ids, their parts, and calls without outputs. Pure.

Where the backend's own rules are not known, the public Responses API's rules are used.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from codexd.simulator.prompts import Seal, read_seal
from codexd.simulator.refusals import (
    Problems,
    Refusal,
    check_string,
    detail,
    empty_string,
    error,
    missing,
    quote_list,
    too_long,
    unknown,
    wrong_pattern,
    wrong_type,
    wrong_value,
)

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
TYPES_WITHOUT_ID = ("compaction_trigger", "configuration_update", "item_reference")
ITEM_TYPES = (*ID_PREFIXES, *TYPES_WITHOUT_ID)
ROLES = ("user", "assistant", "developer")
USER_PARTS = ("input_text", "input_image", "input_file", "input_audio", "computer_screenshot")
ASSISTANT_PARTS = ("output_text", "refusal")
OUTPUT_PARTS = ("input_text", "input_image", "input_file", "encrypted_content")
PART_KEYS: Mapping[str, tuple[str, ...]] = {
    "input_text": ("text",),
    "output_text": ("text", "annotations", "logprobs"),
    "refusal": ("refusal",),
    "input_image": ("image_url", "detail"),
    "input_file": ("filename", "file_data"),
}
"""The keys that a part may have besides ``type``. Parts of other types are not checked."""

CALLS: Mapping[str, str] = {
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "local_shell_call": "function call",
}
"""The items that are calls, and their name in errors."""

OUTPUTS: Mapping[str, str] = {
    "function_call_output": "function call",
    "custom_tool_call_output": "custom tool call",
}
"""The items that answer a call, and the kind of call that each answers."""

ANY_ITEM_KEYS = ("type", "id", "internal_chat_message_metadata_passthrough")
ITEM_KEYS: Mapping[str, tuple[str, ...]] = {
    "message": ("role", "content", "phase"),
    "reasoning": ("summary", "content", "encrypted_content"),
    "function_call": ("name", "arguments", "call_id", "namespace"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("name", "input", "call_id", "namespace"),
    "custom_tool_call_output": ("call_id", "output", "name"),
}
"""The keys that an item may have besides ``ANY_ITEM_KEYS``. Items of other types are not checked."""

NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"
MAX_ID_CHARS = 64
_ID_CHARS = re.compile(r"[A-Za-z0-9_-]+")
_IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def check_input(items: Sequence[Any], *, account_id: str, modalities: Sequence[str]) -> Problems:
    """Find what is wrong with the ``items`` that an account sends to a model with these input modalities."""
    for index, item in enumerate(items):
        path = f"input[{index}]"
        if not isinstance(item, dict):
            yield wrong_type(path, "an object", item)
        kind = item.get("type", "message" if "role" in item else None)
        if kind is None:
            yield missing(f"{path}.type")
        if kind not in ITEM_TYPES:
            yield wrong_value(f"{path}.type", kind, ITEM_TYPES)
        for key in item:
            if key == "status" or (kind in ITEM_KEYS and key not in (*ANY_ITEM_KEYS, *ITEM_KEYS[kind])):
                yield unknown(f"{path}.{key}")
        yield from _check_id(item, kind, path)
        yield from _check_item(item, kind, path, account_id, modalities)
    yield from _check_unique_ids(items)
    yield from _check_pairs(items)
    if any(item.get("type") == "compaction_trigger" for item in items[:-1]):
        yield error("A compaction_trigger must be the last item of the input.", param="input", code="invalid_value")


def _check_id(item: Mapping[str, Any], kind: str, path: str) -> Problems:
    item_id = item.get("id")
    if item_id is None:
        return
    path = f"{path}.id"
    if not isinstance(item_id, str):
        yield wrong_type(path, "a string", item_id)
    if not item_id:
        yield empty_string(path)
    if len(item_id) > MAX_ID_CHARS:
        yield too_long(path, item_id, MAX_ID_CHARS)
    if not _ID_CHARS.fullmatch(item_id):
        message = (
            f"Invalid '{path}': '{item_id}'. Expected an ID that contains letters, numbers, underscores, "
            "or dashes, but this value contained additional characters."
        )
        yield error(message, param=path, code="invalid_value")
    prefix = ID_PREFIXES.get(kind, "")
    if not item_id.startswith(prefix):
        message = f"Invalid '{path}': '{item_id}'. Expected an ID that begins with '{prefix}'."
        yield error(message, param=path, code="invalid_value")


def _check_item(item: Mapping[str, Any], kind: str, path: str, account_id: str, modalities: Sequence[str]) -> Problems:
    match kind:
        case "message":
            yield from _check_message(item, path, modalities)
        case "reasoning":
            yield from _check_reasoning(item, path, account_id)
        case "function_call":
            yield from _check_call(item, path, "arguments")
        case "custom_tool_call":
            yield from _check_call(item, path, "input")
        case "function_call_output" | "custom_tool_call_output":
            yield from check_string(f"{path}.call_id", item.get("call_id"), maximum=MAX_ID_CHARS)
            yield from _check_output(item.get("output"), f"{path}.output", modalities)
        case "local_shell_call":
            yield from check_string(f"{path}.call_id", item.get("call_id"), maximum=MAX_ID_CHARS)
        case "item_reference":
            yield _not_found(str(item.get("id")))
        case "compaction" | "compaction_summary" | "context_compaction":
            yield from check_string(f"{path}.encrypted_content", item.get("encrypted_content"))


def _check_message(item: Mapping[str, Any], path: str, modalities: Sequence[str]) -> Problems:
    role = item.get("role")
    if role == "system":
        yield detail("System messages are not allowed")
    if role not in ROLES:
        yield wrong_value(f"{path}.role", role, ROLES)
    if item.get("phase") not in (None, "commentary", "final_answer"):
        yield wrong_value(f"{path}.phase", item["phase"], ("commentary", "final_answer"))
    content = item.get("content")
    if isinstance(content, str):
        return
    if content is None:
        yield missing(f"{path}.content")
    if not isinstance(content, list):
        yield wrong_type(f"{path}.content", "an array", content)
        return
    allowed = ASSISTANT_PARTS if role == "assistant" else USER_PARTS
    yield from _check_parts(content, f"{path}.content", allowed, modalities)


def _check_parts(parts: Sequence[Any], path: str, allowed: Sequence[str], modalities: Sequence[str]) -> Problems:
    for index, part in enumerate(parts):
        at = f"{path}[{index}]"
        if not isinstance(part, dict):
            yield wrong_type(at, "an object", part)
        kind = part.get("type")
        if kind is None:
            yield missing(f"{at}.type")
        if "prompt_cache_breakpoint" in part:
            yield error("prompt_cache_breakpoint is not supported on this model", param=at)
        if kind not in allowed:
            message = f"Invalid value: '{kind}'. Supported values are: {quote_list(allowed)}."
            yield error(message, param=at, code="invalid_value")
        for key in part:
            if kind in PART_KEYS and key not in ("type", *PART_KEYS[kind]):
                yield unknown(f"{at}.{key}")
        yield from _check_part(part, kind, at, modalities)


def _check_part(part: Mapping[str, Any], kind: str, path: str, modalities: Sequence[str]) -> Problems:
    match kind:
        case "input_text" | "output_text":
            yield from _check_text(part.get("text"), f"{path}.text")
        case "refusal":
            yield from _check_text(part.get("refusal"), f"{path}.refusal")
        case "input_image":
            yield from _check_image(part, path, modalities)
        case "input_file":
            yield from check_string(f"{path}.filename", part.get("filename"))
            yield from check_string(f"{path}.file_data", part.get("file_data"))
            if read_data_url(part["file_data"]) is None:
                message = f"Invalid '{path}.file_data'. Expected a base64-encoded data URL with a MIME type."
                yield error(message, param=f"{path}.file_data", code="invalid_value")
        case "input_audio":
            if "audio" not in modalities:
                yield error("Model does not support audio inputs", param=path, code="invalid_value")


def _check_text(text: Any, path: str) -> Problems:
    """Check a text that may be empty."""
    if text is None:
        yield missing(path)
    if not isinstance(text, str):
        yield wrong_type(path, "a string", text)


def _check_image(part: Mapping[str, Any], path: str, modalities: Sequence[str]) -> Problems:
    if "image" not in modalities:
        yield error("Model does not support image inputs", param=path, code="invalid_value")
    url = part.get("image_url")
    path = f"{path}.image_url"
    yield from check_string(path, url)
    if part.get("detail") not in (None, "auto", "low", "high", "original"):
        yield wrong_value(path.replace("image_url", "detail"), part["detail"], ("auto", "low", "high", "original"))
    if str(url).startswith("https://"):
        return
    image = read_data_url(str(url))
    expected = "Expected a base64-encoded data URL with an image MIME type"
    if image is None or not image[0].startswith("image/"):
        yield _refuse_image(f"Invalid '{path}'. {expected}, but got unsupported MIME type or URL.", path)
        return
    if not image[1]:
        yield _refuse_image(f"Invalid '{path}'. {expected}, but got empty base64-encoded bytes.", path)
    if not _is_valid_image(image[1]):
        yield _refuse_image("The image data you provided does not represent a valid image.", path)


def _is_valid_image(data: bytes) -> bool:
    from PIL import Image, WebPImagePlugin  # noqa: F401, PLC0415 - most tests send no images

    try:
        with Image.open(io.BytesIO(data), formats=_IMAGE_FORMATS) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, struct.error):
        return False
    return True


def _refuse_image(message: str, path: str) -> Refusal:
    return error(message, param=path, code="invalid_value")


def read_data_url(url: str) -> tuple[str, bytes] | None:
    """The MIME type and the bytes of a base64 data URL; None for any other text."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        return head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _check_reasoning(item: Mapping[str, Any], path: str, account_id: str) -> Problems:
    if not isinstance(item.get("summary"), list):
        yield missing(f"{path}.summary")
    sealed = item.get("encrypted_content")
    if not sealed:
        yield _not_found(str(item.get("id")))
    if not isinstance(sealed, str):
        yield wrong_type(f"{path}.encrypted_content", "a string", sealed)
        return
    if read_seal(sealed, account_id) is not Seal.OWN:
        short = f"{sealed[:7]}...{sealed[-4:]}"
        message = (
            f"The encrypted content {short} could not be verified. "
            "(Reason: Encrypted content could not be decrypted or parsed.)"
        )
        yield error(message, code="invalid_encrypted_content")


def _not_found(item_id: str) -> Refusal:
    message = (
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    return error(message, param="input")


def _check_call(item: Mapping[str, Any], path: str, content_key: str) -> Problems:
    yield from check_string(f"{path}.name", item.get("name"))
    if not re.fullmatch(NAME_PATTERN, item["name"]):
        yield wrong_pattern(f"{path}.name", NAME_PATTERN)
    yield from check_string(f"{path}.call_id", item.get("call_id"), maximum=MAX_ID_CHARS)
    yield from _check_text(item.get(content_key), f"{path}.{content_key}")


def _check_output(output: Any, path: str, modalities: Sequence[str]) -> Problems:
    if output is None:
        yield missing(path)
    if isinstance(output, str):
        return
    if not isinstance(output, list):
        yield wrong_type(path, "a string or an array", output)
    yield from _check_parts(output, path, OUTPUT_PARTS, modalities)


def _check_unique_ids(items: Sequence[Mapping[str, Any]]) -> Problems:
    seen: set[str] = set()
    for item in items:
        item_id = item.get("id")
        if item_id is not None and item_id in seen:
            message = f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again."
            yield error(message, param="input")
        seen.add(item_id or "")


def _check_pairs(items: Sequence[Mapping[str, Any]]) -> Problems:
    """Check that an output follows each call, and that a call precedes each output."""
    calls: dict[str, str] = {}
    answered: set[str] = set()
    for item in items:
        call_id = item.get("call_id", "")
        if item.get("type") in CALLS:
            calls[call_id] = CALLS[item["type"]]
        elif item.get("type") in OUTPUTS:
            if calls.get(call_id) != OUTPUTS[item["type"]]:
                message = f"No tool call found for {OUTPUTS[item['type']]} output with call_id {call_id}."
                yield error(message, param="input")
            answered.add(call_id)
    for call_id, kind in calls.items():
        if call_id not in answered:
            yield error(f"No tool output found for {kind} {call_id}.", param="input")
