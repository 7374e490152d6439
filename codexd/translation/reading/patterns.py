"""Regular expressions of JSON schemas: which of them the backend accepts.

The backend compiles each pattern with Python's ``re``, although a schema's patterns are written for ECMAScript, and
refuses look-around, which its engine for structured output does not have.
"""

from __future__ import annotations

import re
from functools import lru_cache

from codexd import bounds

MAX_PATTERN_CHARS = 1000
MAX_GROUPS = 50
"""Python compiles groups inside each other by recursion."""

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_CLASS = re.compile(r"\[[^\]]*\]")
_FOREIGN_ESCAPES = frozenset(f"\\{char}" for char in "123456789AZzaNUkpPc")
"""Back references, Unicode properties, and what means something else, or nothing, in Python or in ECMAScript."""
_FOREIGN = re.compile(r"\(\?(?!:)|[*+?}]\+|\[|\{,\d*\}")
"""Look-around, named groups, flags and other extensions; a possessive quantifier; a class without an end; a quantifier
without a minimum, which ECMAScript takes for plain text."""
_FOREIGN_IN_CLASS = re.compile(r"^\[\[|^\[\^?\]|--|&&|\|\||~~")
"""An empty class, and operations on classes, which engines read differently."""


@lru_cache(maxsize=bounds.PATTERNS)
def is_plain(pattern: str) -> bool:
    """Whether ``pattern`` means the same in ECMAScript and in Python, and has nothing that the backend refuses."""
    if len(pattern) > MAX_PATTERN_CHARS or not _FOREIGN_ESCAPES.isdisjoint(_ESCAPE.findall(pattern)):
        return False
    literal = _ESCAPE.sub("x", pattern)
    outside = _CLASS.sub("x", literal)
    if any(map(_FOREIGN_IN_CLASS.search, _CLASS.findall(literal))) or _FOREIGN.search(outside):
        return False
    if outside.count("(") > MAX_GROUPS:
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError):
        return False
    return True
