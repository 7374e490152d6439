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

Event = dict[str, Any]

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


class EventParser:
    """Parses the frames of one answer."""

    def __init__(self) -> None:
        self._joiner = SurrogateJoiner()

    def parse(self, data: bytes) -> list[Event]:
        """The event in one frame's data, with what was held back before it.

        There is none in the ``[DONE]`` mark and in JSON that is not an event. The type of an event is printable, so it
        may go into the event line of a client's stream as it is.

        Raises:
            StreamBroken: not JSON, or nested too deeply.
        """
        if data == b"[DONE]":
            return []
        try:
            event, may_be_cut = jsontext.loads_with_surrogates(data)
        except ValueError as wrong:
            raise StreamBroken(f"the backend sent an event that is not JSON: {wrong}", status=200) from None
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or not kind.isprintable():
            return []
        return self._joiner.join(event) if may_be_cut or self._joiner.holds_any else [event]


class SurrogateJoiner:
    """Joins pairs of surrogates that were cut between two deltas of a text. What stays alone becomes U+FFFD."""

    def __init__(self) -> None:
        self._held: dict[str, Event] = {}
        """By text, a delta of half a pair."""

    @property
    def holds_any(self) -> bool:
        return bool(self._held)

    def join(self, event: Event) -> list[Event]:
        """``event`` without half a pair at its end, and before it what can't become a pair anymore."""
        delta = event.get("delta")
        if isinstance(delta, str):
            return [self._join_delta(event, delta)]
        return [*self._release(event), jsontext.scrub(event)]

    def _join_delta(self, event: Event, delta: str) -> Event:
        name = repr([event.get(field) for field in _NAMES_OF_TEXT])
        held = self._held.pop(name, None)
        delta = (held["delta"] if held else "") + delta
        if "\ud800" <= delta[-1:] <= "\udbff":
            self._held[name] = {**event, "delta": delta[-1]}
            delta = delta[:-1]
        made: Event = jsontext.scrub({**event, "delta": delta})
        return made

    def _release(self, event: Event) -> list[Event]:
        if not event["type"].endswith(".done") and event["type"] not in TERMINAL:
            return []
        item_id = event.get("item_id")
        ended = [name for name, held in self._held.items() if item_id in (None, held.get("item_id"))]
        return [jsontext.scrub(self._held.pop(name)) for name in ended]


_NAMES_OF_TEXT = ("type", "item_id", "output_index", "content_index", "summary_index")
"""The fields of a delta that say which text it belongs to."""


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
