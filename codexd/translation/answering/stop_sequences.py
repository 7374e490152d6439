"""Where a text that comes in pieces meets a stop sequence. Source: anthropic-translation.md 2.6."""

from __future__ import annotations

import re
from collections.abc import Iterable


class StopFinder:
    """Looks for stop sequences in one text; ``flush`` at its end, then it is ready for the next.

    The match that begins first counts, the longest at a tie: the same as in the whole text, wherever
    the pieces are cut. So a tail that may still become such a match is held back.
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
        """The same for what was held back: nothing can follow it."""
        text, self._held = self._held, ""
        match = self._pattern.search(text)
        return (text[: match.start()], match[0]) if match else (text, None)

    def _find_undecided(self, text: str) -> int:
        """Where the first tail begins that is a stop sequence but for its end."""
        for start in range(max(0, len(text) - self._reach), len(text)):
            tail = text[start:]
            if any(len(tail) < len(sequence) and sequence.startswith(tail) for sequence in self._sequences):
                return start
        return len(text)
