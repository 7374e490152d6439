"""Items that the backend began and did not finish: some answers end without ``response.output_item.done``.

The hot path only keeps the pieces of their texts; they are put together when the answer ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from codexd.translation.answering.output_items import (
    DELTAS,
    WHOLE,
    OutputItem,
    OutputReader,
    PartKey,
    came_late,
    find_rest,
    list_texts,
)
from codexd.translation.backend import count_of, text_of
from codexd.translation.client_api import Event

_ABOUT_ITEMS = ("response.output_item.added", "response.content_part.done", "response.output_text.annotation.added")
_DETAILS = frozenset({*_ABOUT_ITEMS, *WHOLE})

_Place = tuple[Any, Any, Any, Any, Any]
"""What identifies a text in events: their type, item id, output index, and the indexes of either kind of part."""


class UnfinishedItems:
    """What the backend has sent of each item until the item is done."""

    def __init__(self) -> None:
        self._pieces: dict[_Place, list[str]] = {}
        self._details: list[Event] = []
        self._done: list[tuple[Any, int]] = []
        """Id and place of each item that is done."""
        self._current: list[str] = []
        """The pieces that grew last, and what identifies their text."""
        self._kind: str | None = None
        self._item_id: Any = None
        self._content_index: Any = None
        self._summary_index: Any = None

    def add_delta(self, event: Event, kind: str, delta: str) -> None:
        """More of a text.

        Raises:
            StreamBroken: its item was done already.
        """
        get = event.get
        item_id, content_index, summary_index = get("item_id"), get("content_index"), get("summary_index")
        if (
            item_id
            and item_id == self._item_id
            and kind == self._kind
            and content_index == self._content_index
            and summary_index == self._summary_index
        ):
            self._current.append(delta)  # nearly always: more of the same text
            return
        place = (kind, item_id, get("output_index"), content_index, summary_index)
        if kind in DELTAS and self._is_done(item_id, place[2]):
            raise came_late()
        try:
            self._current = self._pieces.setdefault(place, [])
        except TypeError:
            return  # an index that is a list or an object: the event names no item
        self._current.append(delta)
        self._kind, self._item_id, _, self._content_index, self._summary_index = place

    def add_detail(self, event: Event, kind: str) -> None:
        if kind in WHOLE:
            self._compare_text(event, kind)
        if kind in _DETAILS and not self._is_done(_id_of(event), event.get("output_index")):
            self._details.append(event)

    def _is_done(self, named: Any, index: Any) -> bool:
        """Whether an event with this item id and output index is about an item that is done; no if it has neither."""
        if named is None and index is None:
            return False
        return any(_is_of(named, index, item_id, place) for item_id, place in self._done)

    def _compare_text(self, event: Event, kind: str) -> None:
        delta_kind = kind.removesuffix("done") + "delta"
        get = event.get
        place = (delta_kind, get("item_id"), get("output_index"), get("content_index"), get("summary_index"))
        try:
            pieces = self._pieces.get(place, [])
        except TypeError:
            return  # as in ``add_delta``
        _, field = WHOLE[kind]
        find_rest("".join(pieces), text_of(get(field)))

    def compare(self, item: Mapping[str, Any], place: int) -> None:
        """The item that is done must have the texts that were streamed, apart from a tail that did not come.

        Raises:
            StreamBroken: it has others.
        """
        streamed: dict[PartKey, str] = {}
        for key, pieces in self._pieces.items():
            kind, named, index, content_index, summary_index = key
            text = DELTAS.get(kind)
            if text is not None and text.item_type == item.get("type") and _is_of(named, index, item.get("id"), place):
                part_index = content_index if text.index_field == "content_index" else summary_index
                streamed[text.kind, count_of(part_index)] = "".join(pieces)
        for part, whole in list_texts(item):
            find_rest(streamed.get(part, ""), whole)

    def finish(self, item_id: Any, place: int) -> None:
        """The item is done: forget its pieces."""
        self._done.append((item_id, place))
        self._kind = None
        self._pieces = {
            key: pieces for key, pieces in self._pieces.items() if not _is_of(key[1], key[2], item_id, place)
        }
        self._details = [
            event for event in self._details if not _is_of(_id_of(event), event.get("output_index"), item_id, place)
        ]

    def complete(self, status: str) -> list[tuple[int | None, dict[str, Any]]]:
        """The items, each with its place in the output if events name it, and with the ``status`` of the answer."""
        if not self._pieces and not self._details:
            return []
        first: list[Event] = []
        reader: OutputReader[_Item] = OutputReader({kind: partial(make, kind) for kind, make in _MAKERS.items()})
        added = [event for event in self._details if event["type"] == _ABOUT_ITEMS[0]]
        others = [event for event in self._details if event["type"] != _ABOUT_ITEMS[0]]
        for event in (*added, *map(_to_event, self._pieces, self._pieces.values()), *others):
            reader.receive(event)
            first += [event] * (len(reader.items) - len(first))
        made = [(event, item.make(status)) for event, item in zip(first, reader.items, strict=True)]
        return [(_place_of(event), {**_name(event), **item}) for event, item in made if item is not None]


def _is_of(named: Any, index: Any, item_id: Any, place: int) -> bool:
    """Whether an event that names an item by id and index is about the one with this id and place."""
    return index == place if isinstance(index, int) else named == item_id


def _id_of(event: Event) -> Any:
    item = event.get("item")
    return event.get("item_id") or (item.get("id") if isinstance(item, dict) else None)


def _place_of(event: Event) -> int | None:
    index = event.get("output_index")
    return index if isinstance(index, int) else None


def _name(event: Event) -> dict[str, Any]:
    return {"id": event["item_id"]} if isinstance(event.get("item_id"), str) else {}


def _to_event(place: _Place, pieces: list[str]) -> Event:
    kind, item_id, output_index, content_index, summary_index = place
    where = {"content_index": content_index, "summary_index": summary_index}
    return {"type": kind, "item_id": item_id, "output_index": output_index, **where, "delta": "".join(pieces)}


class _Item(OutputItem):
    """An item put together from what came of it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.type = kind
        self._begun: dict[str, Any] = {}
        self._texts: dict[PartKey, list[str]] = {}
        self._annotations: dict[int, list[Mapping[str, Any]]] = {}

    def begin(self, item: Mapping[str, Any]) -> None:
        self._begun = dict(item)

    def add_text(self, part: PartKey, text: str) -> None:
        self._seen.add(part, text)
        self._texts.setdefault(part, []).append(text)

    def add_annotation(self, index: int, annotation: Mapping[str, Any]) -> None:
        known = self._annotations.setdefault(index, [])
        if annotation not in known:
            known.append(annotation)

    def make(self, status: str) -> dict[str, Any] | None:
        """The item; None if nothing came of it but its announcement."""
        fields = self._list_fields()
        return {**self._begun, "type": self.type, "status": status, **fields} if fields else None

    def _list_fields(self) -> dict[str, Any]:
        raise NotImplementedError

    def _list_texts(self) -> list[tuple[PartKey, str]]:
        return sorted((part, "".join(pieces)) for part, pieces in self._texts.items())


class _Message(_Item):
    def _list_fields(self) -> dict[str, Any]:
        texts = sorted(self._list_texts(), key=lambda found: found[0][1])
        content = [self._to_part(kind, index, text) for (kind, index), text in texts]
        return {"role": "assistant", "content": content} if content else {}

    def _to_part(self, kind: str, index: int, text: str) -> dict[str, Any]:
        if kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self._annotations.get(index, []), "logprobs": []}


class _Reasoning(_Item):
    def _list_fields(self) -> dict[str, Any]:
        texts = self._list_texts()
        summary = [{"type": "summary_text", "text": text} for (kind, _), text in texts if kind == "summary"]
        content = [{"type": "reasoning_text", "text": text} for (kind, _), text in texts if kind == "text"]
        sealed = text_of(self._begun.get("encrypted_content"))
        shown = {"summary": summary, **({"content": content} if content else {})}
        return shown if texts or sealed else {}


class _Call(_Item):
    """A call needs the name and the call id from its announcement."""

    def _list_fields(self) -> dict[str, Any]:
        if not self._begun.get("name") or not self._begun.get("call_id"):
            return {}
        key = "arguments" if self.type == "function_call" else "input"
        return {key: "".join(text for _, text in self._list_texts()) or ("{}" if key == "arguments" else "")}


_MAKERS: Mapping[str, Callable[[str], _Item]] = {
    "message": _Message,
    "reasoning": _Reasoning,
    "function_call": _Call,
    "custom_tool_call": _Call,
}
