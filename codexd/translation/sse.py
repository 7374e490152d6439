"""Server-sent events: bytes to events and back.

They are parsed as bytes, because splitting decoded text into lines would also split JSON at U+2028 and the like. Only
the ``data`` field matters: the events of every API here repeat their type inside the JSON.
Source: the WHATWG HTML standard, section 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd import bounds, jsontext
from codexd.errors import StreamBroken

COMMENT = b": ping\n"
"""Only shows that the stream is alive.

No blank line follows: openai-go until 2026-03 and openai-python take one for the end of an event, and fail on its empty
data (openai/openai-go#621, openai/openai-python#2722).
"""

_BOM = b"\xef\xbb\xbf"


class Decoder:
    """Cuts a byte stream into events, however the bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._ended_in_cr = False
        self._started = False

    def receive_data(self, data: bytes) -> list[bytes]:
        """The ``data`` of each event that ``data`` completes; events without data are left out.

        Raises:
            StreamBroken: an event grew over ``bounds.EVENT_BYTES``.
        """
        self._buffer += self._to_line_feeds(data)
        if not self._started:
            self._skip_bom()
        events = []
        start = 0
        end = self._buffer.find(b"\n\n", max(self._scanned - 1, 0))
        while end != -1:
            payload = _read_block(bytes(self._buffer[start:end]))
            if payload:
                events.append(payload)
            start = end + 2
            end = self._buffer.find(b"\n\n", start)
        del self._buffer[:start]
        self._scanned = len(self._buffer)
        if self._scanned > bounds.EVENT_BYTES:
            raise StreamBroken(f"the backend sent an event of more than {bounds.EVENT_BYTES} bytes")
        return events

    def receive_eof(self) -> list[bytes]:
        """The last event of a stream that ended without its blank line."""
        payload = _read_block(bytes(self._buffer))
        self._buffer.clear()
        self._scanned = 0
        return [payload] if payload else []

    def _to_line_feeds(self, data: bytes) -> bytes:
        """Turn every line end into LF; a CR LF may be split between two calls."""
        if self._ended_in_cr and data:
            data = data.removeprefix(b"\n")
            self._ended_in_cr = False
        if b"\r" in data:
            self._ended_in_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _skip_bom(self) -> None:
        if len(self._buffer) < len(_BOM) and _BOM.startswith(bytes(self._buffer)):
            return  # it may still become one
        self._started = True
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]


def _read_block(block: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def encode(event: Mapping[str, Any]) -> bytes:
    """``event`` as one frame, with its ``type`` in the event line, which SDKs require."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), jsontext.dumps(event))


def encode_data(event: Mapping[str, Any]) -> bytes:
    """``event`` as one frame without an event line, as in Chat Completions."""
    return b"data: %b\n\n" % jsontext.dumps(event)
