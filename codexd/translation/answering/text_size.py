"""How large a text is, where counting its tokens would cost too much."""

from __future__ import annotations

import math


def count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def estimate_tokens(utf8_bytes: int) -> int:
    """Some four bytes a token. Whole answers are not kept for counting them: one may be of any length."""
    return math.ceil(utf8_bytes / 4)
