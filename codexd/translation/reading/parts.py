"""Parts of a message or a tool result in the form that the backend accepts, as all client APIs read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codexd.errors import RequestInvalid
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.media import DATA_URL, PDF_TYPE, Medium, clean_base64, find_image, find_pdf

Part = dict[str, Any]

NO_OUTPUT = "(no output)"
"""The result of a call that returned nothing: GPT models get stuck on an empty result."""


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


def to_image_url(source: Fields, name: str) -> str:
    """A data URL of the base64 in the field ``name``, with the image's real type.

    Raises:
        RequestInvalid: names the field; no model could read the image.
    """
    clean = _read_base64(source, name, Medium.IMAGE)
    found = find_image(clean)
    if found.problem:
        raise media_invalid(source, name, found.problem, Medium.IMAGE)
    if found.frame is not None:
        source.lose(LossKind.APPROXIMATED, name, "only the first picture of the animation is sent: models see no more")
        return f"data:image/png;base64,{found.frame}"
    claimed = _claimed_type(source, name)
    if claimed not in (found.media_type, "", "image/jpg"):
        source.lose(LossKind.APPROXIMATED, name, f"sent as {found.media_type}, its real type, and not as {claimed}")
    return f"data:{found.media_type};base64,{clean}"


def read_image_url(source: Fields, name: str) -> str:
    """The URL of an image in the field ``name``, as OpenAI's APIs have it: a data URL or one that the backend loads.

    Raises:
        RequestInvalid: names the field; the URL is of another kind, or no model could read the image.
    """
    url = source.string(name)
    if DATA_URL.match(url):
        return to_image_url(source, name)
    link = to_link(url)
    if link is None:
        problem = "must be a base64 data URL or start with https://; the backend loads no other URLs"
        raise media_invalid(source, name, problem, Medium.IMAGE)
    return link


def to_link(url: str) -> str | None:
    """``url`` as the backend accepts it, with its scheme in lower case; None if it is not ``https``."""
    scheme, separator, rest = url.strip().partition("://")
    return f"https://{rest}" if separator and scheme.lower() == "https" else None


def to_file_data(source: Fields, name: str) -> str:
    """A data URL of the base64 in the field ``name``, which is a PDF unless it says otherwise.

    Raises:
        RequestInvalid: names the field; no model could read the PDF.
    """
    clean = _read_base64(source, name, Medium.DOCUMENT)
    media_type = _claimed_type(source, name) or PDF_TYPE
    problem = find_pdf(clean).problem if media_type == PDF_TYPE else ""
    if problem or not clean:
        raise media_invalid(source, name, problem or "must not be empty", Medium.DOCUMENT)
    return f"data:{media_type};base64,{clean}"


def leave_out(part: Fields, refused: RequestInvalid) -> Part:
    """A text with the reason, in place of an image or a document that no model could read.

    Raises:
        RequestInvalid: ``refused`` is about something else.
    """
    if refused.medium is None:
        raise refused
    part.lose(LossKind.DROPPED, "", f"the {refused.medium} {refused.problem}")
    return text_part(f"[{refused.medium} left out: the data {refused.problem}]")


def media_invalid(owner: Fields, name: str, problem: str, medium: Medium) -> RequestInvalid:
    return RequestInvalid(owner.at(name), problem, medium=medium.value)


def _read_base64(source: Fields, name: str, medium: Medium) -> str:
    clean = clean_base64(source.string(name))
    if clean is None:
        raise media_invalid(source, name, "is not base64", medium)
    return clean


def _claimed_type(source: Fields, name: str) -> str:
    """The type that the client gives; empty if it gives none."""
    found = DATA_URL.match(source.string(name))
    claimed = found[1].partition(";")[0] if found else source.get("media_type")
    return claimed.strip().lower() if isinstance(claimed, str) else ""


def locate(
    media: Iterable[Fields], part: Mapping[str, Any], to_parts: Callable[[list[Fields]], list[Part]]
) -> str | None:
    """The path of the one of the ``media`` that becomes ``part``; ``to_parts`` is the API's own conversion."""
    for block in media:
        try:
            made = to_parts([block])
        except RequestInvalid:
            continue  # a tool's, which became a text
        if part in made:
            return block.path
    return None
