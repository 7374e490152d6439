"""Ending a Messages answer where the client asked: in the outgoing events, where text blocks are in order.

Thinking and tool arguments pass unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from codexd.translation.answering.text_cut import CutReason, TextCut
from codexd.translation.client_api import Event


class MessageCut:
    """Passes events on until the cut."""

    def __init__(self, text: TextCut) -> None:
        self._text = text
        self._start: Event | None = None
        """The start of a text block whose text is still held back: the cut may come before any of it."""
        self._after_text: list[Event] = []
        """Citations of that block, which must follow the text they belong to."""
        self._in_text = False

    @property
    def reason(self) -> CutReason | None:
        return self._text.reason

    @property
    def stop_sequence(self) -> str | None:
        return self._text.stop_sequence

    @property
    def utf8_bytes(self) -> int:
        """The size of the text that went out."""
        return self._text.utf8_bytes

    def pass_on(self, events: Iterable[Event]) -> list[Event]:
        """The part of ``events`` that may go out. If the cut is in it, the last one closes the block."""
        passed: list[Event] = []
        for event in events:
            if self.reason is not None:
                break
            match event["type"]:
                case "content_block_start":
                    self._open(event, passed)
                case "content_block_delta" if event["delta"]["type"] == "text_delta":
                    self._pass_text(self._text.take(event["delta"]["text"]), event["index"], passed)
                case "content_block_stop":
                    self._close(event, passed)
                case _:
                    (passed if self._start is None else self._after_text).append(event)
        return passed

    def _open(self, event: Event, passed: list[Event]) -> None:
        self._in_text = event["content_block"]["type"] == "text"
        if self._in_text:
            self._start = event
        else:
            passed.append(event)

    def _close(self, event: Event, passed: list[Event]) -> None:
        if self._in_text:
            self._pass_text(self._text.end_text(), event["index"], passed)
        if self.reason is None:
            passed.append(event)

    def _pass_text(self, text: str, index: int, passed: list[Event]) -> None:
        if text:
            if self._start is not None:
                passed.append(self._start)
            delta = {"type": "text_delta", "text": text}
            passed.append({"type": "content_block_delta", "index": index, "delta": delta})
            passed += self._after_text
            self._start, self._after_text = None, []
        if self.reason is not None and self._start is None:
            passed.append({"type": "content_block_stop", "index": index})
