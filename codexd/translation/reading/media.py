"""Images and PDFs in base64: whether they can be read, and what they really are.

The backend refuses a request with a broken image or PDF, and the client sends it again with every later turn. So they
are decoded here first. What was found is remembered by digest, so that a history that is sent again costs a hash.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

from attrs import frozen

from codexd import bounds, jsontext

MEDIA_MARK = b"base64"
"""In every body with media. The JSON of such a body is read outside the event loop, because images are decoded."""

PDF_TYPE = "application/pdf"

MAX_PIXELS = 100_000_000
"""Of an image. Larger ones are bombs, or too large for any model."""
MAX_DECODED_PIXELS = 25_000_000
"""An image with more is not decoded, which would take hundreds of megabytes; only its structure is checked."""

_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
NOT_AN_IMAGE = "is not a PNG, JPEG, GIF or WebP image"
_OPENED = ("PNG", "JPEG", "GIF", "WEBP")
"""Pillow opens a JPEG with several pictures as MPO."""
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"BM"), "a BMP image"),
    (re.compile(rb"II\*\0|MM\0\*"), "a TIFF image"),
    (re.compile(rb".{4}ftyp(?:heic|heix|hevc|mif1|msf1|heim|heis)", re.DOTALL), "a HEIC image"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "an AVIF image"),
    (re.compile(rb"\x00\x00\x01\x00"), "an icon"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!DOCTYPE svg|svg)", re.IGNORECASE), "an SVG image"),
)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, struct.error)
"""What Pillow raises for images that it can't read."""

DATA_URL = re.compile(r"\s*data:([^,]*);base64,", re.IGNORECASE)
_CLEAN = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_PDF_HEAD_BYTES = 1024
_PDF_TAIL_BYTES = 2048


class Medium(Enum):
    IMAGE = "image"
    DOCUMENT = "document"


@frozen
class Finding:
    """What a base64 text holds: its media type, or the problem with it.

    ``frame`` is set for an animation: the base64 of its first frame, as PNG.
    """

    media_type: str = ""
    problem: str = ""
    frame: str | None = None


class Findings:
    """Remembers what was found, by digest. Images are decoded in several threads at once."""

    def __init__(self, max_entries: int = bounds.MEDIA, max_chars: int = bounds.MEDIA_CHARS) -> None:
        self._max_entries, self._max_chars = max_entries, max_chars
        self._found: OrderedDict[bytes, Finding] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: bytes) -> Finding | None:
        return self._found.get(key)

    def put(self, key: bytes, finding: Finding) -> None:
        with self._lock:
            if key in self._found:
                return
            self._found[key] = finding
            self._chars += len(finding.frame or "")
            while len(self._found) > self._max_entries or self._chars > self._max_chars:
                _, forgotten = self._found.popitem(last=False)
                self._chars -= len(forgotten.frame or "")


FINDINGS = Findings()


def find_image(text: str) -> Finding:
    """What the base64 ``text`` holds as an image; ``clean_base64`` made it."""
    return _remember(Medium.IMAGE, text)


def find_pdf(text: str) -> Finding:
    """The same as a PDF."""
    return _remember(Medium.DOCUMENT, text)


def clean_base64(text: str) -> str | None:
    """``text`` in the one form that the backend accepts; None if it is not base64.

    Some clients break lines, use the alphabet for URLs, leave out the padding, or write a data URL.
    """
    if len(text) % 4 == 0 and _CLEAN.fullmatch(text):
        return text
    url = DATA_URL.match(text)
    data = text[url.end() :] if url else text
    if not data.isascii():
        return None
    digits = b"".join(data.encode().split()).translate(_URL_SAFE).rstrip(b"=")
    if _NOT_BASE64.search(digits) or len(digits) % 4 == 1:
        return None
    return (digits + b"=" * (-len(digits) % 4)).decode()


def look_ahead(value: Any) -> None:
    """Look at all media in the JSON ``value`` of a request, so that translating it finds everything in memory."""
    for medium, text in _list_media(value):
        clean = clean_base64(text)
        if clean:
            _remember(medium, clean)


def _list_media(value: Any) -> Iterator[tuple[Medium, str]]:
    left = [value]
    while left:
        current = left.pop()
        if isinstance(current, dict):
            for name, child in current.items():
                if isinstance(child, str):
                    yield from _medium_of(current, name, child)
                    left.append(load_parts(child) if name == "content" else None)
                else:
                    left.append(child)
        elif isinstance(current, list):
            left.extend(current)


def load_parts(text: str) -> list[Any] | None:
    """The list in a JSON text that speaks of images, as some clients send a tool's result; None for any other text."""
    if not text.lstrip().startswith("[") or "image" not in text:
        return None
    try:
        value = jsontext.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def _medium_of(owner: dict[str, Any], name: str, text: str) -> Iterator[tuple[Medium, str]]:
    match name:
        case "data" if owner.get("type") == "base64":
            yield (Medium.DOCUMENT if owner.get("media_type") == PDF_TYPE else Medium.IMAGE), text
        case "url" | "image_url" if DATA_URL.match(text):
            yield Medium.IMAGE, text


def _remember(medium: Medium, text: str) -> Finding:
    digest = hashlib.sha256(medium.value.encode())
    digest.update(text.encode())
    key = digest.digest()
    found = FINDINGS.get(key)
    if found is None:
        data = base64.b64decode(text)
        found = _look_at_image(data) if medium is Medium.IMAGE else _look_at_pdf(data)
        FINDINGS.put(key, found)
    return found


# -- images ---------------------------------------------------------------------------------------


@cache
def _pillow() -> Any:
    from PIL import Image, WebPImagePlugin  # noqa: F401, PLC0415 - only a daemon that sees images pays for it

    Image.MAX_IMAGE_PIXELS = None  # Pillow would only warn; the limit is ``MAX_PIXELS``
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # about odd metadata
    return Image


def _look_at_image(data: bytes) -> Finding:
    if not data:
        return Finding(problem="must not be empty")
    try:
        with _pillow().open(io.BytesIO(data), formats=_OPENED) as image:
            return _decode(image)
    except _BROKEN:
        return _name_problem(data)


def _decode(image: Any) -> Finding:
    """The finding for an image whose header is good.

    Raises:
        one of ``_BROKEN``: the rest is not.
    """
    width, height = image.size
    media_type = _FORMATS[image.format]
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        return Finding(problem=f"has {width} x {height} pixels: image dimensions exceed {limit} megapixels")
    if min(width, height) < 1:
        return Finding(problem="has no pixels")
    if width * height > MAX_DECODED_PIXELS:
        image.verify()
        return Finding(media_type)
    if image.format != "PNG" and getattr(image, "is_animated", False) and image.format != "MPO":
        return Finding(media_type, frame=_take_first_frame(image))
    image.draft(image.mode, (1, 1))  # a JPEG is then decoded at an eighth of its size, which finds the same faults
    image.load()
    return Finding(media_type)


def _take_first_frame(image: Any) -> str:
    image.seek(0)
    frame = io.BytesIO()
    image.convert("RGBA").save(frame, "PNG")
    return base64.b64encode(frame.getvalue()).decode()


def _name_problem(data: bytes) -> Finding:
    other = next((name for pattern, name in _OTHERS if pattern.match(data)), None)
    if other:
        return Finding(problem=f"{NOT_AN_IMAGE}, but {other}")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")):
        return Finding(problem="is broken or cut off")
    return Finding(problem=NOT_AN_IMAGE)


# -- PDFs -----------------------------------------------------------------------------------------


def _look_at_pdf(data: bytes) -> Finding:
    """Check the first and the last bytes: a PDF that was cut off lacks its end."""
    if not data:
        return Finding(problem="must not be empty")
    if b"%PDF-" not in data[:_PDF_HEAD_BYTES]:
        return Finding(problem="is not a PDF")
    if b"%%EOF" not in data[-_PDF_TAIL_BYTES:]:
        return Finding(problem="is cut off")
    return Finding(PDF_TYPE)
