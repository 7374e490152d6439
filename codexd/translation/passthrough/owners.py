"""Whose encrypted reasoning is whose, remembered: the backend refuses that of another account.

A Responses client gives the ciphertext back as it got it, without a place for a mark of ours. After a switch of
accounts each request of a session would else be refused once, and lose all of its reasoning in the second try.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

MAX_REMEMBERED = 20_000
"""Some two megabytes; a long session has a few hundred."""


class ReasoningOwners:
    """By ciphertext, the tag of the account that made it. What is forgotten is taken for anybody's."""

    def __init__(self, maximum: int = MAX_REMEMBERED) -> None:
        self._maximum = maximum
        self._tags: OrderedDict[bytes, str] = OrderedDict()

    def note(self, sealed: Any, account_tag: str) -> None:
        if isinstance(sealed, str) and sealed:
            self._tags[_digest(sealed)] = account_tag
            if len(self._tags) > self._maximum:
                self._tags.popitem(last=False)

    def is_foreign(self, sealed: str, account_tag: str) -> bool:
        """Whether it is known to be of another account."""
        return self._tags.get(_digest(sealed), account_tag) != account_tag


def _digest(sealed: str) -> bytes:
    return hashlib.sha256(sealed.encode("utf-8", "replace")).digest()[:16]
