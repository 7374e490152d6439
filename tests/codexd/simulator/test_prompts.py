"""Token estimates and the prompt cache."""

from __future__ import annotations

from typing import Any

from codexd.simulator.prompts import (
    FILE_TOKENS,
    UNKNOWN_IMAGE_TOKENS,
    PromptCache,
    count_tokens,
    flatten_prompt,
)


def make_body(*items: Any, instructions: str = "") -> dict[str, Any]:
    return {"instructions": instructions, "input": list(items)}


def test_text_is_a_quarter_of_its_bytes() -> None:
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde", "é" * 4)] == [0, 1, 1, 2, 2]


def test_a_media_part_weighs_the_same_however_long_its_text_is() -> None:
    empty = len(flatten_prompt(make_body([])))
    for size in (10, 1_000_000):
        image = {"type": "input_image", "image_url": "x" * size}
        file = {"type": "input_file", "file_data": "x" * size}
        assert len(flatten_prompt(make_body([image]))) - empty == UNKNOWN_IMAGE_TOKENS * 4 + 2
        assert len(flatten_prompt(make_body([file]))) - empty == FILE_TOKENS * 4 + 2


def test_the_cache_knows_what_was_common_to_the_last_prompt() -> None:
    cache = PromptCache()
    first = flatten_prompt(make_body("a" * 1_000, instructions="i" * 3_000))
    second = flatten_prompt(make_body("a" * 1_000, "b" * 1_000, instructions="i" * 3_000))
    other = flatten_prompt(make_body(instructions="j" * 3_000))
    assert cache.read("account", "k", first) == 0
    assert cache.read("account", "k", second) == 7 * 128
    assert cache.read("account", "k", second) == len(second) // 512 * 128
    assert cache.read("account", "other", second) == 0
    assert cache.read("foreign", "k", second) == 0
    assert cache.read("account", None, second) == 0
    assert cache.read("account", "k", other) == 0
