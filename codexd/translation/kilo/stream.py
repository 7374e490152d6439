"""The answer: Chat Completions chunks in, Responses events out.

Rules:

1. A text or a reasoning item stays open until a delta of another kind arrives. Calls stay open until the end, because
   their deltas may interleave.
2. Reasoning becomes a summary without ciphertext, so no later request can send it back.
3. The answer ends at ``[DONE]``, at the end of the connection, or with the usage after the finish reason, whichever
   comes first. Without a finish reason it was cut off, and there is no terminal event.

Source: kilo.ai/docs/gateway/streaming; for comments and errors inside the stream,
openrouter.ai/docs/api-reference/streaming; for ``reasoning`` and ``reasoning_details``,
openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from codexd import jsontext
from codexd.errors import StreamBroken
from codexd.translation.backend import SurrogateJoiner, count_of, object_of, objects_of, text_of
from codexd.translation.client_api import Event
from codexd.translation.kilo.errors import read_failure
from codexd.translation.sse import Decoder

DONE = b"[DONE]"

_ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "parallel_tool_calls": True,
    "reasoning": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
}
"""Fields of the request that a response repeats, with their defaults."""

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reason -> ``incomplete_details.reason``; with any other finish reason the answer is complete."""


class ChatReader:
    """Turns the bytes of one answer into Responses events, however the bytes arrive.

    Args:
        body: the Responses body of the request.
        model: the model that was asked for.
        host: the provider's name in errors.
    """

    def __init__(self, body: Mapping[str, Any], model: str, host: str) -> None:
        self._decoder = Decoder()
        self._answer = _Answer(body, model, host)
        self._host = host
        self._joiner = SurrogateJoiner()
        self._may_be_cut = False
        """Whether a chunk had half a pair of surrogates: then the texts of later events have it as well."""

    def receive_data(self, data: bytes) -> list[Event]:
        return [event for frame in self._decoder.receive_data(data) for event in self._read(frame)]

    def receive_eof(self) -> list[Event]:
        events = [event for frame in self._decoder.receive_eof() for event in self._read(frame)]
        return [*events, *self._join(self._answer.end())]

    def _read(self, frame: bytes) -> list[Event]:
        if frame == DONE:
            return self._join(self._answer.end())
        try:
            chunk, may_be_cut = jsontext.loads_with_surrogates(frame)
        except ValueError as wrong:
            raise StreamBroken(f"{self._host} sent an event that is not JSON: {wrong}", status=200) from None
        self._may_be_cut = self._may_be_cut or may_be_cut
        return self._join(self._answer.receive_chunk(object_of(chunk)))

    def _join(self, events: Iterator[Event]) -> list[Event]:
        return [joined for event in events for joined in self._joiner.join(event)] if self._may_be_cut else list(events)


# -- items ----------------------------------------------------------------------------------------


@define
class _Item:
    """One output item under construction."""

    index: int
    id: str
    text: list[str] = field(factory=list)

    @property
    def place(self) -> Event:
        return {"item_id": self.id, "output_index": self.index}

    def to_item(self, *, done: bool) -> dict[str, Any]:
        raise NotImplementedError

    def open(self) -> Iterator[Event]:
        yield {"type": "response.output_item.added", "output_index": self.index, "item": self.to_item(done=False)}

    def add(self, delta: str) -> Event:
        raise NotImplementedError

    def close(self) -> Iterator[Event]:
        yield {"type": "response.output_item.done", "output_index": self.index, "item": self.to_item(done=True)}

    @property
    def whole(self) -> str:
        return "".join(self.text)


@define
class _Text(_Item):
    @property
    def place(self) -> Event:
        return {"item_id": self.id, "output_index": self.index, "content_index": 0}

    def to_item(self, *, done: bool) -> dict[str, Any]:
        status = "completed" if done else "in_progress"
        content = [_to_text_part(self.whole)] if done else []
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}

    def open(self) -> Iterator[Event]:
        yield from super().open()
        yield {"type": "response.content_part.added", **self.place, "part": _to_text_part("")}

    def add(self, delta: str) -> Event:
        self.text.append(delta)
        return {"type": "response.output_text.delta", **self.place, "delta": delta, "logprobs": []}

    def close(self) -> Iterator[Event]:
        yield {"type": "response.output_text.done", **self.place, "text": self.whole, "logprobs": []}
        yield {"type": "response.content_part.done", **self.place, "part": _to_text_part(self.whole)}
        yield from super().close()


@define
class _Reasoning(_Item):
    @property
    def place(self) -> Event:
        return {"item_id": self.id, "output_index": self.index, "summary_index": 0}

    def to_item(self, *, done: bool) -> dict[str, Any]:
        return {"id": self.id, "type": "reasoning", "summary": [_to_summary_part(self.whole)] if done else []}

    def open(self) -> Iterator[Event]:
        yield from super().open()
        yield {"type": "response.reasoning_summary_part.added", **self.place, "part": _to_summary_part("")}

    def add(self, delta: str) -> Event:
        self.text.append(delta)
        return {"type": "response.reasoning_summary_text.delta", **self.place, "delta": delta}

    def close(self) -> Iterator[Event]:
        yield {"type": "response.reasoning_summary_text.done", **self.place, "text": self.whole}
        yield {"type": "response.reasoning_summary_part.done", **self.place, "part": _to_summary_part(self.whole)}
        yield from super().close()


@define(kw_only=True)
class _Call(_Item):
    call_id: str
    name: str

    def to_item(self, *, done: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": "completed" if done else "in_progress",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": (self.whole or "{}") if done else "",
        }

    def add(self, delta: str) -> Event:
        self.text.append(delta)
        return {"type": "response.function_call_arguments.delta", **self.place, "delta": delta}

    def close(self) -> Iterator[Event]:
        yield {"type": "response.function_call_arguments.done", **self.place, "arguments": self.whole or "{}"}
        yield from super().close()


def _to_text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _to_summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


# -- the answer -----------------------------------------------------------------------------------


class _Answer:
    """The state of one answer."""

    def __init__(self, body: Mapping[str, Any], model: str, host: str) -> None:
        self._response: dict[str, Any] = {name: body.get(name, default) for name, default in _ECHOED.items()}
        self._model = model
        self._host = host
        self._key = ""
        """The part that all ids of the answer share."""
        self._begun = False
        self._ended = False
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._items: list[_Item] = []
        self._open: _Text | _Reasoning | None = None
        self._calls: dict[int, _Call] = {}
        """Index -> the call that its deltas belong to."""
        self._next_number = 0

    def receive_chunk(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        if self._ended:
            return
        yield from self._begin(chunk)
        if chunk.get("error"):
            yield from self._fail(chunk["error"])
            return
        for choice in objects_of(chunk.get("choices"))[:1]:
            yield from self._receive_delta(object_of(choice.get("delta")))
            self._finish_reason = text_of(choice.get("finish_reason")) or self._finish_reason
        if isinstance(chunk.get("usage"), dict):
            self._usage = _to_usage(chunk["usage"])
            yield from self.end()

    def end(self) -> Iterator[Event]:
        """The terminal event, if the answer is complete."""
        if self._ended or self._finish_reason is None:
            return
        if self._finish_reason == "error":
            yield from self._fail("no reason given")
            return
        yield from self._close_all()
        reason = _INCOMPLETE.get(self._finish_reason)
        status = "incomplete" if reason else "completed"
        details = {"incomplete_details": {"reason": reason}} if reason else {}
        yield self._number(self._end_with(status, usage=self._usage, **details))

    def _begin(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        if self._begun:
            return
        self._begun = True
        self._key = "".join(filter(str.isalnum, text_of(chunk.get("id"))))[:60] or "kilo"
        self._response |= {
            "id": f"resp_{self._key}",
            "object": "response",
            "created_at": count_of(chunk.get("created")),
            "model": text_of(chunk.get("model")) or self._model,
            "output": [],
            "store": False,
            "usage": None,
            "error": None,
            "incomplete_details": None,
            "metadata": {},
        }
        for kind in ("created", "in_progress"):
            yield self._number({"type": f"response.{kind}", "response": {**self._response, "status": "in_progress"}})

    def _fail(self, found: Any) -> Iterator[Event]:
        error = read_failure(found, 200).to_event_error(self._host)
        yield self._number(self._end_with("failed", error=error))

    def _end_with(self, status: str, **fields: Any) -> Event:
        self._ended = True
        output = [item.to_item(done=True) for item in self._items]
        return {
            "type": f"response.{status}",
            "response": {**self._response, "output": output, "status": status, **fields},
        }

    # -- deltas -----------------------------------------------------------------------------------

    def _receive_delta(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        if reasoning := _read_reasoning(delta):
            if not isinstance(self._open, _Reasoning):
                yield from self._switch_to(_Reasoning(len(self._items), self._name("rs")))
            yield from self._add(self._open, reasoning)
        if text := text_of(delta.get("content")) or text_of(delta.get("refusal")):
            if not isinstance(self._open, _Text):
                yield from self._switch_to(_Text(len(self._items), self._name("msg")))
            yield from self._add(self._open, text)
        for call in objects_of(delta.get("tool_calls")):
            yield from self._receive_call(call)

    def _receive_call(self, piece: Mapping[str, Any]) -> Iterator[Event]:
        """A piece of a call. Some providers number all calls 0, so a new id also starts a new call."""
        function = object_of(piece.get("function"))
        index, call_id, name = count_of(piece.get("index")), text_of(piece.get("id")), text_of(function.get("name"))
        call = self._calls.get(index)
        if name and (call is None or (call_id and call_id != call.call_id)):
            yield from self._close_open()
            call = _Call(
                len(self._items),
                self._name("fc"),
                call_id=call_id if self._is_unused(call_id) else self._name("call"),
                name=name,
            )
            self._calls[index] = call
            self._items.append(call)
            yield from map(self._number, call.open())
        yield from self._add(call, _read_arguments(function.get("arguments")))

    def _add(self, item: _Item | None, text: str) -> Iterator[Event]:
        if item is not None and text:
            yield self._number(item.add(text))

    def _switch_to(self, item: _Text | _Reasoning) -> Iterator[Event]:
        yield from self._close_open()
        self._open = item
        self._items.append(item)
        yield from map(self._number, item.open())

    def _close_open(self) -> Iterator[Event]:
        item, self._open = self._open, None
        if item is not None:
            yield from map(self._number, item.close())

    def _close_all(self) -> Iterator[Event]:
        yield from self._close_open()
        for item in self._items:
            if isinstance(item, _Call):
                yield from map(self._number, item.close())

    # -- names and numbers ------------------------------------------------------------------------

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._key}_{len(self._items)}"

    def _is_unused(self, call_id: str) -> bool:
        """Whether a client can tell the call from the others by its id."""
        return bool(call_id) and all(call.call_id != call_id for call in self._items if isinstance(call, _Call))

    def _number(self, event: Event) -> Event:
        number, self._next_number = self._next_number, self._next_number + 1
        return {"type": event["type"], "sequence_number": number, **event}


def _read_reasoning(delta: Mapping[str, Any]) -> str:
    """The text of the reasoning, which may come under three names at once. Ciphertext is left out."""
    text = text_of(delta.get("reasoning")) or text_of(delta.get("reasoning_content"))
    if text:
        return text
    details = objects_of(delta.get("reasoning_details"))
    return "".join(text_of(detail.get("text")) or text_of(detail.get("summary")) for detail in details)


def _read_arguments(arguments: Any) -> str:
    """The arguments as text; some providers send an object."""
    return jsontext.dumps_text(arguments) if isinstance(arguments, dict) else text_of(arguments)


def _to_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = object_of(usage.get("prompt_tokens_details")), object_of(usage.get("completion_tokens_details"))
    input_tokens, output_tokens = count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": count_of(inputs.get("cached_tokens"))},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": count_of(outputs.get("reasoning_tokens"))},
        "total_tokens": count_of(usage.get("total_tokens")) or input_tokens + output_tokens,
    }
