"""The answer to a request that is not streamed: the chunks of the stream, assembled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from codexd.translation.client_api import Event


@define
class _Message:
    """The message of one answer, collected from its deltas. Texts are kept in pieces."""

    texts: dict[str, list[str]] = field(factory=dict)
    lists: dict[str, list[Any]] = field(factory=dict)
    calls: list[Event] = field(factory=list)
    function_call: Event | None = None

    def add(self, delta: Mapping[str, Any]) -> None:
        for key, value in delta.items():
            match key:
                case "tool_calls":
                    for entry in value:
                        self._add_call(entry)
                case "function_call":
                    self.function_call = self.function_call or {"name": value["name"], "arguments": []}
                    self.function_call["arguments"].append(value["arguments"])
                case "annotations" | "images" | "reasoning_details":
                    self.lists.setdefault(key, []).extend(value)
                case "role":
                    pass
                case _:
                    self.texts.setdefault(key, []).append(value)

    def _add_call(self, entry: Event) -> None:
        if "id" in entry:
            kind = entry["type"]
            called = {key: [value] if key != "name" else value for key, value in entry[kind].items()}
            self.calls.append({"id": entry["id"], "type": kind, kind: called})
            return
        call = self.calls[entry["index"]]
        for key, text in entry[call["type"]].items():
            call[call["type"]][key].append(text)

    def make(self) -> Event:
        """The complete message. ``content`` is null only if there is something else in its place."""
        calls = [{**call, call["type"]: _join(call[call["type"]])} for call in self.calls]
        content = self._text("content")
        instead = calls or self.function_call or self._text("refusal") or self.lists.get("images")
        message: Event = {
            "role": "assistant",
            "content": None if instead and not content else content,
            "refusal": self._text("refusal") or None,
            "annotations": self.lists.get("annotations", []),
        }
        if reasoning := self._text("reasoning_content"):
            message["reasoning_content"] = reasoning
        message.update({key: self.lists[key] for key in ("reasoning_details", "images") if key in self.lists})
        if calls:
            message["tool_calls"] = calls
        if self.function_call is not None:
            message["function_call"] = _join(self.function_call)
        return message

    def _text(self, key: str) -> str:
        return "".join(self.texts.get(key, ()))


def _join(called: Event) -> Event:
    return {key: value if isinstance(value, str) else "".join(value) for key, value in called.items()}


class ChatCollector:
    """Assembles the chunks of one ``ChatStream`` into the completion that they describe."""

    def __init__(self) -> None:
        self._head: Mapping[str, Any] = {}
        self._message = _Message()
        self._finish_reason: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        message = self._message.make()
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        return {
            **{key: self._head.get(key) for key in ("id", "object", "created", "model")},
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._head.get("usage"),
            "service_tier": self._head.get("service_tier"),
            "system_fingerprint": None,
        }

    def receive_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        for chunk in events:
            self._head = chunk
            for choice in chunk["choices"]:
                if "role" in choice["delta"]:
                    self._message = _Message()  # a new attempt, after an empty answer
                self._message.add(choice["delta"])
                self._finish_reason = choice["finish_reason"]
