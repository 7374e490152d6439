"""The end of a visible text that the client asked for: at a stop sequence or at a number of tokens.

The backend knows neither. Source: anthropic-translation.md 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from codexd.translation.answering.stop_sequences import StopFinder
from codexd.translation.answering.text_size import count_bytes
from codexd.translation.answering.token_limit import TokenLimit
from codexd.translation.models.routes import MAX_OUTPUT_TOKENS


class CutReason(Enum):
    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"


class TextCut:
    """Lets text through until the cut. ``reason`` is None before it; ``utf8_bytes`` of text went through.

    A match may span pieces, but not texts: ``end_text`` is between two of them.
    """

    def __init__(self, stop_sequences: Iterable[str], max_tokens: int | None) -> None:
        self.reason: CutReason | None = None
        self.stop_sequence: str | None = None
        self.utf8_bytes = 0
        self._finder = StopFinder(stop_sequences)
        self._limit = TokenLimit(max_tokens) if max_tokens is not None else None

    def take(self, text: str) -> str:
        """What may go out now: some of the text may be held back, as it may turn out to be a stop sequence."""
        return self._let_through(*self._finder.feed(text))

    def end_text(self) -> str:
        """What was held back."""
        return self._let_through(*self._finder.flush())

    def _let_through(self, text: str, stop_sequence: str | None) -> str:
        too_long = False
        if text and self._limit is not None:
            text, too_long = self._limit.take(text)
        self.utf8_bytes += count_bytes(text)
        if too_long:
            self.reason = CutReason.MAX_TOKENS
        elif stop_sequence is not None:
            self.reason, self.stop_sequence = CutReason.STOP_SEQUENCE, stop_sequence
        return text


def make_cut(stop_sequences: Iterable[str], max_tokens: int | None) -> TextCut | None:
    """The cut that a request asks for; None if there can be none, as no model writes so much."""
    limit = max_tokens if max_tokens is not None and max_tokens < MAX_OUTPUT_TOKENS else None
    sequences = tuple(stop_sequences)
    return TextCut(sequences, limit) if sequences or limit is not None else None
