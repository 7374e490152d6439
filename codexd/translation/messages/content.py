"""Content blocks of a user message or a tool result, as parts of a Responses item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from codexd.errors import RequestInvalid
from codexd.translation.messages import server_blocks
from codexd.translation.reading import openai_parts
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.media import DATA_URL, Medium
from codexd.translation.reading.parts import (
    Part,
    leave_out,
    media_invalid,
    read_content,
    read_image_url,
    text_part,
    to_file_data,
    to_image_url,
)

MEDIA = ("image", "document", "search_result", *openai_parts.IMAGES, *openai_parts.FILES)


def to_parts(blocks: list[Fields]) -> list[Part]:
    """The parts of ``blocks``, in order. Empty texts are left out.

    Raises:
        RequestInvalid: a block lacks what its type needs, is of an unknown type, or can only be loaded by Anthropic's
            servers.
    """
    parts: list[Part] = []
    for block in blocks:
        kind = block.string("type")
        convert = _CONVERTERS.get(kind) or openai_parts.CONVERTERS.get(kind)
        parts.extend(convert(block) if convert else [text_part(describe_block(block))])
    return parts


def to_result_parts(blocks: list[Fields]) -> list[Part]:
    """The parts of a tool result. A text replaces an image or a document that can't be sent.

    It is not the client's fault if a tool made an SVG, for example, and the session has to go on.
    """
    parts: list[Part] = []
    for block in blocks:
        try:
            parts += to_parts([block])
        except RequestInvalid as refused:
            parts.append(leave_out(block, refused))
    return parts


def is_media(block: Fields) -> bool:
    """Whether the block shows something that the backend accepts only from a user."""
    return block.get("type") in MEDIA


def list_media(messages: list[Fields]) -> Iterator[Fields]:
    """The images and documents of a request, those in tool results included."""
    for message in messages:
        for block in read_content(message, "content"):
            inner = read_content(block, "content") if block.get("type") == "tool_result" else []
            yield from (found for found in (block, *inner) if is_media(found))


def describe_block(block: Fields) -> str:
    """A server tool's block as text.

    Raises:
        RequestInvalid: the block is of another type.
    """
    text = server_blocks.to_text(block)
    if text is None:
        raise block.wrong("type", f"{block.string('type')!r} {openai_parts.NOT_SENT}")
    return text


def _text(block: Fields) -> list[Part]:
    text = block.string("text")
    return [text_part(text)] if text else []


def _image(block: Fields) -> list[Part]:
    source = block.object("source")
    match source.string("type"):
        case "base64":
            return [{"type": "input_image", "image_url": to_image_url(source, "data")}]
        case "url":
            return [{"type": "input_image", "image_url": read_image_url(source, "url")}]
        case kind:
            raise media_invalid(source, "type", f"{kind!r} is not supported; send base64 or url", Medium.IMAGE)


def _document(block: Fields) -> list[Part]:
    source = block.object("source")
    title = block.optional_string("title")
    context = block.optional_string("context")
    heading = [text for text in (title, context) if text]
    match source.string("type"):
        case "base64":
            return _file(to_file_data(source, "data"), title, context)
        case "url" if DATA_URL.match(source.string("url")):
            return _file(to_file_data(source, "url"), title, context)
        case "text":
            return [text_part("\n\n".join([*heading, source.string("data")]))]
        case "content":
            return [*(text_part(text) for text in heading), *to_parts(read_content(source, "content"))]
        case kind:
            problem = f"{kind!r} is not supported; send base64, text or content"
            raise media_invalid(source, "type", problem, Medium.DOCUMENT)


def _file(file_data: str, title: str | None, context: str | None) -> list[Part]:
    file = {"type": "input_file", "filename": _pdf_name(title), "file_data": file_data}
    return [text_part(context), file] if context else [file]


def _search_result(block: Fields) -> list[Part]:
    texts = [block.string("title"), block.string("source"), *(item.string("text") for item in block.objects("content"))]
    return [text_part("\n".join(texts))]


def _nothing(_: Fields) -> list[Part]:
    return []


def _misplaced_reasoning(block: Fields) -> list[Part]:
    block.lose(LossKind.DROPPED, "", "reasoning belongs in an assistant message")
    return []


def _tool_reference(block: Fields) -> list[Part]:
    return [text_part(f"Tool loaded: {block.string('tool_name')}")]


_CONVERTERS: Mapping[str, Callable[[Fields], list[Part]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
    "tool_addition": _nothing,
    "tool_removal": _nothing,
    "compaction": _nothing,
    "fallback": _nothing,
    "thinking": _misplaced_reasoning,
    "redacted_thinking": _misplaced_reasoning,
}
"""Blocks that become nothing here are read elsewhere: tool changes with the tools, a compaction with the history."""


def _pdf_name(title: str | None) -> str:
    if not title:
        return "document.pdf"
    return title if title.lower().endswith(".pdf") else f"{title}.pdf"
