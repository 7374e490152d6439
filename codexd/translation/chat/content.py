"""Results of tools in Chat messages, which come in several forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codexd import jsontext
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.media import load_parts
from codexd.translation.reading.openai_parts import FILES, IMAGES
from codexd.translation.reading.parts import read_content

_IMAGES = (*IMAGES, "image")


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
