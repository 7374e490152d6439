"""What the backend does with a prompt: how it counts tokens, what it caches, and what it encrypts.

The estimate is one token per four bytes of the prompt's JSON. An image counts by its size (measured: 77 tokens for
256x256, 1,229 for 1024x1024, 2,448 for 1920x1080), and every file counts the same. The cache compares blocks of 128
tokens with those of the last prompt that had the same key.

Encrypted content (reasoning, or a compacted history) is opaque to clients and bound to the account that it was made
for. Nothing is stored: the text contains a digest of its account and one of itself, so that a restarted simulator still
recognises its own content, and can tell another account's from garbage.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import math
import struct
from collections import OrderedDict
from enum import Enum
from typing import Any

import imagesize

from codexd.jsontext import dumps

BYTES_PER_TOKEN = 4
TOKENS_PER_PATCH = 1.2
PATCH_PIXELS = 32
MAX_PATCHES = 10_000
UNKNOWN_IMAGE_TOKENS = 1_844
FILE_TOKENS = 2_000
BLOCK_TOKENS = 128
_BLOCK_BYTES = BLOCK_TOKENS * BYTES_PER_TOKEN
_REMEMBERED_PROMPTS = 256


def flatten_prompt(body: dict[str, Any]) -> bytes:
    """The prompt as the model would read it: instructions, tools, and the input in order."""
    parts = [body.get("instructions") or "", body.get("tools") or [], *body.get("input", [])]
    text = b"\n".join(dumps(_weigh(part)) for part in parts)
    return text.replace(b"\\n", b"\n").replace(b'\\"', b'"')  # the model reads a line feed, not its escape


def count_tokens(text: str | bytes) -> int:
    """Tokens of a text: at least one, unless the text is empty."""
    size = len(text.encode("utf-8", "replace") if isinstance(text, str) else text)
    return -(-size // BYTES_PER_TOKEN)


class PromptCache:
    """Remembers the last prompt of every cache key as digests of its blocks."""

    def __init__(self) -> None:
        self._prompts: OrderedDict[tuple[str, str], tuple[bytes, ...]] = OrderedDict()

    def read(self, account_id: str, key: str | None, prompt: bytes) -> int:
        """Cached tokens of ``prompt``, a multiple of 128; remembers the prompt for the next request."""
        if not key:
            return 0
        blocks = _digest_blocks(prompt)
        previous = self._prompts.pop((account_id, key), ())
        self._prompts[account_id, key] = blocks
        if len(self._prompts) > _REMEMBERED_PROMPTS:
            self._prompts.popitem(last=False)
        return BLOCK_TOKENS * _count_common(previous, blocks)


def _digest_blocks(prompt: bytes) -> tuple[bytes, ...]:
    whole = len(prompt) // _BLOCK_BYTES
    blocks = (prompt[index * _BLOCK_BYTES : (index + 1) * _BLOCK_BYTES] for index in range(whole))
    return tuple(hashlib.sha256(block).digest()[:8] for block in blocks)


def _count_common(previous: tuple[bytes, ...], blocks: tuple[bytes, ...]) -> int:
    pairs = enumerate(zip(previous, blocks, strict=False))
    return next((index for index, (old, new) in pairs if old != new), min(len(previous), len(blocks)))


def _weigh(value: Any) -> Any:
    """``value`` with each image, file and piece of reasoning replaced by a text of as many tokens."""
    if isinstance(value, list):
        return [_weigh(child) for child in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "input_image":
        return _fill(value, _count_image(str(value.get("image_url"))))
    if value.get("type") == "reasoning":
        return _fill(value, _count_reasoning(value.get("encrypted_content")))
    if value.get("type") == "input_file":
        return _fill(value, FILE_TOKENS)
    return {key: _weigh(child) for key, child in value.items()}


def _count_image(url: str) -> int:
    try:
        width, height = imagesize.get(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    except (ValueError, struct.error):
        return UNKNOWN_IMAGE_TOKENS
    if width <= 0 or height <= 0:
        return UNKNOWN_IMAGE_TOKENS
    patches: int = -(-width // PATCH_PIXELS) * -(-height // PATCH_PIXELS)
    return math.ceil(TOKENS_PER_PATCH * min(patches, MAX_PATCHES))


def _count_reasoning(ciphertext: Any) -> int:
    """The official client's estimate: base64 of the reasoning and some 650 bytes around it."""
    size = len(ciphertext) * 3 // 4 - 650 if isinstance(ciphertext, str) else 0
    return max(0, size) // BYTES_PER_TOKEN


def _fill(part: dict[str, Any], tokens: int) -> str:
    digest = hashlib.sha256(dumps(part)).hexdigest()
    size = tokens * BYTES_PER_TOKEN
    return (digest * (size // len(digest) + 1))[:size]


_HEAD = "gAAAA"
_ACCOUNT_BYTES = 12
_FILLING_BYTES = 64
_CHECK_BYTES = 8


class Seal(Enum):
    """Who a piece of encrypted content belongs to."""

    OWN = "own"
    FOREIGN = "foreign"
    BROKEN = "broken"


def seal_reasoning(account_id: str, item_id: str) -> str:
    """The encrypted reasoning of one item. The same item always gets the same text."""
    content = _mark_account(account_id) + hashlib.sha512(item_id.encode()).digest()[:_FILLING_BYTES]
    return _HEAD + base64.urlsafe_b64encode(content + _check(content)).decode()


def read_seal(sealed: str, account_id: str) -> Seal:
    """Whether ``sealed`` belongs to ``account_id``."""
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
