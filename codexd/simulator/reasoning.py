"""Encrypted reasoning: opaque to a client, and bound to the account that it was made for.

Nothing is kept: the text carries a digest of its account and one of itself, so that a restarted
simulator still knows its own and tells a foreign one from garbage.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from enum import Enum

_HEAD = "gAAAA"
_ACCOUNT_BYTES = 12
_FILLING_BYTES = 64
_CHECK_BYTES = 8


class Seal(Enum):
    """What a piece of encrypted reasoning turned out to be."""

    OWN = "own"
    FOREIGN = "foreign"
    BROKEN = "broken"


def seal_reasoning(account_id: str, item_id: str) -> str:
    """The encrypted reasoning of one item, the same for the same item."""
    content = _mark_account(account_id) + hashlib.sha512(item_id.encode()).digest()[:_FILLING_BYTES]
    return _HEAD + base64.urlsafe_b64encode(content + _check(content)).decode()


def read_seal(sealed: str, account_id: str) -> Seal:
    """Whose reasoning it is, as seen from ``account_id``."""
    if not sealed.startswith(_HEAD):
        return Seal.BROKEN
    try:
        raw = base64.b64decode(sealed.removeprefix(_HEAD), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return Seal.BROKEN
    content, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if _check(content) != check:
        return Seal.BROKEN
    return Seal.OWN if content.startswith(_mark_account(account_id)) else Seal.FOREIGN


def _mark_account(account_id: str) -> bytes:
    return hashlib.sha256(account_id.encode()).digest()[:_ACCOUNT_BYTES]


def _check(content: bytes) -> bytes:
    return hashlib.sha256(b"simulated" + content).digest()[:_CHECK_BYTES]
