"""What a request weighs: its tokens, and how many of them the prompt cache knows.

The estimate is one token for four bytes of the prompt's JSON; an image or a file weighs the same whatever
its size. The cache compares blocks of 128 tokens with those of the last prompt that had the same key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from codexd.translation.jsontext import dumps

BYTES_PER_TOKEN = 4
IMAGE_TOKENS = 765
FILE_TOKENS = 2_000
BLOCK_TOKENS = 128
_BLOCK_BYTES = BLOCK_TOKENS * BYTES_PER_TOKEN
_REMEMBERED_PROMPTS = 256


def flatten_prompt(body: dict[str, Any]) -> bytes:
    """The prompt as the model would read it: instructions, tools, then the input in its order."""
    parts = [body.get("instructions") or "", body.get("tools") or [], *body.get("input", [])]
    return b"\n".join(dumps(_weigh(part)) for part in parts)


def count_tokens(text: str | bytes) -> int:
    """Tokens of a text; at least one if there is any text."""
    size = len(text.encode("utf-8", "replace") if isinstance(text, str) else text)
    return -(-size // BYTES_PER_TOKEN)


class PromptCache:
    """Remembers the last prompt of every cache key as digests of its blocks."""

    def __init__(self) -> None:
        self._prompts: OrderedDict[tuple[str, str], tuple[bytes, ...]] = OrderedDict()

    def read(self, account_id: str, key: str | None, prompt: bytes) -> int:
        """Cached tokens of ``prompt``, a multiple of 128; remembers it for the next."""
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
    """``value`` with each image and file replaced by a text of its weight."""
    if isinstance(value, list):
        return [_weigh(child) for child in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "input_image":
        return _fill(value, IMAGE_TOKENS)
    if value.get("type") == "input_file":
        return _fill(value, FILE_TOKENS)
    return {key: _weigh(child) for key, child in value.items()}


def _fill(part: dict[str, Any], tokens: int) -> str:
    digest = hashlib.sha256(dumps(part)).hexdigest()
    size = tokens * BYTES_PER_TOKEN
    return (digest * (size // len(digest) + 1))[:size]
