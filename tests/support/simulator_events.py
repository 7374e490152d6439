"""A reply of the simulated backend, played."""

from __future__ import annotations

from typing import Any

from codexd.simulator.events import Cut, Pause, ResponseContext, play
from codexd.simulator.scripts import parse_reply


def make_context(**changes: Any) -> ResponseContext:
    given: dict[str, Any] = {
        "response_id": "resp_1",
        "model": "gpt-5.5",
        "created_at": 1_795_000_000,
        "account_id": "account-own",
        "input_tokens": 120,
        "cached_tokens": 64 * 2,
        "delta_chars": 3,
        "request": {"include": ["reasoning.encrypted_content"]},
    }
    return ResponseContext(**{**given, **changes})


def run(reply: dict[str, Any], **changes: Any) -> list[Any]:
    return list(play(parse_reply(reply), make_context(**changes)))


def shorten(steps: list[Any]) -> list[str]:
    """``type`` without ``response.``, with the output index and the delta where there is one."""
    short = []
    for step in steps:
        if isinstance(step, Pause | Cut):
            short.append(type(step).__name__)
            continue
        parts = [step["type"].removeprefix("response.")]
        parts += [str(step["output_index"])] if "output_index" in step else []
        parts += [step["delta"]] if "delta" in step else []
        short.append(" ".join(parts))
    return short


TWO_CALLS = [
    {"call": {"name": "a", "arguments": "123456", "call_id": "call_a"}},
    {"call": {"name": "b", "arguments": "78", "call_id": "call_b"}},
]
