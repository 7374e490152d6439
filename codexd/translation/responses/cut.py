"""The client's end of an answer, ``max_output_tokens``, in the events that go out: the backend takes no limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd.translation.answering import text_cut
from codexd.translation.answering.text_cut import TextCut
from codexd.translation.backend import count_of, object_of, text_of
from codexd.translation.client_api import Event


class EventCut:
    """Follows the events of an answer, and knows how to close the message in which its text becomes too long."""

    def __init__(self, text: TextCut) -> None:
        self._text = text
        self._items: dict[str, Mapping[str, Any]] = {}
        """By their ids, the items that began."""
        self._texts: dict[str, dict[int, list[str]]] = {}
        """By item id and content index, the pieces of each text so far."""

    def receive_event(self, event: Event) -> list[Event] | None:
        """The last events of the message if ``event`` takes its text over the limit; else None."""
        if event["type"] == "response.output_item.added":
            item = object_of(event.get("item"))
            self._items[text_of(item.get("id"))] = item
        if event["type"] != "response.output_text.delta":
            return None
        text = self._text.take(text_of(event.get("delta")))
        texts = self._texts.setdefault(text_of(event.get("item_id")), {})
        texts.setdefault(count_of(event.get("content_index")), []).append(text)
        return self._close(event, text) if self._text.reason is not None else None

    def _close(self, event: Event, text: str) -> list[Event]:
        item_id = text_of(event.get("item_id"))
        pieces = self._texts[item_id]
        parts = [_to_part("".join(part)) for part in pieces.values()]
        place: Event = {name: event[name] for name in ("item_id", "output_index", "content_index") if name in event}
        part = _to_part("".join(pieces[count_of(event.get("content_index"))]))
        item = {**self._items.get(item_id, {}), "status": "incomplete", "content": parts}
        return [
            *([{**event, "delta": text}] if text else []),
            _number({"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}),
            _number({"type": "response.content_part.done", **place, "part": part}),
            _number({"type": "response.output_item.done", "output_index": event.get("output_index"), "item": item}),
        ]


def _to_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _number(event: Event) -> Event:
    """With a number that the stream will set right."""
    return {**event, "sequence_number": 0}


def make_cut(max_tokens: int | None) -> EventCut | None:
    """The cut that a request asks for; None if there can be none."""
    text = text_cut.make_cut((), max_tokens)
    return EventCut(text) if text is not None else None
