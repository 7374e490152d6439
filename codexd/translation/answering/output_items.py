"""The output items of an answer: which item each event of the backend belongs to, and what is new in it.

Events name their item by its id, or else by call id or output index. ``.done`` events and the terminal event's
``output`` repeat what deltas brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from codexd.translation.backend import count_of, object_of, objects_of, text_of
from codexd.translation.client_api import Event
from codexd.translation.tokens import count_bytes

PartKey = tuple[str, int]
"""Identifies a text within an item: its kind and its index."""


class SeenParts:
    """How much of each text has arrived, so that a ``.done`` event adds only what is missing."""

    def __init__(self) -> None:
        self.utf8_bytes = 0
        self._chars: dict[PartKey, int] = {}

    def add(self, part: PartKey, text: str) -> None:
        self._chars[part] = self._chars.get(part, 0) + len(text)
        self.utf8_bytes += len(text) if text.isascii() else count_bytes(text)  # the hot path: no call for ASCII

    def missing(self, part: PartKey, text: str) -> str:
        return text[self.chars(part) :]

    def chars(self, part: PartKey) -> int:
        return self._chars.get(part, 0)

    def is_new(self, part: PartKey) -> bool:
        return part not in self._chars

    def __len__(self) -> int:
        return len(self._chars)


class OutputItem:
    """One item, as a client API presents it. Each kind overrides what it needs; ``type`` is the backend's."""

    type: str

    def __init__(self) -> None:
        self._seen = SeenParts()

    @property
    def utf8_bytes(self) -> int:
        """The size of its texts."""
        return self._seen.utf8_bytes

    def begin(self, item: Mapping[str, Any]) -> None:
        """The item was added; ``item`` is not complete yet."""

    def add_text(self, part: PartKey, text: str) -> None:
        """More of the text ``part``."""

    def complete_text(self, part: PartKey, text: str) -> None:
        """``text`` is the whole text of ``part``."""
        self.add_text(part, self._seen.missing(part, text))

    def complete_part(self, index: int, part: Mapping[str, Any]) -> None:
        """Content part ``index`` of a message is complete, with its annotations."""
        kind = "refusal" if part.get("type") == "refusal" else "text"
        self.complete_text((kind, index), text_of(part.get(kind)))
        for annotation in objects_of(part.get("annotations")):
            self.add_annotation(index, annotation)

    def add_annotation(self, index: int, annotation: Mapping[str, Any]) -> None:
        """An annotation of content part ``index``. Each may come up to four times."""

    def finish(self, item: Mapping[str, Any]) -> None:
        """The item is done; ``item`` is complete and may hold more than the deltas did. This may be called twice."""


T = TypeVar("T", bound=OutputItem)


class ItemQueue(Generic[T]):
    """Items that go out one at a time, in the order of their first appearance."""

    def __init__(self) -> None:
        self.all: list[T] = []
        self._at = 0

    @property
    def current(self) -> T | None:
        """The item that goes out now; None if all are done."""
        return self.all[self._at] if self._at < len(self.all) else None

    def add(self, item: T) -> T:
        self.all.append(item)
        return item

    def next(self) -> None:
        """The current item is done."""
        self._at += 1


@frozen
class _Text:
    """A kind of text in events: the type of its item, the text's own kind, and the field that holds its index."""

    item_type: str
    kind: str
    index_field: str = ""


_ANSWER = _Text("message", "text", "content_index")
_REFUSAL = _Text("message", "refusal", "content_index")
_SUMMARY = _Text("reasoning", "summary", "summary_index")
_ARGUMENTS = _Text("function_call", "arguments")
_INPUT = _Text("custom_tool_call", "input")

_DELTAS: Mapping[str, _Text] = {
    "response.output_text.delta": _ANSWER,
    "response.function_call_arguments.delta": _ARGUMENTS,
    "response.custom_tool_call_input.delta": _INPUT,
    "response.reasoning_summary_text.delta": _SUMMARY,
    "response.reasoning_text.delta": _Text("reasoning", "text", "content_index"),
    "response.refusal.delta": _REFUSAL,
}
_WHOLE: Mapping[str, tuple[_Text, str]] = {
    "response.output_text.done": (_ANSWER, "text"),
    "response.function_call_arguments.done": (_ARGUMENTS, "arguments"),
    "response.custom_tool_call_input.done": (_INPUT, "input"),
    "response.reasoning_summary_text.done": (_SUMMARY, "text"),
    "response.refusal.done": (_REFUSAL, "refusal"),
}
"""Event type -> the text, and the field that holds all of it."""


class OutputReader(Generic[T]):
    """Passes each event on to its item.

    ``makers``, by type, make an item when it first appears. Items of other types are ignored.
    """

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self.items: list[T] = []
        self._makers = makers
        self._by_key: dict[str | int, T] = {}
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.content_part.done": self._part_done,
            "response.output_text.annotation.added": self._annotated,
        }

    def receive(self, event: Event) -> bool:
        """Whether ``event`` is about an item."""
        kind = event["type"]
        if kind in _DELTAS:
            self._add_delta(event, _DELTAS[kind])
        elif kind in _WHOLE:
            self._complete_text(event, *_WHOLE[kind])
        elif kind in self._handlers:
            self._handlers[kind](event)
        else:
            return False
        return True

    def end(self, response: Mapping[str, Any]) -> None:
        """The answer is over; ``response`` is the terminal event's."""
        for index, item in enumerate(objects_of(response.get("output"))):
            self._done({"output_index": index, "item": item})

    def count_bytes(self, *kinds: type[OutputItem]) -> int:
        return sum(item.utf8_bytes for item in self.items if isinstance(item, kinds))

    # -- events -----------------------------------------------------------------------------------

    def _add_delta(self, event: Event, text: _Text) -> None:
        item = self._find(event, {}, text.item_type)
        if item is not None:
            item.add_text((text.kind, count_of(event.get(text.index_field))), text_of(event.get("delta")))

    def _complete_text(self, event: Event, text: _Text, field: str) -> None:
        item = self._find(event, {}, text.item_type)
        if item is not None:
            item.complete_text((text.kind, count_of(event.get(text.index_field))), text_of(event.get(field)))

    def _added(self, event: Event) -> None:
        described = object_of(event.get("item"))
        item = self._find(event, described, text_of(described.get("type")))
        if item is not None:
            item.begin(described)

    def _done(self, event: Event) -> None:
        described = object_of(event.get("item"))
        item = self._find(event, described, text_of(described.get("type")))
        if item is not None:
            item.finish(described)

    def _part_done(self, event: Event) -> None:
        part = object_of(event.get("part"))
        if part.get("type") not in ("output_text", "refusal"):
            return
        item = self._find(event, {}, "message")
        if item is not None:
            item.complete_part(count_of(event.get("content_index")), part)

    def _annotated(self, event: Event) -> None:
        item = self._find(event, {}, "message")
        if item is not None:
            item.add_annotation(count_of(event.get("content_index")), object_of(event.get("annotation")))

    # -- items ------------------------------------------------------------------------------------

    def _find(self, event: Event, described: Mapping[str, Any], item_type: str) -> T | None:
        """The item that ``event`` is about and describes; None if its type is not ``item_type``."""
        item_id = event.get("item_id")
        found = self._by_key.get(item_id) if isinstance(item_id, str) else None
        if found is None:
            found = self._look_up(_list_keys(event, described), item_type)
        return found if found is not None and found.type == item_type else None

    def _look_up(self, keys: list[str | int], item_type: str) -> T | None:
        found = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if found is None:
            make = self._makers.get(item_type)
            if make is None:
                return None
            found = make()
            self.items.append(found)
        for key in keys:
            self._by_key.setdefault(key, found)
        return found


def _list_keys(event: Event, described: Mapping[str, Any]) -> list[str | int]:
    """The keys that identify the item, the most reliable first."""
    names = (text_of(key) for key in (described.get("id"), event.get("item_id"), described.get("call_id")))
    index = event.get("output_index")
    return [*filter(None, names), *([index] if isinstance(index, int) else [])]
