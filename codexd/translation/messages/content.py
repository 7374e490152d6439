"""Content blocks of a user message or a tool result, as parts of a Responses item.

Source: anthropic-translation.md 1.4.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from codexd.translation.fields import Fields

Part = dict[str, Any]

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def to_parts(blocks: list[Fields]) -> list[Part]:
    """The parts of ``blocks``, in order. An empty text has none.

    Raises:
        RequestInvalid: a block without what its type needs, or one that only Anthropic's servers can serve.
    """
    parts: list[Part] = []
    for block in blocks:
        kind = block.string("type")
        convert = _CONVERTERS.get(kind)
        parts.extend(convert(block) if convert else [to_placeholder(kind)])
    return parts


def text_part(text: str) -> Part:
    return {"type": "input_text", "text": text}


def to_placeholder(kind: str) -> Part:
    """What stands for a block of an unknown type: a session must outlive it."""
    return text_part(f"[unsupported content block: {kind}]")


def _text(block: Fields) -> list[Part]:
    text = block.string("text")
    return [text_part(text)] if text else []


def _image(block: Fields) -> list[Part]:
    source = block.object("source")
    match source.string("type"):
        case "base64":
            data = _base64(source)
            media_type = _sniff(data) or source.string("media_type")
            return [{"type": "input_image", "image_url": f"data:{media_type};base64,{data}"}]
        case "url":
            return [{"type": "input_image", "image_url": source.string("url")}]
        case kind:
            raise source.wrong("type", f"{kind!r} images live on Anthropic's servers; send base64 or url")


def _document(block: Fields) -> list[Part]:
    source = block.object("source")
    title = block.optional_string("title")
    heading = [text for text in (title, block.optional_string("context")) if text]
    match source.string("type"):
        case "base64":
            media_type = source.optional_string("media_type") or "application/pdf"
            data_url = f"data:{media_type};base64,{_base64(source)}"
            return [{"type": "input_file", "filename": _pdf_name(title), "file_data": data_url}]
        case "text":
            return [text_part("\n\n".join([*heading, source.string("data")]))]
        case "content":
            return [*(text_part(text) for text in heading), *to_parts(read_content(source, "content"))]
        case "url":
            return [{"type": "input_file", "file_url": source.string("url")}]
        case kind:
            raise source.wrong("type", f"{kind!r} documents live on Anthropic's servers; send base64, text or url")


def _search_result(block: Fields) -> list[Part]:
    texts = [block.string("title"), block.string("source"), *(item.string("text") for item in block.objects("content"))]
    return [text_part("\n".join(texts))]


def _tool_reference(block: Fields) -> list[Part]:
    return [text_part(f"Tool loaded: {block.string('tool_name')}")]


_CONVERTERS: Mapping[str, Callable[[Fields], list[Part]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
}


def read_content(owner: Fields, name: str) -> list[Fields]:
    """A ``content`` field, string or list, as blocks: both forms of one text must translate to the same bytes."""
    value = owner.get(name)
    if isinstance(value, str):
        return [Fields({"type": "text", "text": value}, owner.at(name), owner.losses)] if value else []
    return owner.objects(name)


def _base64(source: Fields) -> str:
    """The data without the line breaks that some clients put in; the backend takes none."""
    data = source.string("data")
    return data if data.isalnum() else "".join(data.split())


def _sniff(data: str) -> str | None:
    """The real image type: the backend refuses a data URL whose type is not that of its bytes."""
    try:
        head = base64.b64decode(data[:24], validate=True)
    except (ValueError, binascii.Error):
        return None
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), None)


def _pdf_name(title: str | None) -> str:
    if not title:
        return "document.pdf"
    return title if title.lower().endswith(".pdf") else f"{title}.pdf"
