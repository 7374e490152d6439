"""Compressed request bodies, by the ``Content-Encoding`` header (RFC 9110, section 8.4).

The Codex CLI sends zstd with a ChatGPT login and OpenAI's own provider.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from codexd import bounds
from codexd.errors import RequestInvalid, RequestTooLarge

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError


_ZSTD_OPTIONS: Mapping[int, int] = {DecompressionParameter.window_log_max: bounds.BODY_BYTES.bit_length() - 1}
"""A frame can't make the decompressor take more memory than the largest body has."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_DECOMPRESSORS: Mapping[str, Callable[[], _Decompressor]] = {
    "gzip": partial(zlib.decompressobj, 16 + zlib.MAX_WBITS),
    "deflate": partial(zlib.decompressobj, zlib.MAX_WBITS),
    "zstd": partial(ZstdDecompressor, options=_ZSTD_OPTIONS),
}


def read_encodings(header: str) -> list[str]:
    """The encodings of a ``Content-Encoding`` header, in the order in which they were applied; empty for none.

    Raises:
        RequestInvalid: one of them is not supported, or there are too many.
    """
    named = [name.strip().lower().removeprefix("x-") for name in header.split(",")]
    encodings = [name for name in named if name not in ("", "identity")]
    for name in encodings:
        if name not in _DECOMPRESSORS:
            known = ", ".join(_DECOMPRESSORS)
            raise RequestInvalid("", f"Content-Encoding {name!r} is not supported; send {known} or no compression")
    if len(encodings) > bounds.BODY_ENCODINGS:
        raise RequestInvalid("", f"Content-Encoding must not name more than {bounds.BODY_ENCODINGS} encodings")
    return encodings


def decompress(body: bytes, encodings: list[str]) -> bytes:
    """``body`` without its ``encodings``. This may take a while: call it in a thread.

    Raises:
        RequestTooLarge: larger than ``bounds.BODY_BYTES``.
        RequestInvalid: the body is not compressed as declared.
    """
    for name in reversed(encodings):
        body = _decompress(body, name)
    return body


def _decompress(body: bytes, encoding: str) -> bytes:
    frames: list[bytes] = []
    room = bounds.BODY_BYTES
    while body or not frames:
        if len(frames) == bounds.BODY_FRAMES:
            raise RequestInvalid("", f"the {encoding} body has more than {bounds.BODY_FRAMES} frames")
        frame, body = _decompress_frame(body, encoding, room)
        frames.append(frame)
        room -= len(frame)
    return b"".join(frames)


def _decompress_frame(body: bytes, encoding: str, room: int) -> tuple[bytes, bytes]:
    """The content of the first frame, and what follows the frame."""
    decompressor = _DECOMPRESSORS[encoding]()
    try:
        plain = decompressor.decompress(body, room + 1)
    except (zlib.error, ZstdError):
        raise RequestInvalid("", f"the body is not {encoding}, as its Content-Encoding says") from None
    if len(plain) > room:
        raise too_large()
    if not decompressor.eof:
        raise RequestInvalid("", f"the {encoding} body is cut short")
    return plain, decompressor.unused_data


def too_large() -> RequestTooLarge:
    return RequestTooLarge(f"Request exceeds the maximum size of {bounds.BODY_BYTES // (1024 * 1024)} MB")
