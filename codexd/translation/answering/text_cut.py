"""Ending a visible text where the client asked: at a stop sequence, or after a number of tokens.

The backend accepts neither ``stop`` nor a token limit, so the text is cut on its way out. Reasoning and the arguments
of tool calls are never cut, because half a call is useless to a client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum

from codexd.translation.models.catalogue import MAX_OUTPUT_TOKENS
from codexd.translation.tokens import count_bytes, count_text


class CutReason(Enum):
    STOP_SEQUENCE = "stop_sequence"
    MAX_TOKENS = "max_tokens"


class TextCut:
    """Passes text on until the cut. ``reason`` is None until then; ``utf8_bytes`` is the size of what was passed on.

    A stop sequence may span pieces of one text, but not two texts: call ``end_text`` between them.
    """

    def __init__(self, stop_sequences: Iterable[str], max_tokens: int | None) -> None:
        self.reason: CutReason | None = None
        self.stop_sequence: str | None = None
        self.utf8_bytes = 0
        self._finder = StopFinder(stop_sequences)
        self._limit = TokenLimit(max_tokens) if max_tokens is not None else None

    def take(self, text: str) -> str:
        """What may go out now. A tail that may become a stop sequence is held back."""
        return self._pass_on(*self._finder.feed(text))

    def end_text(self) -> str:
        """What was held back."""
        return self._pass_on(*self._finder.flush())

    def _pass_on(self, text: str, stop_sequence: str | None) -> str:
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
    """The cut that a request asks for; None if it has no stop sequence and no limit below what models can write."""
    limit = max_tokens if max_tokens is not None and max_tokens < MAX_OUTPUT_TOKENS else None
    sequences = tuple(stop_sequences)
    return TextCut(sequences, limit) if sequences or limit is not None else None


class StopFinder:
    """Looks for stop sequences in one text. ``flush`` ends the text and makes the finder ready for the next one.

    The match that begins first wins; of several that begin there, the longest. The result is the same as for the whole
    text, wherever the pieces are split, so a tail that may still become a match is held back.
    """

    def __init__(self, sequences: Iterable[str]) -> None:
        self._sequences = sorted(filter(None, set(sequences)), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._sequences)) or r"(?!)")
        self._reach = max(map(len, self._sequences), default=1) - 1
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str | None]:
        """The text that may go out, and the stop sequence that ends it, if one does."""
        text = self._held + piece
        undecided = self._find_undecided(text)
        match = self._pattern.search(text)
        if match and match.start() < undecided:
            self._held = ""
            return text[: match.start()], match[0]
        self._held = text[undecided:]
        return text[:undecided], None

    def flush(self) -> tuple[str, str | None]:
        """The same for the text held back, now that nothing can follow it."""
        text, self._held = self._held, ""
        match = self._pattern.search(text)
        return (text[: match.start()], match[0]) if match else (text, None)

    def _find_undecided(self, text: str) -> int:
        """Where the longest tail that could begin a stop sequence starts."""
        for start in range(max(0, len(text) - self._reach), len(text)):
            tail = text[start:]
            if any(len(tail) < len(sequence) and sequence.startswith(tail) for sequence in self._sequences):
                return start
        return len(text)


_SEAM = re.compile(r".*[A-Za-z](?= [A-Za-z])", re.DOTALL)
"""Up to the last place where the tokenizer always starts a new word, so that both sides can be counted separately."""


class TokenLimit:
    """Passes on the first ``limit`` tokens.

    A token has at least one byte, so nothing is counted until enough bytes have arrived to exceed the limit. After each
    count, at least as many bytes must arrive as there are tokens left before the text is counted again.
    """

    def __init__(self, limit: int, count: Callable[[str], int] = count_text) -> None:
        self._count = count
        self._left = limit
        """Tokens that may follow the text that is counted for good."""
        self._pieces: list[str] = []
        self._bytes_left = limit

    def take(self, piece: str) -> tuple[str, bool]:
        """The part of ``piece`` within the limit, and whether ``piece`` exceeds it."""
        self._bytes_left -= count_bytes(piece)
        if self._bytes_left >= 0:
            self._pieces.append(piece)
            return piece, False
        before = self._settle("".join(self._pieces))
        spare = self._left - self._count(before + piece)
        if spare >= 0:
            self._pieces = [before, piece]
            self._bytes_left = spare
            return piece, False
        return piece[: self._fit(before, piece)], True

    def _settle(self, text: str) -> str:
        """Count the whole words of ``text`` for good, and return the rest."""
        seam = _SEAM.match(text)
        if not seam:
            return text
        self._left -= self._count(seam[0])
        return text[seam.end() :]

    def _fit(self, before: str, piece: str) -> int:
        """How many characters of ``piece`` fit."""
        high = 1
        while high < len(piece) and self._count(before + piece[:high]) <= self._left:
            high *= 2
        low, high = high // 2, min(high, len(piece))
        while low < high - 1:
            middle = (low + high) // 2
            if self._count(before + piece[:middle]) <= self._left:
                low = middle
            else:
                high = middle
        return low
