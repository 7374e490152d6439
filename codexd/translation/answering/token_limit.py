"""Where a text that comes in pieces passes a number of tokens. Source: anthropic-translation.md 2.6."""

from __future__ import annotations

import re
from collections.abc import Callable

from codexd.translation.answering.text_size import count_bytes
from codexd.translation.tokens import count_text

_SEAM = re.compile(r".*[A-Za-z](?= [A-Za-z])", re.DOTALL)
"""Up to the last place where the tokenizer begins a new word whatever follows: both sides count alone."""


class TokenLimit:
    """Lets the first ``limit`` tokens through.

    A token has at least one byte. So nothing is counted until the bytes could be too many, and after
    a count not before as many bytes came as there are tokens left.
    """

    def __init__(self, limit: int, count: Callable[[str], int] = count_text) -> None:
        self._count = count
        self._left = limit
        """Tokens that may follow the text counted for good."""
        self._pieces: list[str] = []
        self._bytes_left = limit

    def take(self, piece: str) -> tuple[str, bool]:
        """What of ``piece`` is within the limit, and whether it passes the limit."""
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
        """Count the whole words of ``text`` for good; what is left of it."""
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
