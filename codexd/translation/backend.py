"""The Responses API as the Codex backend speaks it: events, usage, and what its errors mean.

The wire format is described in codexd/upstream/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from attrs import frozen

from codexd import jsontext
from codexd.errors import StreamBroken

TERMINAL = frozenset({"response.completed", "response.done", "response.incomplete", "response.failed", "error"})
"""A stream that ends without one of these events was cut off."""

SEALED_REASONING = "reasoning.encrypted_content"

COMPACTION_TRIGGER = "compaction_trigger"
"""The type of the last item of a request that asks for a summary of the conversation instead of an answer."""

LITE_HEADER = "x-openai-internal-codex-responses-lite"
"""Marks a body in the form of Responses Lite."""


@frozen
class Usage:
    """Tokens of one response. ``input_tokens`` includes the cached ones, and ``output_tokens`` the reasoning."""

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def make_body(model: str, instructions: str, items: list[dict[str, Any]], cache_key: str) -> dict[str, Any]:
    """The fields of every request: the backend stores nothing, always streams, and encrypts its reasoning."""
    return {
        "model": model,
        "instructions": instructions,
        "input": items,
        "store": False,
        "stream": True,
        "include": [SEALED_REASONING],
        "prompt_cache_key": cache_key,
    }


def needs_answer(body: Mapping[str, Any]) -> bool:
    """Whether the model has to say something: after a tool result, it may end its turn without a word."""
    since = takewhile(lambda item: item.get("role") != "assistant", reversed(body["input"]))
    return not any(text_of(item.get("type")).endswith("_output") for item in since)


def parse_event(data: bytes) -> dict[str, Any] | None:
    """The event in one frame's data; None for the ``[DONE]`` mark and for JSON that is not an event.

    The type of an event is printable, so it may go into the event line of a client's stream as it is.

    Raises:
        StreamBroken: not JSON, or nested too deeply.
    """
    if data == b"[DONE]":
        return None
    try:
        event = jsontext.loads_shallow(data)
    except ValueError as wrong:
        raise StreamBroken(f"the backend sent an event that is not JSON: {wrong}", status=200) from None
    kind = event.get("type") if isinstance(event, dict) else None
    return event if isinstance(kind, str) and kind.isprintable() else None


def read_usage(usage: Any) -> Usage | None:
    """The ``usage`` of a response object, or None if it has none. Any part of it may be missing."""
    if not isinstance(usage, dict):
        return None
    inputs = object_of(usage.get("input_tokens_details"))
    outputs = object_of(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=count_of(usage.get("input_tokens")),
        cached_tokens=count_of(inputs.get("cached_tokens")),
        cache_write_tokens=count_of(inputs.get("cache_write_tokens")),
        output_tokens=count_of(usage.get("output_tokens")),
        reasoning_tokens=count_of(outputs.get("reasoning_tokens")),
    )


# -- fields of an event, in which a value of the wrong type counts as missing ---------------------


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def object_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, each in its place; anything that is not an object becomes an empty object."""
    return [object_of(item) for item in value] if isinstance(value, list) else []
