"""Content of a Chat message, as parts of a Responses item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codexd import jsontext
from codexd.errors import RequestInvalid
from codexd.translation.messages.content import to_parts as to_anthropic_parts
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.media import DATA_URL, Medium
from codexd.translation.reading.parts import (
    Part,
    leave_out,
    media_invalid,
    read_content,
    text_part,
    to_file_data,
    to_image_url,
)

_DETAILS = ("auto", "low", "high", "original")
_IMAGES = ("image_url", "image")


def to_parts(parts: list[Fields]) -> list[Part]:
    """The parts of a message from anyone but the assistant, in order. Empty texts are left out.

    Raises:
        RequestInvalid: a part lacks what its type needs.
    """
    made: list[Part] = []
    for part in parts:
        kind = part.string("type")
        convert = _CONVERTERS.get(kind)
        made.extend(convert(part) if convert else [text_part(f"[unsupported content part: {kind}]")])
    return made


def _read_result(message: Fields) -> list[Fields]:
    """The parts of a result. Some clients send images as the JSON text of a list of parts; others any JSON."""
    value = message.get("content")
    if isinstance(value, str):
        parts = _read_json_parts(message, value)
        return parts if parts is not None else read_content(message, "content")
    if value is None or (isinstance(value, list) and all(map(_is_part, value))):
        return message.objects("content")
    return read_content(Fields({"content": jsontext.dumps_text(value)}, message.path, message.losses), "content")


def _read_json_parts(message: Fields, text: str) -> list[Fields] | None:
    """The parts in a JSON text, if one of them is an image; None for any other text, which stays as it is."""
    if not text.lstrip().startswith("[") or "image" not in text:
        return None
    try:
        value = jsontext.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(map(_is_part, value)) or jsontext.find_too_deep(value):
        return None
    if not any(part["type"] in _IMAGES for part in value):
        return None
    return Fields({"content": value}, message.path, message.losses).objects("content")


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def to_result_parts(message: Fields) -> list[Part]:
    """The parts of a tool result. A text replaces an image or a file that can't be sent.

    It is not the client's fault if a tool made an SVG, for example, and the session has to go on.
    """
    made: list[Part] = []
    for part in _read_result(message):
        try:
            made += to_parts([part])
        except RequestInvalid as refused:
            made.append(leave_out(part, refused, "it can't be sent to the model"))
    return made


def list_media(messages: list[Fields]) -> Iterator[Fields]:
    """The images and files of a request."""
    for message in messages:
        yield from (part for part in _read_result(message) if part.get("type") in (*_IMAGES, "file", "document"))


def _text(part: Fields) -> list[Part]:
    text = part.string("text")
    return [text_part(text)] if text else []


def _refusal(part: Fields) -> list[Part]:
    text = part.string("refusal")
    return [text_part(text)] if text else []


def _image(part: Fields) -> list[Part]:
    value = part.get("image_url")
    image = Fields({"url": value}, part.at("image_url"), part.losses) if isinstance(value, str) else None
    image = image or part.optional_object("image_url")
    url = image.optional_string("url") if image else None
    if image is None or url is None:
        return []
    made = {"type": "input_image", "image_url": _read_url(image, url)}
    detail = image.optional_string("detail")
    if detail is not None and detail not in _DETAILS:
        raise image.wrong("detail", f"must be one of {', '.join(_DETAILS)}")
    return [made | {"detail": detail} if detail else made]


def _read_url(image: Fields, url: str) -> str:
    if DATA_URL.match(url):
        return to_image_url(image, "url")
    if not url.startswith("https://"):
        problem = "must be a base64 data URL or start with https://; the backend loads no other URLs"
        raise media_invalid(image, "url", problem, Medium.IMAGE)
    return url


def _file(part: Fields) -> list[Part]:
    file = part.object("file")
    filename = file.optional_string("filename") or "document.pdf"
    return [{"type": "input_file", "filename": filename, "file_data": to_file_data(file, "file_data")}]


def _as_anthropic(part: Fields) -> list[Part]:
    return to_anthropic_parts([part])


_CONVERTERS: Mapping[str, Callable[[Fields], list[Part]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "image": _as_anthropic,
    "document": _as_anthropic,
}
"""Some clients send Anthropic's blocks in Chat requests."""
