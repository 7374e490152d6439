"""Removing secrets from texts and values, recognized by their shape or their name.

Numbers stay, whatever their name: ``input_tokens=1234`` is a count. In a text, so does any value with a plural name
(``max_tokens: must be an integer``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
MAX_DEPTH = 8
"""The deepest nesting of a logged value; anything deeper becomes its ``str``."""

_SECRET_SHAPES = re.compile(
    r"""(?x) (?: (?<![A-Za-z0-9_-]) | (?<=%[0-9A-Fa-f]{2}) ) (?:   # also after a percent-encoded character
        eyJ[\w-]{8,} (?:\.[\w-]*){0,2}      # a JWT: base64url of '{"'
      | rt[_.][\w.-]{8,}                    # an OpenAI refresh token
      | gAAAA[\w=-]{8,}                     # Fernet: encrypted reasoning
      | sk-[\w-]{16,}                       # an API key
    )
    """
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{12,}")
_URL_CODE = re.compile(r"(?i)((?:[?&]|%3F|%26)(?:code|state)(?:=|%3D))[^&\s\"']+")
_NAMES = r"token(?!s|iz)|authorization|api[_-]?key|secret|password|cookie|code_verifier"
_WORDS = "it|is|a|an|the|this|that|and|or|not|no|if|as|in|of|to|for|with|was|must|has|have|can|may|should"
"""A word after a colon, in an error about a field, is not a secret."""

_NAMED = re.compile(
    rf"""(?xi)
    ( (?:{_NAMES}) [\w-]{{0,40}}           # the end of a name
      (?: \\*["']?\s*[:=]\s* | ["']\s*,\s* | (?:%2[27])?%3[AD] )   # \" in JSON inside JSON; percent-encoded
      (?!\[redacted\]) [\[(]? )   # name=value, "name": value, ('name', value), "name": [value]
    (?! (?:\d+|null|none|true|false|(?<=\s)(?:{_WORDS})) (?:[\s"',;&)}}\]] | $) )
    (?: \\*b?"[^"\n]*" | b?'[^'\n]*' | (?:(?:bearer|basic)\s+)? [^\s"',;&)}}\]]+ )
    """
)
_SECRET_KEY = re.compile(rf"(?i){_NAMES}|tokens$")
_SEPARATOR = re.compile(r"[:=,%?&\s]")
"""Every pattern with a name needs one of these between the name and the secret."""


def redact(text: str) -> str:
    """``text`` with each secret replaced by ``[redacted]``."""
    if _SEPARATOR.search(text):  # most texts are a single word, for which three patterns can be skipped
        for pattern in (_NAMED, _BEARER, _URL_CODE):
            text = pattern.sub(_keep_name, text)
    return _SECRET_SHAPES.sub(REDACTED, text)


def _keep_name(found: re.Match[str]) -> str:
    """A function, because ``re`` looks up a template on every call, which costs more than the search."""
    return found[1] + REDACTED


def redact_value(value: Any, depth: int = 0) -> Any:
    """``value`` as plain JSON without secrets."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return redact(value)
        case Mapping() if depth < MAX_DEPTH:
            return {redact(str(key)): _redact_item(str(key), item, depth + 1) for key, item in value.items()}
        case list() | tuple() if depth < MAX_DEPTH:
            return [redact_value(item, depth + 1) for item in value]
    return redact(str(value))


def _redact_item(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, str | bytes) and _SECRET_KEY.search(key):
        return REDACTED
    return redact_value(value, depth)
