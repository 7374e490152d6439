"""Whose encrypted reasoning is whose, remembered: the backend refuses that of another account.

A Responses client gives the ciphertext back as it got it, without a place for a mark of ours. After a switch of
accounts each request of a session would else be refused once, and lose all of its reasoning in the second try.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

MAX_REMEMBERED = 20_000
"""Of either kind, some two megabytes; a long session has a few hundred."""


class ReasoningOwners:
    """Which ciphertexts an account can't read. What is forgotten is taken for anybody's."""

    def __init__(self, maximum: int = MAX_REMEMBERED) -> None:
        self._maximum = maximum
        self._makers: OrderedDict[bytes, str] = OrderedDict()
        """By ciphertext, the tag of the account that made it."""
        self._refused: OrderedDict[tuple[bytes, str], None] = OrderedDict()

    def note(self, sealed: Any, account_tag: str) -> None:
        """The account made it."""
        if isinstance(sealed, str) and sealed:
            self._makers[_digest(sealed)] = account_tag
            self._bound(self._makers)

    def note_refused(self, sealed: str, account_tag: str) -> None:
        """It is among those that the backend refused of the account, one of which at least it could not read."""
        if self._makers.get(_digest(sealed)) != account_tag:
            self._refused[_digest(sealed), account_tag] = None
            self._bound(self._refused)

    def is_foreign(self, sealed: str, account_tag: str) -> bool:
        """Whether it is known that the account can't read it."""
        digest = _digest(sealed)
        return self._makers.get(digest, account_tag) != account_tag or (digest, account_tag) in self._refused

    def _bound(self, memory: OrderedDict[Any, Any]) -> None:
        if len(memory) > self._maximum:
            memory.popitem(last=False)


def _digest(sealed: str) -> bytes:
    return hashlib.sha256(sealed.encode("utf-8", "replace")).digest()[:16]
