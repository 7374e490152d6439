"""Content parts of OpenAI's APIs, under the names of either: Chat Completions says ``text``, Responses ``input_text``.

Clients mix the two, also in Anthropic's Messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from codexd.translation.reading.fates import CARRIED, Shape, Table, approximated, carried, cosmetic, plain, refused
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.parts import Part, read_image_url, text_part, to_file_data

TEXTS = ("text", "input_text", "output_text")
IMAGES = ("image_url", "input_image")
FILES = ("file", "input_file")
REASONING = ("reasoning", "reasoning_text", "summary_text")
"""Reasoning as text, which the backend accepts from nobody."""

_DETAILS = ("auto", "low", "high", "original")


def _text(part: Fields) -> list[Part]:
    text = part.string("text")
    return [text_part(text)] if text else []


def _refusal(part: Fields) -> list[Part]:
    text = part.string("refusal")
    return [text_part(text)] if text else []


def _image(part: Fields) -> list[Part]:
    """Chat Completions nests the URL; in the flat form, ``detail`` stands beside it."""
    value = part.get("image_url")
    flat = Fields({"url": value, "detail": part.get("detail")}, part.at("image_url"), part.losses)
    image = flat if isinstance(value, str) else part.optional_object("image_url")
    url = image.optional_string("url") if image else None
    if image is None or url is None:
        part.lose(LossKind.DROPPED, "image_url", "left out: the image has no URL")
        return []
    made = {"type": "input_image", "image_url": read_image_url(image, "url")}
    detail = image.optional_string("detail") or part.optional_string("detail")
    if detail is not None and detail not in _DETAILS:
        raise image.wrong("detail", f"must be one of {', '.join(_DETAILS)}")
    return [made | {"detail": detail} if detail else made]


def _nothing(_: Fields) -> list[Part]:
    return []


def _file(part: Fields) -> list[Part]:
    file = part.optional_object("file") or part
    filename = file.optional_string("filename") or "document.pdf"
    return [{"type": "input_file", "filename": filename, "file_data": to_file_data(file, "file_data")}]


CONVERTERS: Mapping[str, Callable[[Fields], list[Part]]] = {
    **dict.fromkeys(TEXTS, _text),
    "refusal": _refusal,
    **dict.fromkeys(IMAGES, _image),
    **dict.fromkeys(FILES, _file),
    **dict.fromkeys(REASONING, _nothing),
}
"""By type: a part as the backend accepts it from anyone but the assistant. Empty texts and reasoning are left out."""


def to_assistant_part(part: Fields) -> Part:
    """``part``, a text or a refusal, as the backend accepts it from the assistant."""
    if part.get("type") == "refusal":
        return {"type": "refusal", "refusal": part.string("refusal")}
    return {"type": "output_text", "text": part.string("text")}


# -- fates ----------------------------------------------------------------------------------------

_OWN_CACHE = cosmetic("the backend caches by itself, under a key that codexd gives it")
_MARKS = {"cache_control": _OWN_CACHE, "prompt_cache_breakpoint": _OWN_CACHE}
_FILE = {
    "file_data": CARRIED,
    "filename": CARRIED,
    "file_id": refused("is a file on OpenAI's servers; send file_data instead"),
    "file_url": refused("can't be loaded by the backend; send file_data instead"),
}
_SAID = {
    "annotations": cosmetic("names the source of the text; the text itself stays"),
    "logprobs": cosmetic("describes the text; the text itself stays"),
}
NOT_SENT = "can't be sent to the model; send text, an image or a file instead"
NO_REASONING = "left out: the backend accepts reasoning only in encrypted form"

SHAPES: Mapping[str, Shape] = {
    **dict.fromkeys(TEXTS, plain("text", **_SAID, **_MARKS)),
    "refusal": plain("refusal", **_MARKS),
    **dict.fromkeys(
        IMAGES,
        plain(
            "detail",
            image_url=carried(inside="image_url"),
            file_id=refused("is a file on OpenAI's servers; send image_url instead"),
            **_MARKS,
        ),
    ),
    **dict.fromkeys(FILES, Shape(CARRIED, {"file": carried(inside="file"), **_FILE, **_MARKS})),
    **dict.fromkeys(REASONING, Shape(approximated(NO_REASONING), other=CARRIED)),
    "input_audio": Shape(refused("is not supported: Codex models have no audio")),
}
TABLES: Mapping[str, Table] = {
    "image_url": Table({"": plain("url", "detail")}),
    "file": Table({"": Shape(CARRIED, _FILE)}),
}
