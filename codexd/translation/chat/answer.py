"""What the backend has said of an answer, item by item.

Source: anthropic-translation.md 2.2 and 6.3. ``.done`` events and the terminal event's ``output`` add what no delta
brought, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from codexd.translation.chat.items import (
    CallItem,
    CustomCallItem,
    ImageItem,
    OutputItem,
    ReasoningItem,
    TextItem,
)
from codexd.translation.client_api import Event
from codexd.translation.output_items import ItemRegister
from codexd.translation.responses import count_of, object_of, objects_of, text_of
from codexd.translation.tool_names import ToolNames

I = TypeVar("I", bound=OutputItem)  # noqa: E741


class Lane(Generic[I]):
    """Items of which one speaks after the other, in the order of first appearance."""

    def __init__(self) -> None:
        self.all: list[I] = []
        self._at = 0

    @property
    def speaking(self) -> I | None:
        return self.all[self._at] if self._at < len(self.all) else None

    def add(self, item: I) -> None:
        self.all.append(item)

    def next(self) -> None:
        """The one that speaks has said all."""
        self._at += 1


class Answer:
    """Takes the backend's events; what is new since the last look is in the lanes and in ``images``.

    Texts and calls share a lane: the SDK takes a text for whole when a call begins, and a call when the next begins.
    """

    def __init__(self, names: ToolNames) -> None:
        self.spoken: Lane[TextItem | CallItem] = Lane()
        self.reasonings: Lane[ReasoningItem] = Lane()
        self.images: list[str] = []
        self._names = names
        self._items: ItemRegister[OutputItem] = ItemRegister()
        self._makers: Mapping[str, Callable[[], OutputItem]] = {
            "message": self._make_text,
            "reasoning": self._make_reasoning,
            "function_call": self._make_call,
            "custom_tool_call": self._make_custom_call,
            "image_generation_call": self._make_image,
        }
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "response.output_text.delta": self._text_delta,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.custom_tool_call_input.delta": self._input_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._raw_reasoning_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.output_text.annotation.added": self._annotation_added,
            "response.content_part.done": self._part_done,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.output_text.done": self._text_done,
            "response.refusal.done": self._refusal_done,
            "response.reasoning_summary_text.done": self._summary_done,
            "response.function_call_arguments.done": self._arguments_done,
            "response.custom_tool_call_input.done": self._input_done,
        }

    def receive(self, event: Event) -> bool:
        """Whether ``event`` is about an item."""
        handler = self._handlers.get(event["type"])
        if handler is not None:
            handler(event)
        return handler is not None

    def end(self, response: Mapping[str, Any]) -> None:
        """The answer is over; ``response`` is the terminal event's."""
        for index, item in enumerate(objects_of(response.get("output"))):
            self._item_done({"output_index": index, "item": item})
        for left in self._items.all:
            left.finished = True

    def count_bytes(self, *kinds: type[OutputItem]) -> int:
        return sum(item.utf8_bytes for item in self._items.all if isinstance(item, kinds))

    # -- items ------------------------------------------------------------------------------------

    def _make_text(self) -> TextItem:
        item = TextItem()
        self.spoken.add(item)
        return item

    def _make_reasoning(self) -> ReasoningItem:
        item = ReasoningItem()
        self.reasonings.add(item)
        return item

    def _make_call(self) -> CallItem:
        item = CallItem(self._names)
        self.spoken.add(item)
        return item

    def _make_custom_call(self) -> CallItem:
        item = CustomCallItem(self._names)
        self.spoken.add(item)
        return item

    def _make_image(self) -> ImageItem:
        return ImageItem(self.images.append)

    def _text(self, event: Event) -> TextItem | None:
        item = self._items.find(event, {}, self._make_text)
        return item if isinstance(item, TextItem) else None

    def _reasoning(self, event: Event) -> ReasoningItem | None:
        item = self._items.find(event, {}, self._make_reasoning)
        return item if isinstance(item, ReasoningItem) else None

    def _call(self, event: Event, make: Callable[[], CallItem]) -> CallItem | None:
        item = self._items.find(event, {}, make)
        return item if isinstance(item, CallItem) else None

    def _item_of(self, event: Event, said: Mapping[str, Any]) -> OutputItem | None:
        """None for kinds that a Chat client is told nothing of."""
        make = self._makers.get(text_of(said.get("type")))
        return self._items.find(event, said, make) if make else None

    # -- events -----------------------------------------------------------------------------------

    def _item_added(self, event: Event) -> None:
        said = object_of(event.get("item"))
        item = self._item_of(event, said)
        if isinstance(item, CallItem):
            item.identify(said)
        elif isinstance(item, ReasoningItem):
            item.note_ciphertext(said.get("encrypted_content"))

    def _item_done(self, event: Event) -> None:
        said = object_of(event.get("item"))
        item = self._item_of(event, said)
        if item is not None:
            item.finish(said)

    def _text_delta(self, event: Event) -> None:
        if item := self._text(event):
            item.add_text(("text", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _text_done(self, event: Event) -> None:
        if item := self._text(event):
            item.complete_text(("text", count_of(event.get("content_index"))), text_of(event.get("text")))

    def _refusal_delta(self, event: Event) -> None:
        if item := self._text(event):
            item.add_text(("refusal", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _refusal_done(self, event: Event) -> None:
        if item := self._text(event):
            item.complete_text(("refusal", count_of(event.get("content_index"))), text_of(event.get("refusal")))

    def _part_done(self, event: Event) -> None:
        part = object_of(event.get("part"))
        if part.get("type") in ("output_text", "refusal") and (item := self._text(event)):
            item.complete_part(count_of(event.get("content_index")), part)

    def _annotation_added(self, event: Event) -> None:
        if item := self._text(event):
            item.add_annotation(count_of(event.get("content_index")), object_of(event.get("annotation")))

    def _summary_delta(self, event: Event) -> None:
        if item := self._reasoning(event):
            item.add_text(("summary", count_of(event.get("summary_index"))), text_of(event.get("delta")))

    def _summary_done(self, event: Event) -> None:
        if item := self._reasoning(event):
            item.complete_text(("summary", count_of(event.get("summary_index"))), text_of(event.get("text")))

    def _raw_reasoning_delta(self, event: Event) -> None:
        if item := self._reasoning(event):
            item.add_text(("text", count_of(event.get("content_index"))), text_of(event.get("delta")))

    def _arguments_delta(self, event: Event) -> None:
        if call := self._call(event, self._make_call):
            call.add_content(text_of(event.get("delta")))

    def _arguments_done(self, event: Event) -> None:
        if call := self._call(event, self._make_call):
            call.complete_content(text_of(event.get("arguments")))

    def _input_delta(self, event: Event) -> None:
        if call := self._call(event, self._make_custom_call):
            call.add_content(text_of(event.get("delta")))

    def _input_done(self, event: Event) -> None:
        if call := self._call(event, self._make_custom_call):
            call.complete_content(text_of(event.get("input")))
