"""The answer to a request that is not streamed: the events of the stream, assembled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codexd import jsontext


class MessageCollector:
    """Assembles the events of one ``MessagesStream`` into the message that they describe."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._texts: list[str] = []
        self._signature = ""
        self._citations: list[Any] = []

    def receive_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            match event["type"]:
                case "message_start":
                    self.document = event["message"]
                case "content_block_start":
                    self.document["content"].append(event["content_block"])
                    self._texts, self._signature, self._citations = [], "", []
                case "content_block_delta":
                    self._add(event["delta"])
                case "content_block_stop":
                    self._close(self.document["content"][-1])
                case "message_delta":
                    self.document.update(event["delta"])
                    self.document["usage"].update(event["usage"])

    def _add(self, delta: Mapping[str, Any]) -> None:
        match delta["type"]:
            case "signature_delta":
                self._signature = delta["signature"]
            case "citations_delta":
                self._citations.append(delta["citation"])
            case kind:
                self._texts.append(delta[_TEXT_OF[kind]])

    def _close(self, block: dict[str, Any]) -> None:
        text = "".join(self._texts)
        match block["type"]:
            case "text":
                block["text"] = text
                if self._citations:  # not null: @ai-sdk/anthropic refuses that
                    block["citations"] = self._citations
            case "thinking":
                block.update(thinking=text, signature=self._signature)
            case "tool_use" | "server_tool_use":
                block["input"] = read_arguments(text)


_TEXT_OF = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def read_arguments(text: str) -> dict[str, Any]:
    """A call's arguments as an object. Anything else is wrapped as Claude Code itself wraps unparsed input."""
    try:
        value = jsontext.loads(text or "{}")
    except ValueError:
        value = None
    if isinstance(value, dict) and not jsontext.find_too_deep(value):
        return value
    return {"__unparsedToolInput": {"raw": text, "len": len(text)}}
