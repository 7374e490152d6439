"""Lays out text for a terminal: measures it in cells, cuts, pads, wraps and colours it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

PROSE_WIDTH = 80
MIN_PROSE_WIDTH = 20

Fragment: TypeAlias = tuple[str, str]
"""The name of a style, known to whoever paints it, and a text in that style."""

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators and bidirectional overrides."""

_WORDS = re.compile(r"(\s*)(\S+)")
_ONE_CELL_EACH = re.compile(r"[ -~\xa0-\xac\xae-\u02ff\u2026\u2500-\u259f]*")
"""ASCII, Latin letters, the ellipsis, lines and blocks: nearly everything that is ever printed."""

_ZERO_WIDTH_CATEGORIES = ("Mn", "Me", "Mc", "Cf", "Cc", "Zl", "Zp")
_VISIBLE_FORMATS = "\xad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Visible, although of category Cf: the soft hyphen, and signs that Arabic and other scripts write before numbers."""


class Style(NamedTuple):
    """How to format output. ``now`` is in seconds since the epoch; ``width`` is None in a pipe: nothing is cut."""

    now: float
    width: int | None = None
    colour: bool = False

    def paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def link(self, url: str) -> str:
        """``url``, which stays one link even if the terminal breaks its line (OSC 8)."""
        shown = plain(url)
        return f"\x1b]8;;{shown}\x1b\\{shown}\x1b]8;;\x1b\\" if self.colour else shown

    def narrower(self, columns: int) -> Style:
        """The style of a block that will be indented by ``columns``."""
        return self if self.width is None else self._replace(width=self.width - columns)

    def prose(self, text: str, indent: str = "") -> list[str]:
        """``text`` wrapped for reading, and made safe to print."""
        return wrap(plain(text), min(self.width or PROSE_WIDTH, PROSE_WIDTH), indent, indent)

    def paragraphs(self, texts: Iterable[str | None]) -> list[str]:
        """Each non-empty one of ``texts`` as prose, after an empty line."""
        return [line for text in texts if text for line in ("", *self.prose(text))]

    def wrap_line(self, line: str) -> list[str]:
        """``line``, broken between words if the terminal is too narrow for it."""
        if self.width is None or cell_width(line) <= self.width:
            return [line]
        return wrap(line, max(self.width, 40), "", " " * 8, break_words=False)


def plain(text: str) -> str:
    """``text`` on one line and without terminal control sequences, because it may come from a client."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def cell_width(text: str) -> int:
    """How many cells ``text`` takes on a terminal."""
    if _ONE_CELL_EACH.fullmatch(text):
        return len(text)
    return sum(map(_count_cells, text))


def _count_cells(character: str) -> int:
    """Counts like the package wcwidth, which is not in the standard library."""
    import unicodedata  # noqa: PLC0415 - text that needs it is rare

    if "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff" or character in "\u3164\uffa0":
        return 0  # a Hangul vowel or final consonant joins the syllable before it
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return 2  # half a flag
    if unicodedata.category(character) in _ZERO_WIDTH_CATEGORIES and character not in _VISIBLE_FORMATS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells; an ellipsis marks a cut."""
    if cell_width(text) <= width:
        return text
    return f"{_take(text, width - 1)}…" if width > 0 else ""


def cut_distinct(texts: Sequence[str], width: int) -> list[str]:
    """Each of ``texts`` cut to ``width`` cells; those that would look the same lose their beginning instead."""
    ends = [cut(text, width) for text in texts]
    return [
        end if end == text or ends.count(end) == 1 else f"…{_take_last(text, width - 1)}"
        for text, end in zip(texts, ends, strict=True)
    ]


def _take_last(text: str, width: int) -> str:
    return _take(text[::-1], width)[::-1]


def _take(text: str, width: int) -> str:
    """As many characters from the beginning of ``text`` as fit ``width`` cells."""
    if _ONE_CELL_EACH.fullmatch(text):
        return text[:width]
    for place, character in enumerate(text):
        width -= _count_cells(character)
        if width < 0:
            return text[:place]
    return text


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells, cut or filled with spaces, and aligned to the left or right."""
    text = cut(text, width)
    space = " " * (width - cell_width(text))
    return space + text if right else text + space


def wrap(text: str, width: int, indent: str, hanging: str, *, break_words: bool = True) -> list[str]:
    """``text`` on lines of at most ``width`` cells, but at least ``MIN_PROSE_WIDTH``, broken between words.

    The first line begins with ``indent``, every other line with ``hanging``. A word longer than a line is broken, or
    sticks out without ``break_words``. Spaces inside a line stay unchanged.
    """
    width = max(width, MIN_PROSE_WIDTH, cell_width(hanging) + 2)
    longest_word = width - cell_width(hanging)
    lines: list[str] = []
    line, at_start = indent, True
    for space, word in _WORDS.findall(text):
        piece = space + word
        fits = at_start or cell_width(line + piece) <= width
        if not fits and (not break_words or cell_width(word) <= longest_word):
            lines.append(line)
            line, piece = hanging, word
        while break_words and cell_width(line + piece) > width:
            head = _take(piece, width - cell_width(line))
            lines.append((line + head).rstrip())
            line, piece = hanging, piece[len(head) :].lstrip()
        line, at_start = line + piece, False
    return lines if at_start else [*lines, line]


def cut_fragments(fragments: Iterable[Fragment], width: int) -> list[Fragment]:
    """``fragments`` in at most ``width`` cells altogether."""
    fitted: list[Fragment] = []
    for style, text in fragments:
        shown = cut(text, width)
        fitted.append((style, shown))
        width -= cell_width(shown)
    return fitted
