"""Output items of an answer, as a Chat client sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.answering.output_items import OutputItem, PartKey
from codexd.translation.backend import count_of, objects_of, text_of
from codexd.translation.client_api import Event
from codexd.translation.reading.tool_names import ToolNames


class ChatItem(OutputItem, ABC):
    """One item. A finished item yields nothing more, whatever else the backend sends for it."""

    def __init__(self) -> None:
        super().__init__()
        self.finished = False

    def finish(self, item: Mapping[str, Any]) -> None:
        if self.finished:
            self.compare(item)
        else:
            self._complete(item)
            self.finished = True

    @abstractmethod
    def _complete(self, item: Mapping[str, Any]) -> None: ...


@frozen
class Citation:
    """A web page that supports the text; ``start`` and ``end`` are characters of content part ``index``."""

    index: int
    url: str
    title: str
    start: int
    end: int


class TextItem(ChatItem):
    """An output message. Each piece belongs to a part of the kind ``text`` or ``refusal``.

    The stream fills in ``part_starts``: where each text part begins in the whole content, in characters.
    """

    type = "message"

    def __init__(self) -> None:
        super().__init__()
        self.citations: dict[Citation, None] = {}
        self.part_starts: dict[int, int] = {}
        self._pieces: list[tuple[PartKey, str]] = []

    def take(self) -> list[tuple[PartKey, str]]:
        """The pieces since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def add_text(self, part: PartKey, text: str) -> None:
        if text and not self.finished:
            self._seen.add(part, text)
            self._pieces.append((part, text))

    def add_annotation(self, index: int, annotation: Mapping[str, Any]) -> None:
        url = text_of(annotation.get("url"))
        if annotation.get("type") == "url_citation" and url:
            start, end = count_of(annotation.get("start_index")), count_of(annotation.get("end_index"))
            self.citations[Citation(index, url, text_of(annotation.get("title")), start, end)] = None

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("content"))):
            self.complete_part(index, part)


class ReasoningItem(ChatItem):
    """A reasoning item: its summary as text, and its ciphertext for the next request."""

    type = "reasoning"

    def __init__(self) -> None:
        super().__init__()
        self.id = ""
        self.ciphertext = ""
        """Set when the item is finished."""
        self._early_ciphertext = ""
        self._pieces: list[str] = []

    def take(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def begin(self, item: Mapping[str, Any]) -> None:
        """Keep the ciphertext, which may be partial: it counts only if the finished item has none."""
        self._early_ciphertext = text_of(item.get("encrypted_content"))

    def add_text(self, part: PartKey, text: str) -> None:
        if not text or self.finished:
            return
        separator = "\n\n" if self._seen.is_new(part) and len(self._seen) else ""
        self._seen.add(part, text)
        self._pieces.append(separator + text)

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("summary"))):
            self.complete_text(("summary", index), text_of(part.get("text")))
        for index, part in enumerate(objects_of(item.get("content"))):
            if not self._seen.is_new(("text", index)):
                self.complete_text(("text", index), text_of(part.get("text")))
        self.id = text_of(item.get("id"))
        self.ciphertext = text_of(item.get("encrypted_content")) or self._early_ciphertext


class CallItem(ChatItem):
    """A function call.

    It makes entries of ``tool_calls``; the stream fills in their ``index``. The first entry waits until the name is
    known, which may be as late as the end. Only the first has id, type and name.
    """

    type = "function_call"
    kind = "function"
    key = "arguments"
    empty = "{}"
    """The arguments if the model wrote none: clients parse them."""

    def __init__(self, names: ToolNames) -> None:
        super().__init__()
        self._names = names
        self._started = False
        self._waiting: list[str] = []
        self._entries: list[Event] = []

    def take(self) -> list[Event]:
        entries, self._entries = self._entries, []
        return entries

    def begin(self, item: Mapping[str, Any]) -> None:
        name, call_id = text_of(item.get("name")), text_of(item.get("call_id"))
        if self._started or not name or not call_id:
            return
        self._started = True
        called = {"name": self._names.restore(name), self.key: ""}
        self._entries.append({"index": 0, "id": call_id, "type": self.kind, self.kind: called})
        self._flush()

    def add_text(self, part: PartKey, text: str) -> None:
        if text and not self.finished:
            self._seen.add(part, text)
            self._waiting.append(text)
            self._flush()

    def _complete(self, item: Mapping[str, Any]) -> None:
        self.begin(item)
        self.complete_text((self.key, 0), text_of(item.get(self.key)) or ("" if len(self._seen) else self.empty))

    def _flush(self) -> None:
        if self._started and self._waiting:
            self._entries.append({"index": 0, self.kind: {self.key: "".join(self._waiting)}})
            self._waiting.clear()


class CustomCallItem(CallItem):
    """A call of a custom tool, whose input is plain text."""

    type = "custom_tool_call"
    kind = "custom"
    key = "input"
    empty = ""


class ImageItem(ChatItem):
    """A generated image. Partial images are left out."""

    type = "image_generation_call"

    def __init__(self, add: Callable[[str], None]) -> None:
        super().__init__()
        self._add = add

    def _complete(self, item: Mapping[str, Any]) -> None:
        data = text_of(item.get("result"))
        if data:
            self._add(f"data:image/{text_of(item.get('output_format')) or 'png'};base64,{data}")
