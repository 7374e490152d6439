"""What ``codexctl doctor`` prints. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from codexctl.render.format import Json, counted
from codexctl.render.text import PROSE_WIDTH, Style, plain, wrap

LEVEL_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "problem": "red"}
TAG_CELLS = 9


def report(result: Json, style: Style) -> list[str]:
    """Every finding under the title of its section, each with what mends it, and how many are wrong."""
    lines = []
    for section in result["sections"]:
        if section["findings"]:
            lines += [style.paint(section["title"], "bold")]
            lines += [line for finding in section["findings"] for line in _finding(finding, style)]
            lines += [""]
    return lines + [line for text in _summary(result) for line in style.prose(text)]


def _finding(finding: Json, style: Style) -> list[str]:
    level, indent = finding["level"], " " * (TAG_CELLS + 2)
    width = min(style.width or PROSE_WIDTH, PROSE_WIDTH)
    first, *others = wrap(plain(finding["text"]), width, indent, indent, break_words=False)
    tag = style.paint(f"{level:{TAG_CELLS - 1}}", LEVEL_COLOURS.get(level))
    lines = [f"  {tag} {first.lstrip()}", *others]
    if finding["remedy"]:
        lines.append(f"{indent}{style.paint('$', 'dim')} {plain(finding['remedy'])}")  # whole, to be copied
    return lines


def _summary(result: Json) -> Iterator[str]:
    levels = Counter(finding["level"] for section in result["sections"] for finding in section["findings"])
    wrong = [counted(levels[level], level) for level in ("problem", "warning") if levels[level]]
    yield f"{' and '.join(wrong)} found." if wrong else "Nothing is wrong."
    if not result["network"]:
        yield "No server was contacted; `codexctl doctor --network` also checks whether OpenAI's can be reached."
    if result["bundle"]:
        yield f"Everything is in {plain(result['bundle'])}, without secrets. Read it before you send it to anyone."
