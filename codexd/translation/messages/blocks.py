"""Content blocks under construction: one per output item of the backend.

A block turns the item's deltas into Messages events and holds them until the stream takes them. It doesn't know its
index: parallel items arrive interleaved, and the stream sends one block at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from attrs import frozen

from codexd import jsontext
from codexd.translation.answering.output_items import OutputItem, PartKey
from codexd.translation.backend import count_of, objects_of, text_of
from codexd.translation.client_api import Event
from codexd.translation.reading.reasoning import Reasoning, seal
from codexd.translation.reading.tool_names import ToolNames


class Thinking(Enum):
    """What a client asked to see of the reasoning."""

    ABSENT = "absent"
    """It did not say, and gets no thinking blocks, because many callers read ``content[0].text``."""
    DISABLED = "disabled"
    OMITTED = "omitted"
    """Blocks with a signature but no text: just what the next request needs."""
    SHOWN = "shown"

    @property
    def has_blocks(self) -> bool:
        return self in (Thinking.OMITTED, Thinking.SHOWN)


class Block(OutputItem, ABC):
    """One content block, or a pair of them. ``started`` and ``stopped`` are about events made, not sent.

    A stopped block makes no more events, whatever else the backend sends for its item.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started = False
        self.stopped = False
        self._made: list[Event] = []

    def take(self) -> list[Event]:
        """The events made since the last call. The caller fills in their ``index``."""
        made, self._made = self._made, []
        return made

    def finish(self, item: Mapping[str, Any]) -> None:
        if self.stopped:
            self.compare(item)
        else:
            self._complete(item)

    @abstractmethod
    def _complete(self, item: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def cut(self) -> None:
        """End the block, because the response ended before its item did."""

    def _start(self, content_block: dict[str, Any]) -> None:
        if not self.started and not self.stopped:
            self.started = True
            self._made.append({"type": "content_block_start", "index": 0, "content_block": content_block})

    def _delta(self, delta: dict[str, Any]) -> None:
        if not self.stopped:
            self._made.append({"type": "content_block_delta", "index": 0, "delta": delta})

    def _stop(self) -> None:
        if self.started and not self.stopped:
            self._made.append({"type": "content_block_stop", "index": 0})
        self.stopped = True


_MAX_CITED_CHARS = 150


@frozen
class Citation:
    """A web page that supports a part of the text; ``start`` and ``end`` are characters of its content part."""

    url: str
    title: str
    start: int
    end: int

    def to_delta(self, text: str) -> dict[str, Any]:
        """The ``citations_delta``; ``text`` is the text of the content part."""
        location = {
            "type": "web_search_result_location",
            "url": self.url,
            "title": self.title or self.url,  # not null: @ai-sdk/anthropic refuses that
            "cited_text": text[self.start : self.end][:_MAX_CITED_CHARS],
            "encrypted_index": "",
        }
        return {"type": "citations_delta", "citation": location}


def read_citation(annotation: Mapping[str, Any]) -> Citation | None:
    """The citation in an annotation; None for one of another kind or without a URL."""
    url = text_of(annotation.get("url"))
    if annotation.get("type") != "url_citation" or not url:
        return None
    start, end = count_of(annotation.get("start_index")), count_of(annotation.get("end_index"))
    return Citation(url, text_of(annotation.get("title")), start, end)


class TextBlock(Block):
    """An output message: its text and refusal parts, in one text block.

    With ``keeps_text`` the text is kept, because citations quote it (only a web search can lead to citations) or a
    verdict is looked for in it.
    """

    type = "message"

    def __init__(self, *, keeps_text: bool = False) -> None:
        super().__init__()
        self.refusal = ""
        self._keeps_text = keeps_text
        self._texts: dict[PartKey, list[str]] = {}
        self._cited: dict[tuple[int, Citation], None] = {}
        self._to_cite: deque[tuple[int, Citation]] = deque()

    @property
    def text(self) -> str:
        """As far as it is kept."""
        return "".join(piece for pieces in self._texts.values() for piece in pieces)

    @property
    def citations(self) -> list[Citation]:
        return [citation for _, citation in self._cited]

    def add_text(self, part: PartKey, text: str) -> None:
        if not text:
            return
        self._seen.add(part, text)
        if self._keeps_text:
            self._texts.setdefault(part, []).append(text)
        if part[0] == "refusal":
            self.refusal += text
        if not self.started:
            self._start({"type": "text", "text": ""})
        self._delta({"type": "text_delta", "text": text})

    def add_annotation(self, index: int, annotation: Mapping[str, Any]) -> None:
        citation = read_citation(annotation)
        if citation is not None and (index, citation) not in self._cited:
            self._cited[index, citation] = None
            self._to_cite.append((index, citation))
            self._cite()

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("content"))):
            self.complete_part(index, part)
        self.cut()

    def cut(self) -> None:
        self._cite(flush=True)
        self._stop()

    def _cite(self, *, flush: bool = False) -> None:
        """Send the citations in order, up to the first whose text has not arrived; with ``flush``, all of them."""
        while self.started and self._to_cite:
            index, citation = self._to_cite[0]
            part = ("text", index)
            if not flush and citation.end > self._seen.chars(part):
                break
            self._to_cite.popleft()
            self._delta(citation.to_delta("".join(self._texts.get(part, ()))))


class ThinkingBlock(Block):
    """A reasoning item: its summary as thinking, its ciphertext as the signature."""

    type = "reasoning"

    def __init__(self, thinking: Thinking, seal_with: Callable[[str, str], str]) -> None:
        super().__init__()
        self._thinking = thinking
        self._seal = seal_with
        self._early_ciphertext = ""

    def begin(self, item: Mapping[str, Any]) -> None:
        """Keep the ciphertext, which may be partial: it counts only if the finished item has none."""
        self._early_ciphertext = text_of(item.get("encrypted_content"))

    def add_text(self, part: PartKey, text: str) -> None:
        if not text or self._thinking is not Thinking.SHOWN:
            return
        separator = "\n\n" if self._seen.is_new(part) and len(self._seen) else ""
        self._seen.add(part, text)
        self._open()
        self._delta({"type": "thinking_delta", "thinking": separator + text})

    def _complete(self, item: Mapping[str, Any]) -> None:
        for index, part in enumerate(objects_of(item.get("summary"))):
            self.complete_text(("summary", index), text_of(part.get("text")))
        for index, part in enumerate(objects_of(item.get("content"))):
            if not self._seen.is_new(("text", index)):
                self.complete_text(("text", index), text_of(part.get("text")))
        ciphertext = text_of(item.get("encrypted_content")) or self._early_ciphertext
        if ciphertext and self._thinking.has_blocks:
            self._open()
        if self.started:
            signature = self._seal(text_of(item.get("id")), ciphertext) if ciphertext else ""
            self._delta({"type": "signature_delta", "signature": signature})
        self._stop()

    def cut(self) -> None:
        if self.started:
            self._delta({"type": "signature_delta", "signature": ""})
        self._stop()

    def _open(self) -> None:
        self._start({"type": "thinking", "thinking": "", "signature": ""})


class CallBlock(Block):
    """A function call. It starts when its name is known, which may be as late as ``.done``."""

    type = "function_call"

    def __init__(self, names: ToolNames) -> None:
        super().__init__()
        self._names = names
        self._name = ""
        self._arguments: list[str] = []

    def begin(self, item: Mapping[str, Any]) -> None:
        name, call_id = text_of(item.get("name")), text_of(item.get("call_id"))
        if not self.started and name and call_id:
            self._name = self._names.restore(name)
            self._start({"type": "tool_use", "id": call_id, "name": self._name, "input": {}})
            self._flush()

    def add_text(self, part: PartKey, text: str) -> None:
        if text:
            self._seen.add(part, text)
            self._arguments.append(text)
            self._flush()

    def _complete(self, item: Mapping[str, Any]) -> None:
        self.begin(item)
        self.complete_text(("arguments", 0), text_of(item.get("arguments")) or ("" if len(self._seen) else "{}"))
        self._flush(whole=True)
        self._stop()

    def cut(self) -> None:
        self._flush(whole=True)
        self._stop()

    def _flush(self, *, whole: bool = False) -> None:
        if self.started and self._arguments and (whole or self._name != _READ):
            text = "".join(self._arguments)
            self._arguments.clear()
            partial = without_blank_pages(text) if self._name == _READ else text
            self._delta({"type": "input_json_delta", "partial_json": partial})


_READ = "Read"
"""Claude Code's tool. The models fill its optional ``pages`` with ``""``, which Claude Code rejects, so the arguments
are held until they are complete."""


def without_blank_pages(arguments: str) -> str:
    """The arguments of ``Read`` without a blank ``pages``; all others unchanged, to the byte."""
    try:
        value = jsontext.loads(arguments)
    except ValueError:
        return arguments
    pages = value.get("pages") if isinstance(value, dict) else None
    if not isinstance(pages, str) or pages.strip():
        return arguments
    return jsontext.dumps_text({key: kept for key, kept in value.items() if key != "pages"})


def make_sealer(model: str, account_tag: str) -> Callable[[str, str], str]:
    """A function from reasoning id and ciphertext to the signature, for one model and account."""
    return lambda item_id, ciphertext: seal(Reasoning(item_id, ciphertext, model, account_tag))
