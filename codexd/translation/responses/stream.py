"""Passes the backend's events to a client that speaks the same API, and ends the answer where the client asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codexd.errors import StreamBroken
from codexd.translation.answering.output_items import DELTAS, check_repeated
from codexd.translation.answering.text_cut import TextCut, make_cut
from codexd.translation.backend import Usage, count_of, object_of, objects_of, read_usage, text_of
from codexd.translation.backend_errors import read_failure
from codexd.translation.client_api import Event, State
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.responses.items import ID_PREFIXES
from codexd.translation.responses.unfinished import UnfinishedItems
from codexd.translation.tokens import count_bytes, estimate_tokens

COMPACTIONS = ("compaction", "compaction_summary", "context_compaction")
"""The items that stand for a compacted conversation."""

_PREFACE = frozenset({"response.created", "response.in_progress", "response.queued", "response.metadata", "keepalive"})
"""Events before the answer itself. They are held, so that a failure after them can still become an HTTP status."""

SERVED_MODEL = "openai-model"
"""The header with the model that answered, also in the ``headers`` of an event.

If it is not the model that the Codex CLI asked for, the CLI tells its user that the account was flagged for "high-risk
cyber activity" (observed with 0.171.0).
"""

NO_NAMES = ToolNames()

_ENDS = {"response.completed": "completed", "response.done": "completed", "response.incomplete": "incomplete"}
_DETAILS = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
"""Parts of ``usage`` that strict clients require."""


class ResponsesStream:
    """One answer. The same events in always give the same events out.

    Args:
        model: the name that the client asked for, which goes into the response.
        sent_model: the model that the backend was asked for.
        verbatim: pass every event on with its own sequence number. Otherwise events that are not part of OpenAI's API
            are left out, and the others get new numbers.
        tool_names: restores the client's names of tools.
        note_reasoning: called with the ciphertext of each reasoning item.
        note_answer: called with the whole response and the time when the answer has ended, unless it failed.
        previous_response_id: repeated in the response, because the backend does not know of it.
        max_tokens: the answer ends after this many tokens of text. Then ``state`` is ENDED before the backend's own
            end.
        count_input: counts the tokens of the request, for an answer that is cut.
    """

    def __init__(
        self,
        *,
        model: str,
        sent_model: str = "",
        verbatim: bool,
        tool_names: ToolNames = NO_NAMES,
        note_reasoning: Callable[[Any], None] = lambda _: None,
        note_answer: Callable[[Mapping[str, Any], float], None] = lambda _, __: None,
        previous_response_id: str | None = None,
        max_tokens: int | None = None,
        count_input: Callable[[], int] = lambda: 0,
    ) -> None:
        self.state = State.WAITING
        self.usage: Usage | None = None
        self.stop_reason: str | None = None
        self._model = model
        self._sent_model = sent_model
        self._own = {"model": model, **({"previous_response_id": previous_response_id} if previous_response_id else {})}
        self._verbatim = verbatim
        self._tool_names = tool_names
        self._restores_names = bool(tool_names)  # asked of each event
        self._note_reasoning = note_reasoning
        self._note_answer = note_answer
        cut = make_cut((), max_tokens)
        self._cut = ResponseCut(cut) if cut is not None else None
        self._count_input = count_input
        self._held: list[Event] = []
        self._response: Mapping[str, Any] = {}
        self._items: dict[int, Mapping[str, Any]] = {}
        self._unfinished = UnfinishedItems()
        self._places: dict[str, Any] = {}
        """Item id -> the ``output_index`` of its first event."""
        self._last_place = -1
        """The highest so far."""
        self._next_number = 0
        self._delta_bytes = 0
        self._failure: Event | None = None

    @property
    def is_empty(self) -> bool:
        return self.state is State.ENDED and self.stop_reason == "completed" and not self._items

    @property
    def output_tokens(self) -> int:
        return estimate_tokens(self._delta_bytes)

    def name_model(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        """``headers`` with the client's own name of the model, unless another than the one asked for has answered."""
        named = dict(headers)
        if named.get(SERVED_MODEL) == self._sent_model:
            named[SERVED_MODEL] = self._model
        return named

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The client's events that one of the backend's makes.

        Raises:
            UpstreamError: the event reports a failure; ``fail`` then returns it for the client.
        """
        kind = event["type"]
        if self.state is State.ENDED:
            return []
        if kind in ("response.failed", "error"):
            self._failure = event
            raise read_failure(event, now)
        if not self._verbatim and (kind.startswith("codex.") or kind in ("keepalive", "response.metadata")):
            return []
        if kind in _ENDS:
            return self._noted(self._end(event, kind), now)
        closing = self._cut.receive_event(event) if self._cut else None
        if closing is not None:
            return self._noted(self._end_early(closing), now)
        self._note(event, kind)
        made = self._rewrite(event)
        if self.state is State.WAITING and (kind in _PREFACE or kind.startswith("codex.")):
            self._held.append(made)
            return []
        return [*self._begin(), made]

    def _noted(self, made: list[Event], now: float) -> list[Event]:
        self._note_answer(made[-1]["response"], now)
        return made

    def fail(self, error: Mapping[str, Any]) -> list[Event]:
        """The last events of a failed answer; ``error`` has a code and a message, used if the backend sent none.

        Without ``response.failed`` a client can't tell a failed answer from a lost connection.
        """
        made = self._begin()
        if self._failure is not None and self._failure["type"] == "error":
            made.append(self._rewrite(self._failure))
        elif self._failure is not None and isinstance(self._failure.get("response"), dict):
            return [*made, self._rewrite(self._failure)]
        response = {**self._response, "status": "failed", "error": dict(error), "output": self._output()}
        failed: Event = {"type": "response.failed", "sequence_number": self._next_number, "response": response}
        return [*made, self._rewrite(failed)]

    def _end_early(self, closing: list[Event]) -> list[Event]:
        """The last events of an answer that reached the client's limit."""
        for event in closing:
            self._note(event, event["type"])
        made = [*self._begin(), *map(self._rewrite, closing)]
        inputs, outputs = self._count_input(), self.output_tokens
        usage = {"input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs}
        details = {"reason": "max_output_tokens"}
        response = {**self._response, "status": "incomplete", "incomplete_details": details, "usage": usage}
        kind = "response.incomplete"
        return [*made, *self._end({"type": kind, "sequence_number": 0, "response": response}, kind)]

    def _begin(self) -> list[Event]:
        """The held events, when the answer begins."""
        held, self._held = self._held, []
        self.state = State.STARTED
        return held

    def _note(self, event: Event, kind: str) -> None:
        delta = event.get("delta")
        if isinstance(delta, str):
            self._delta_bytes += len(delta) if delta.isascii() else count_bytes(delta)  # the hot path, as below
            self._unfinished.add_delta(event, kind, delta)
        elif kind in DELTAS:
            raise StreamBroken("the backend sent a part of its answer that is not text", status=200)
        elif kind == "response.output_item.added":
            self._unfinished.add_detail(event, kind)
            place = event.get("output_index")
            self._places[text_of(object_of(event.get("item")).get("id"))] = place
            self._last_place = max(self._last_place, place if isinstance(place, int) else -1)
        elif kind == "response.output_item.done":
            item = object_of(event.get("item"))
            found = self._find_place(event, item)
            self._items[found] = item
            self._unfinished.compare(item, found)
            self._unfinished.finish(item.get("id"), found)
            if item.get("type") == "reasoning":
                self._note_reasoning(item.get("encrypted_content"))
        elif kind in _PREFACE and "response" in event:
            self._response = object_of(event["response"])
        else:
            self._unfinished.add_detail(event, kind)

    def _find_place(self, event: Event, item: Mapping[str, Any]) -> int:
        """The item's place in the output, which its last event may lack."""
        known = (event.get("output_index"), self._places.get(text_of(item.get("id"))))
        found = next((place for place in known if isinstance(place, int)), self._last_place + 1)
        self._last_place = max(self._last_place, found)
        return found

    def _rewrite(self, event: Event) -> Event:
        """``event`` for the client: with its own names of the model and of tools, and the next sequence number."""
        if self._restores_names:
            event = restore_names(event, self._tool_names)
        if "headers" in event:
            event = {**event, **self._rename_headers(event)}
        response = event.get("response")
        if isinstance(response, dict) and "model" in response:
            event = {**event, "response": {**response, **self._own, **self._rename_headers(response)}}
        number = event.get("sequence_number")
        if not isinstance(number, int):
            return event
        if not self._verbatim:
            event = {**event, "sequence_number": self._next_number}
            number = self._next_number
        self._next_number = number + 1
        return event

    def _rename_headers(self, holder: Mapping[str, Any]) -> dict[str, Any]:
        """The headers in an event or a response, with the client's name of the model."""
        headers = holder.get("headers")
        return {"headers": self.name_model(headers)} if isinstance(headers, dict) else {}

    def _end(self, event: Event, kind: str) -> list[Event]:
        response = dict(object_of(event.get("response")))
        self.usage = read_usage(response.get("usage"))
        details = object_of(response.get("incomplete_details"))
        self.stop_reason = text_of(details.get("reason")) or _ENDS[kind]
        output = objects_of(response.get("output"))
        repeated = self._place(output)
        for place, item in repeated.items():
            self._unfinished.compare(item, place)
            check_repeated(self._items.get(place, {}), item)
        closing = self._close_unfinished(_ENDS[kind], repeated)
        if output:
            self._items = dict(enumerate(output))
        else:
            response["output"] = self._output()
        if isinstance(response.get("usage"), dict):
            response["usage"] = _fill_usage(response["usage"])
        ending = {**event, "type": f"response.{_ENDS[kind]}", "response": response}
        made = [*self._begin(), *closing, self._rewrite(ending)]
        self.state = State.ENDED
        return made

    def _place(self, output: list[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        """The items of the last event, by their place in the answer: it may leave out some, and the id of others."""
        places = self._places | {text_of(item.get("id")): place for place, item in self._items.items()}
        repeated: dict[int, Mapping[str, Any]] = {}
        for index, item in enumerate(output):
            item_id = text_of(item.get("id"))
            known = places.get(item_id) if item_id else None
            repeated[known if isinstance(known, int) else index] = item
        return repeated

    def _close_unfinished(self, status: str, repeated: Mapping[int, Mapping[str, Any]]) -> list[Event]:
        """The last event of each item that the backend began and did not finish.

        ``repeated`` are the items of the last event, which may be whole.
        """
        closing: list[Event] = []
        for known, item in self._unfinished.complete(status):
            place = self._find_place({"output_index": known}, item)
            item.setdefault("id", f"{ID_PREFIXES[item['type']]}_{place}")  # strict clients require one
            whole = repeated.get(place, {})
            whole = whole if whole.get("type") == item["type"] else item
            self._items[place] = whole
            done = {"type": "response.output_item.done", "output_index": place, "item": whole}
            closing.append(self._rewrite({**done, "sequence_number": self._next_number}))
        return closing

    def _output(self) -> list[Mapping[str, Any]]:
        return [self._items[index] for index in sorted(self._items)]


def restore_names(event: Event, tool_names: ToolNames) -> Event:
    """``event`` with the client's names of tools: in calls, and where the response repeats the request."""
    restored = _restore(event, tool_names)
    for key in ("item", "response"):
        if isinstance(inner := event.get(key), dict):
            restored[key] = _restore(inner, tool_names)
    return restored


def _restore(named: Mapping[str, Any], tool_names: ToolNames) -> dict[str, Any]:
    """A tool, a call, or an object that holds some."""
    restored = dict(named)
    for key in ("name", "namespace"):
        if isinstance(name := named.get(key), str):
            restored[key] = tool_names.restore(name)
    for key in ("tools", "output"):
        if isinstance(held := named.get(key), list):
            restored[key] = [_restore(each, tool_names) if isinstance(each, dict) else each for each in held]
    if isinstance(choice := named.get("tool_choice"), dict):
        restored["tool_choice"] = _restore(choice, tool_names)
    return restored


def _fill_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {**usage, **{name: {**zeros, **object_of(usage.get(name))} for name, zeros in _DETAILS.items()}}


class CompactionStream(ResponsesStream):
    """The answer to a compaction: its last event holds a ``response.compaction`` document.

    The backend sends only the item that stands for the rest of the conversation. As in OpenAI's API, the user's own
    messages, ``kept``, stay in front of it.
    """

    def __init__(self, *, kept: list[Mapping[str, Any]], **options: Any) -> None:
        super().__init__(**options)
        self._kept = kept

    @property
    def is_empty(self) -> bool:
        return self.state is State.ENDED and not self._list_compactions()

    def _list_compactions(self) -> list[Mapping[str, Any]]:
        return [item for item in self._output() if item.get("type") in COMPACTIONS]

    def _end(self, event: Event, kind: str) -> list[Event]:
        *made, ending = super()._end(event, kind)
        response = ending["response"]
        document = {
            "id": response.get("id"),
            "object": "response.compaction",
            "created_at": response.get("created_at"),
            "output": [*self._kept, *self._list_compactions()],
            "usage": response.get("usage"),
        }
        return [*made, {**ending, "response": document}]


class ResponseCollector:
    """Finds the response of one answer, which is in the last event."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}

    def receive_events(self, events: Iterable[Event]) -> None:
        for event in events:
            if event["type"] in ("response.completed", "response.incomplete"):
                self.document = event["response"]


# -- the client's token limit ---------------------------------------------------------------------


class ResponseCut:
    """Applies ``max_output_tokens`` to the events of an answer, because the backend accepts no limit."""

    def __init__(self, text: TextCut) -> None:
        self._text = text
        self._items: dict[str, Mapping[str, Any]] = {}
        """Item id -> the item as it was added."""
        self._texts: dict[str, dict[int, list[str]]] = {}
        """Item id -> content index -> the pieces of the text so far."""

    def receive_event(self, event: Event) -> list[Event] | None:
        """The last events of the message if ``event`` exceeds the limit; otherwise None."""
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
    """``event`` with a number for the stream to replace."""
    return {**event, "sequence_number": 0}
