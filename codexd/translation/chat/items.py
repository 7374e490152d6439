"""Output items of an answer, and what each has to say to a Chat client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.client_api import Event
from codexd.translation.output_items import PartKey, SeenParts
from codexd.translation.responses import count_of, objects_of, text_of
from codexd.translation.text_size import count_bytes
from codexd.translation.tool_names import ToolNames


class OutputItem(ABC):
    """One item. A finished one says nothing more, whatever the backend still says about it."""

    def __init__(self) -> None:
        self.finished = False
        self.utf8_bytes = 0

    def finish(self, item: Mapping[str, Any]) -> None:
        """The item is done; ``item`` is its last word and may hold what no delta brought."""
        if not self.finished:
            self._complete(item)
            self.finished = True

    @abstractmethod
    def _complete(self, item: Mapping[str, Any]) -> None: ...


@frozen
class Citation:
    """A web page that the text rests on; ``start`` and ``end`` in characters of content part ``index``."""

    index: int
    url: str
    title: str
    start: int
    end: int


class TextItem(OutputItem):
    """An output message. Its pieces are of parts, whose kind is ``text`` or ``refusal``.

    ``part_starts`` is filled in by who puts the texts together: the place of each text part in the whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.citations: dict[Citation, None] = {}
        self.part_starts: dict[int, int] = {}
        self._seen = SeenParts()
        self._pieces: list[tuple[PartKey, str]] = []

    def take(self) -> list[tuple[PartKey, str]]:
        """The pieces since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def add_text(self, part: PartKey, text: str) -> None:
        if text and not self.finished:
            self._seen.add(part, text)
            self.utf8_bytes = self._seen.utf8_bytes
            self._pieces.append((part, text))

    def complete_text(self, part: PartKey, text: str) -> None:
        self.add_text(part, self._seen.missing(part, text))

    def complete_part(self, index: int, part: Mapping[str, Any]) -> None:
        kind = "refusal" if part.get("type") == "refusal" else "text"
        self.complete_text((kind, index), text_of(part.get(kind)))
        for annotation in objects_of(part.get("annotations")):
            self.add_annotation(index, annotation)

    def add_annotation(self, index: int, annotation: Mapping[str, Any]) -> None:
        """An annotation of content part ``index``; each comes up to four times."""
        url = text_of(annotation.get("url"))
        if annotation.get("type") == "url_citation" and url:
            start, end = count_of(annotation.get("start_index")), count_of(annotation.get("end_index"))
            self.citations[Citation(index, url, text_of(annotation.get("title")), start, end)] = None

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("content"))):
            self.complete_part(index, part)


class ReasoningItem(OutputItem):
    """A reasoning item: its summary as text, and its ciphertext for the next request."""

    def __init__(self) -> None:
        super().__init__()
        self.id = ""
        self.ciphertext = ""
        """Of an item that came to its end."""
        self._early_ciphertext = ""
        self._seen = SeenParts()
        self._pieces: list[str] = []

    def take(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def note_ciphertext(self, ciphertext: Any) -> None:
        """What ``.added`` brought may be partial; it counts only if ``.done`` brings none."""
        self._early_ciphertext = text_of(ciphertext)

    def add_text(self, part: PartKey, text: str) -> None:
        if not text or self.finished:
            return
        separator = "\n\n" if self._seen.is_new(part) and len(self._seen) else ""
        self._seen.add(part, text)
        self.utf8_bytes = self._seen.utf8_bytes
        self._pieces.append(separator + text)

    def complete_text(self, part: PartKey, text: str) -> None:
        self.add_text(part, self._seen.missing(part, text))

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("summary"))):
            self.complete_text(("summary", index), text_of(part.get("text")))
        self.id = text_of(item.get("id"))
        self.ciphertext = text_of(item.get("encrypted_content")) or self._early_ciphertext


class CallItem(OutputItem):
    """A call of a function, or of a custom tool, whose input is a text and no JSON.

    It makes entries of ``tool_calls``, whose ``index`` is still to be filled in. The first one waits until the name
    is known, which may be as late as the end, and only that one has id, type and name.
    """

    kind = "function"
    key = "arguments"

    def __init__(self, names: ToolNames) -> None:
        super().__init__()
        self._names = names
        self._started = False
        self._waiting: list[str] = []
        self._chars = 0
        self._entries: list[Event] = []

    def take(self) -> list[Event]:
        entries, self._entries = self._entries, []
        return entries

    def identify(self, item: Mapping[str, Any]) -> None:
        name, call_id = text_of(item.get("name")), text_of(item.get("call_id"))
        if self._started or not name or not call_id:
            return
        self._started = True
        called = {"name": self._names.restore(name), self.key: ""}
        self._entries.append({"index": 0, "id": call_id, "type": self.kind, self.kind: called})
        self._flush()

    def add_content(self, text: str) -> None:
        if text and not self.finished:
            self._chars += len(text)
            self.utf8_bytes += count_bytes(text)
            self._waiting.append(text)
            self._flush()

    def complete_content(self, text: str) -> None:
        self.add_content(text[self._chars :])

    def _complete(self, item: Mapping[str, Any]) -> None:
        self.identify(item)
        self.complete_content(text_of(item.get(self.key)))
        if not self._chars:
            self._complete_empty()

    def _complete_empty(self) -> None:
        self.add_content("{}")  # clients parse it

    def _flush(self) -> None:
        if self._started and self._waiting:
            self._entries.append({"index": 0, self.kind: {self.key: "".join(self._waiting)}})
            self._waiting.clear()


class CustomCallItem(CallItem):
    kind = "custom"
    key = "input"

    def _complete_empty(self) -> None:
        pass


class ImageItem(OutputItem):
    """A generated image. Partial images are not told."""

    def __init__(self, add: Callable[[str], None]) -> None:
        super().__init__()
        self._add = add

    def _complete(self, item: Mapping[str, Any]) -> None:
        data = text_of(item.get("result"))
        if data:
            self._add(f"data:image/{text_of(item.get('output_format')) or 'png'};base64,{data}")
