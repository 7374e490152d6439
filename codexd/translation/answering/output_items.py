"""The output items of an answer: which item each event of the backend belongs to, and what is new in it.

Events name their item by its id, or else by call id or output index. ``.done`` events and the terminal event's
``output`` repeat what deltas brought.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from codexd import bounds, jsontext
from codexd.errors import StreamBroken
from codexd.translation.backend import count_of, object_of, objects_of, text_of
from codexd.translation.client_api import Event
from codexd.translation.tokens import count_bytes

PartKey = tuple[str, int]
"""Identifies a text within an item: its kind and its index."""


class SeenParts:
    """The texts that have arrived: a ``.done`` event adds only what is missing, and must not say anything else.

    A client gets the parts of an item one after the other, so each has to be complete before the next one begins. Of an
    item with more than ``bounds.COMPARED_BYTES``, only the lengths are known from then on.
    """

    def __init__(self) -> None:
        self.utf8_bytes = 0
        self._pieces: dict[PartKey, list[str]] = {}
        self._forgotten_chars: dict[PartKey, int] = {}
        self._part: PartKey | None = None
        self._growing: list[str] = []
        """The pieces of ``_part``, the last part that grew."""

    def add(self, part: PartKey, text: str) -> None:
        """More of ``part``.

        Raises:
            StreamBroken: a later part has begun in the meantime.
        """
        if part != self._part:
            kind, index = part
            if any(known == kind and at >= index for known, at in self._pieces):
                raise StreamBroken("the backend mixed up the parts of its answer", status=200)
            self._part = part
            self._growing = self._pieces[part] = []
        self._growing.append(text)
        self.utf8_bytes += len(text) if text.isascii() else count_bytes(text)  # the hot path: no call for ASCII
        if self.utf8_bytes > bounds.COMPARED_BYTES:
            self._forget()

    def _forget(self) -> None:
        for part, pieces in self._pieces.items():
            self._forgotten_chars[part] = self.chars(part)
            pieces.clear()

    def missing(self, part: PartKey, text: str) -> str:
        """What has not arrived of ``text``, the whole of ``part``.

        Raises:
            StreamBroken: the text is not the one that has arrived.
        """
        seen = "".join(self._pieces.get(part, ()))
        if part not in self._forgotten_chars:
            return find_rest(seen, text)
        if 0 < len(text) < self.chars(part):
            raise _differs()
        return text[self.chars(part) :]

    def compare(self, part: PartKey, text: str) -> None:
        """``text``, which is not empty, repeats the whole of ``part``.

        Raises:
            StreamBroken: it says something else.
        """
        if part not in self._forgotten_chars:
            check_same("".join(self._pieces.get(part, ())), text)
        elif len(text) != self.chars(part):
            raise _differs()

    def chars(self, part: PartKey) -> int:
        return self._forgotten_chars.get(part, 0) + sum(map(len, self._pieces.get(part, ())))

    def is_new(self, part: PartKey) -> bool:
        return part not in self._pieces

    def __len__(self) -> int:
        return len(self._pieces)


def find_rest(seen: str, whole: str) -> str:
    """What has not arrived of ``whole``, of which ``seen`` has. An empty text says nothing.

    A tail may be missing: what the client has is right, and the rest is known.

    Raises:
        StreamBroken: the text is not the one that has arrived.
    """
    if not whole or whole.startswith(seen):
        return whole[len(seen) :]
    check_same(seen, whole)
    return ""


def check_same(seen: str, whole: str) -> None:
    """Compare a text with its repetition. The backend may have tidied that: no content is lost in between.

    Raises:
        StreamBroken: they differ in more than white space at either end, their Unicode form, or the layout of JSON.
    """
    if seen != whole and _tidy(seen) != _tidy(whole) and not _is_same_json(seen, whole):
        raise _differs()


def _differs() -> StreamBroken:
    return StreamBroken("the backend lost or repeated a part of its answer on the way", status=200)


def came_late() -> StreamBroken:
    """The error for a delta of an item that was done."""
    return StreamBroken("the backend went on with a part of its answer that it had ended", status=200)


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


def _is_same_json(first: str, second: str) -> bool:
    try:
        return first.lstrip()[:1] in ("{", "[") and bool(jsontext.loads(first) == jsontext.loads(second))
    except ValueError:
        return False


def check_repeated(done: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    """``item`` repeats ``done``, if they have the same type.

    Raises:
        StreamBroken: one of its texts says something else.
    """
    known = dict(list_texts(done)) if done.get("type") == item.get("type") else {}
    for part, text in list_texts(item):
        check_same(known.get(part, text), text)


def list_texts(item: Mapping[str, Any]) -> Iterator[tuple[PartKey, str]]:
    """The texts of a complete item. An empty one says nothing, and is left out."""
    for (kind, index), text in _list_all_texts(item):
        if text:
            yield (kind, index), text


def _list_all_texts(item: Mapping[str, Any]) -> Iterator[tuple[PartKey, str]]:
    for name in _TEXT_FIELDS.get(text_of(item.get("type")), ()):
        yield (name, 0), text_of(item.get(name))
    for name in _PART_FIELDS.get(text_of(item.get("type")), ()):
        for index, part in enumerate(objects_of(item.get(name))):
            kind = "summary" if name == "summary" else "refusal" if part.get("type") == "refusal" else "text"
            yield (kind, index), text_of(part.get("refusal" if kind == "refusal" else "text"))


_TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {"function_call": ("arguments",), "custom_tool_call": ("input",)}
_PART_FIELDS: Mapping[str, tuple[str, ...]] = {"message": ("content",), "reasoning": ("summary", "content")}


class OutputItem:
    """One item, as a client API presents it. Each kind overrides what it needs; ``type`` is the backend's."""

    type: str
    is_done = False
    """Whether its last event has come."""

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

    def compare(self, item: Mapping[str, Any]) -> None:
        """``item`` is repeated after its end, and must be the same.

        Raises:
            StreamBroken: a text is another one.
        """
        for part, text in list_texts(item):
            may_be_hidden = self.type == "reasoning" and self._seen.is_new(part)
            if not may_be_hidden:
                self._seen.compare(part, text)

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
class TextKind:
    """A kind of text in events: the type of its item, the text's own kind, and the field that holds its index."""

    item_type: str
    kind: str
    index_field: str = ""


_ANSWER = TextKind("message", "text", "content_index")
_REFUSAL = TextKind("message", "refusal", "content_index")
_SUMMARY = TextKind("reasoning", "summary", "summary_index")
_REASONING = TextKind("reasoning", "text", "content_index")
_ARGUMENTS = TextKind("function_call", "arguments")
_INPUT = TextKind("custom_tool_call", "input")

DELTAS: Mapping[str, TextKind] = {
    "response.output_text.delta": _ANSWER,
    "response.function_call_arguments.delta": _ARGUMENTS,
    "response.custom_tool_call_input.delta": _INPUT,
    "response.reasoning_summary_text.delta": _SUMMARY,
    "response.reasoning_text.delta": _REASONING,
    "response.refusal.delta": _REFUSAL,
}
WHOLE: Mapping[str, tuple[TextKind, str]] = {
    "response.output_text.done": (_ANSWER, "text"),
    "response.function_call_arguments.done": (_ARGUMENTS, "arguments"),
    "response.custom_tool_call_input.done": (_INPUT, "input"),
    "response.reasoning_summary_text.done": (_SUMMARY, "text"),
    "response.reasoning_text.done": (_REASONING, "text"),
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
        if kind in DELTAS:
            self._add_delta(event, DELTAS[kind])
        elif kind in WHOLE:
            self._complete_text(event, *WHOLE[kind])
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

    def _add_delta(self, event: Event, text: TextKind) -> None:
        item = self._find(event, {}, text.item_type)
        if item is not None:
            if item.is_done:
                raise came_late()
            item.add_text((text.kind, count_of(event.get(text.index_field))), text_of(event.get("delta")))

    def _complete_text(self, event: Event, text: TextKind, field: str) -> None:
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
            item.is_done = True

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
