"""Results of tools in Chat messages, as parts of a Responses item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codexd import jsontext
from codexd.errors import RequestInvalid
from codexd.translation.messages.content import to_parts
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.media import load_parts
from codexd.translation.reading.openai_parts import FILES, IMAGES
from codexd.translation.reading.parts import Part, leave_out, read_content

_IMAGES = (*IMAGES, "image")


def to_result_parts(message: Fields, name: str = "content") -> list[Part]:
    """The parts of a tool result, in the field ``name``. A text replaces an image or a file that can't be sent.

    It is not the client's fault if a tool made an SVG, for example, and the session has to go on.
    """
    made: list[Part] = []
    for part in _read_result(message, name):
        try:
            made += to_parts([part])
        except RequestInvalid as refused:
            made.append(leave_out(part, refused, "it can't be sent to the model"))
    return made


def _read_result(message: Fields, name: str) -> list[Fields]:
    """The parts of a result. Some clients send images as the JSON text of a list of parts; others any JSON."""
    value = message.get(name)
    if isinstance(value, str):
        parts = _read_json_parts(message, name, value)
        return parts if parts is not None else read_content(message, name)
    if value is None or (isinstance(value, list) and all(map(_is_part, value))):
        return message.objects(name)
    return read_content(Fields({name: jsontext.dumps_text(value)}, message.path, message.losses), name)


def _read_json_parts(message: Fields, name: str, text: str) -> list[Fields] | None:
    """The parts in a JSON text, if one of them is an image; None for any other text, which stays as it is."""
    value = load_parts(text)
    if value is None or not all(map(_is_part, value)) or jsontext.find_too_deep(value):
        return None
    if not any(part["type"] in _IMAGES for part in value):
        return None
    return Fields({name: value}, message.path, message.losses).objects(name)


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def list_media(messages: list[Fields]) -> Iterator[Fields]:
    """The images and files of a request."""
    for message in messages:
        parts = _read_result(message, "content")
        yield from (part for part in parts if part.get("type") in (*_IMAGES, *FILES, "document"))
