"""Parts of a message or a tool result in the form that the backend accepts, as all client APIs read them."""

from __future__ import annotations

import base64
import string
from collections.abc import Mapping
from typing import Any

from codexd.translation.reading.fields import Fields

Part = dict[str, Any]

NO_OUTPUT = "(no output)"
"""The result of a call that returned nothing: GPT models get stuck on an empty result."""

NOT_AN_IMAGE = "is not a PNG, JPEG, GIF or WebP image"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)

_ALPHABET = (string.ascii_letters + string.digits + "+/").encode()


def text_part(text: str) -> Part:
    return {"type": "input_text", "text": text}


def to_output(parts: list[Part]) -> str | list[Part]:
    """The result of a call. A list of one text becomes a string, so that both forms give the same bytes."""
    if not parts:
        return NO_OUTPUT
    if len(parts) == 1 and parts[0]["type"] == "input_text":
        text: str = parts[0]["text"]
        return text
    return parts


def read_content(owner: Fields, name: str) -> list[Fields]:
    """The blocks of a ``content`` field. A string is one text block, so that both forms give the same bytes."""
    value = owner.get(name)
    if isinstance(value, str):
        return [Fields({"type": "text", "text": value}, owner.at(name), owner.losses)] if value else []
    return owner.objects(name)


def to_image_url(source: Fields, name: str, data: str) -> str:
    """A data URL of the base64 ``data`` in the field ``name`` of ``source``, with the image's real type."""
    clean = to_base64(source, name, data)
    media_type = sniff_image(clean)
    if media_type is None:
        raise source.wrong(name, NOT_AN_IMAGE)
    return f"data:{media_type};base64,{clean}"


def to_base64(source: Fields, name: str, data: str) -> str:
    """``data`` without the line breaks of some clients, which the backend rejects."""
    clean = "".join(data.split())
    if not clean:
        raise source.wrong(name, "must not be empty")
    if not _is_base64(clean.encode("utf-8", "replace")):
        raise source.wrong(name, "is not base64")
    return clean


def _is_base64(data: bytes) -> bool:
    """Check alphabet and length only: decoding all images of a history would take four times as long."""
    digits = data.rstrip(b"=")
    return len(data) % 4 == 0 and len(data) - len(digits) <= 2 and not digits.translate(None, _ALPHABET)


def sniff_image(data: str) -> str | None:
    """The type of an image by its first bytes; the backend rejects a data URL of the wrong type."""
    head = base64.b64decode(data[:24])
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), None)


def find_largest_image(body: Mapping[str, Any]) -> int:
    """The size in bytes of the largest embedded image in a body for the backend; 0 without one."""
    contents = [item.get(name) for item in body.get("input") or () for name in ("content", "output")]
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    urls = [url for part in parts if isinstance(url := part.get("image_url"), str) and url.startswith("data:")]
    return max((len(url.partition(",")[2]) * 3 // 4 for url in urls), default=0)
