"""The end that the client asked for: at a stop sequence or at a number of tokens. The backend knows neither.

Works on the events that go out, so it sees each text block whole and in order; thinking and tool
arguments pass. Source: anthropic-translation.md 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from codexd.translation.client_api import Event
from codexd.translation.models import MAX_OUTPUT_TOKENS
from codexd.translation.stop_sequences import StopFinder
from codexd.translation.text_size import count_bytes
from codexd.translation.token_limit import TokenLimit


class CutReason(Enum):
    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"


class TextCut:
    """Passes events on until the cut. ``reason`` is None before it; ``utf8_bytes`` of text went out."""

    def __init__(self, stop_sequences: Iterable[str], max_tokens: int | None) -> None:
        self.reason: CutReason | None = None
        self.stop_sequence: str | None = None
        self._finder = StopFinder(stop_sequences)
        self._limit = TokenLimit(max_tokens) if max_tokens is not None else None
        self.utf8_bytes = 0
        self._start: Event | None = None
        """Of a text block of which nothing went out: it may turn out to have no text before the cut."""
        self._in_text = False

    def pass_on(self, events: Iterable[Event]) -> list[Event]:
        """What of ``events`` may go out; the last one closes the block if the cut is in it."""
        passed: list[Event] = []
        for event in events:
            if self.reason is not None:
                break
            match event["type"]:
                case "content_block_start":
                    self._open(event, passed)
                case "content_block_delta" if event["delta"]["type"] == "text_delta":
                    self._pass_text(*self._finder.feed(event["delta"]["text"]), event["index"], passed)
                case "content_block_stop":
                    self._close(event, passed)
                case _:
                    self._release_start(passed)
                    passed.append(event)
        return passed

    def _open(self, event: Event, passed: list[Event]) -> None:
        self._in_text = event["content_block"]["type"] == "text"
        if self._in_text:
            self._start = event
        else:
            passed.append(event)

    def _close(self, event: Event, passed: list[Event]) -> None:
        if self._in_text:
            self._pass_text(*self._finder.flush(), event["index"], passed)
        if self.reason is None:
            passed.append(event)

    def _pass_text(self, text: str, stop_sequence: str | None, index: int, passed: list[Event]) -> None:
        too_long = False
        if text and self._limit is not None:
            text, too_long = self._limit.take(text)
        if text:
            self._release_start(passed)
            self.utf8_bytes += count_bytes(text)
            delta = {"type": "text_delta", "text": text}
            passed.append({"type": "content_block_delta", "index": index, "delta": delta})
        if too_long:
            self._end(CutReason.MAX_TOKENS, None, index, passed)
        elif stop_sequence is not None:
            self._end(CutReason.STOP_SEQUENCE, stop_sequence, index, passed)

    def _end(self, reason: CutReason, stop_sequence: str | None, index: int, passed: list[Event]) -> None:
        self.reason, self.stop_sequence = reason, stop_sequence
        if self._start is None:
            passed.append({"type": "content_block_stop", "index": index})

    def _release_start(self, passed: list[Event]) -> None:
        if self._start is not None:
            passed.append(self._start)
            self._start = None


def make_cut(stop_sequences: Iterable[str], max_tokens: int | None) -> TextCut | None:
    """The cut that a request asks for; None if there can be none, as no model writes so much."""
    limit = max_tokens if max_tokens is not None and max_tokens < MAX_OUTPUT_TOKENS else None
    sequences = tuple(stop_sequences)
    return TextCut(sequences, limit) if sequences or limit is not None else None
