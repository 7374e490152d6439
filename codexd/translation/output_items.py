"""Bookkeeping of an answer's output items, for the streams of all client APIs.

Source: anthropic-translation.md 2.2: items are known by their id, else by their call id or output index, and
``.done`` events repeat what deltas brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from codexd.translation.client_api import Event
from codexd.translation.responses import text_of
from codexd.translation.text_size import count_bytes

PartKey = tuple[str, int]
"""A part of an item: its kind and its index."""

T = TypeVar("T")


class ItemRegister(Generic[T]):
    """What was made for each item, in the order of first appearance."""

    def __init__(self) -> None:
        self.all: list[T] = []
        self._by_key: dict[str | int, T] = {}

    def find(self, event: Event, item: Mapping[str, Any], make: Callable[[], T]) -> T:
        """What stands for the item that ``event`` is about; ``make`` makes it at the item's first appearance."""
        item_id = event.get("item_id")
        if isinstance(item_id, str) and item_id in self._by_key:
            return self._by_key[item_id]
        keys = _list_keys(event, item)
        found = next((self._by_key[key] for key in keys if key in self._by_key), None)
        if found is None:
            found = make()
            self.all.append(found)
        for key in keys:
            self._by_key.setdefault(key, found)
        return found


def _list_keys(event: Event, item: Mapping[str, Any]) -> list[str | int]:
    """What the item is known by, the surest first."""
    names = (text_of(key) for key in (item.get("id"), event.get("item_id"), item.get("call_id")))
    index = event.get("output_index")
    return [*filter(None, names), *([index] if isinstance(index, int) else [])]


class SeenParts:
    """How much of each text part went out already, so that a ``.done`` event adds only what is missing."""

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
