"""An address as a QR code on the terminal, to be opened on a phone."""

from __future__ import annotations

from itertools import pairwise

BORDER = 2
"""Light modules around the code. The standard has four, but readers manage with two."""

_BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m"  # whatever the colours of the terminal are
_RESET = "\x1b[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def qr_code(text: str, columns: int, rows: int) -> list[str]:
    """``text`` as lines, two modules to a character; none if it does not fit into ``columns`` and ``rows``."""
    import segno  # noqa: PLC0415 - it takes 10 ms, and is rarely needed

    modules = [list(row) for row in segno.make_qr(text, error="l", boost_error=False).matrix_iter(border=BORDER)]
    size = len(modules)
    if size > columns or (size + 1) // 2 > rows:
        return []
    modules.append([0] * size)  # the size is odd
    pairs = list(pairwise(modules))[::2]
    lines = [
        "".join(_HALVES[upper, lower] for upper, lower in zip(above, below, strict=True)) for above, below in pairs
    ]
    return [f"{_BLACK_ON_WHITE}{line}{_RESET}" for line in lines]
