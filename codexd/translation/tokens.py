"""How many tokens a text or a translated request has.

Text is counted with the real o200k tokenizer; images, PDFs and reasoning are estimated, because the backend has no way
to count them. The result is never too low, which would make a client compact too late.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import imagesize

from codexd import jsontext
from codexd.translation.backend import text_of

MARGIN = 1.05
"""A factor for text. The numbers for images and files were measured and need no margin."""
PER_REQUEST = 8
PER_ITEM = 4
PER_TOOL = 8
UNKNOWN_IMAGE = 1844
"""The official client's fixed estimate: 7,373 bytes at 4 bytes per token."""
PER_PDF_PAGE = 2000
BYTES_PER_PDF_PAGE = 30_000
_PATCH_PIXELS = 32
_MAX_PATCHES = 10_000
_PDF_PAGE = re.compile(rb"/Type\s*/Page[^s]")

_PIECE_CHARS = 100_000
"""The tokenizer holds the GIL, so a huge text is split: other threads can run between its pieces."""


@cache
def _tokenizer() -> Any:
    from splintr import Tokenizer  # noqa: PLC0415 - takes 30 MB, which a daemon that counts nothing saves

    return Tokenizer.from_pretrained("o200k_base")


def count_text(text: str) -> int:
    """Tokens of ``text``. Special tokens such as ``<|endoftext|>`` in it count as plain text."""
    encode = _tokenizer().encode_ordinary
    return sum(len(encode(text[start : start + _PIECE_CHARS])) for start in range(0, len(text), _PIECE_CHARS))


def count_bytes(text: str) -> int:
    """The length of ``text`` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def estimate_tokens(utf8_bytes: int) -> int:
    """About four bytes per token. An answer may be of any length, so its text is not kept for an exact count."""
    return math.ceil(utf8_bytes / 4)


def count_body(body: Mapping[str, Any]) -> int:
    """Tokens of a body for the backend, so that what the translation leaves out does not count.

    Anything with an unexpected form counts as its JSON text, because some clients write such bodies themselves.
    """
    total = PER_REQUEST + _count_value(body.get("instructions") or "")
    total += sum(PER_ITEM + _count_item(item) for item in body["input"])
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        return total + _count_value(tools)
    return total + sum(PER_TOOL + _count_value(tool) for tool in tools)


def count_with_margin(text: str) -> int:
    return math.ceil(count_text(text) * MARGIN)


def _count_value(value: Any) -> int:
    return count_with_margin(value if isinstance(value, str) else jsontext.dumps_text(value))


def _count_item(item: Mapping[str, Any]) -> int:
    match item:
        case {"encrypted_content": str(sealed)}:
            # Reasoning, or a compacted history: base64 of the text and about 650 bytes around it.
            return max(0, len(sealed) * 3 // 4 - 650) // 4
        case {"type": "image_generation_call"}:
            return UNKNOWN_IMAGE
        case {"type": "function_call", "name": str(name), "arguments": str(arguments)}:
            return PER_ITEM + count_with_margin(name) + count_with_margin(arguments)
        case {"type": "custom_tool_call", "name": str(name), "input": str(text)}:
            return PER_ITEM + count_with_margin(name) + count_with_margin(text)
        case {"type": "function_call_output" | "custom_tool_call_output", "output": str() | list() as output}:
            return _count_content(output)
        case {"type": "web_search_call", "action": {"query": str(query)}}:
            return PER_ITEM + count_with_margin(query)
        case {"type": "message", "content": str() | list() as content}:
            return _count_content(content)
        case _:
            return _count_value(item)


def _count_content(content: str | Iterable[Any]) -> int:
    if isinstance(content, str):
        return count_with_margin(content)
    return sum(_count_part(part) for part in content)


def _count_part(part: Any) -> int:
    match part:
        case {"type": "input_image"}:
            return _count_image(text_of(part.get("image_url")))
        case {"type": "input_file"}:
            return _count_pdf(text_of(part.get("file_data")))
        case {"text": str(text)} | {"refusal": str(text)}:
            return count_with_margin(text)
        case _:
            return _count_value(part)


def _count_image(url: str) -> int:
    """1.2 tokens for each patch of 32 by 32 pixels, however long the base64 text is."""
    data = _read_data_url(url)
    width, height = imagesize.get(io.BytesIO(data)) if data else (-1, -1)
    if width <= 0 or height <= 0:
        return UNKNOWN_IMAGE
    patches = math.ceil(width / _PATCH_PIXELS) * math.ceil(height / _PATCH_PIXELS)
    return math.ceil(1.2 * min(patches, _MAX_PATCHES))


def _count_pdf(url: str) -> int:
    data = _read_data_url(url)
    pages = len(_PDF_PAGE.findall(data)) or math.ceil(len(data) / BYTES_PER_PDF_PAGE)
    return PER_PDF_PAGE * max(1, pages)


def _read_data_url(url: str) -> bytes:
    if not url.startswith("data:"):
        return b""
    try:
        return base64.b64decode(url.partition(",")[2])
    except (ValueError, binascii.Error):
        return b""
