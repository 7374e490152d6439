"""A Responses body as a Chat Completions request for Kilo.

The request is built from an allow-list, so that nothing reaches Kilo unchecked: no session, no cache key, no user id.
Whatever Kilo has no field for goes into the request's loss ledger, under its name in the Responses API.
Source: kilo.ai/docs/gateway/api-reference ("Chat completions"); for ``reasoning`` and ``parallel_tool_calls``,
openrouter.ai/docs/api-reference/parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codexd import jsontext
from codexd.translation.backend import object_of, objects_of, text_of
from codexd.translation.client_api import Body
from codexd.translation.kilo.models import STRONGEST_EFFORT
from codexd.translation.models.catalogue import EFFORTS
from codexd.translation.reading.losses import Losses, LossKind

Message = dict[str, Any]
Part = dict[str, Any]

_NATIVE = {"max_output_tokens": "max_tokens", "temperature": "temperature", "top_p": "top_p"}
"""Responses field -> its name in Chat Completions."""

_ITEM_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset(("role", "content", "phase")),
    "function_call": frozenset(("call_id", "name", "arguments")),
    "function_call_output": frozenset(("call_id", "output")),
    "custom_tool_call": frozenset(("call_id", "name", "input")),
    "custom_tool_call_output": frozenset(("call_id", "output", "name")),
}
_ANY_ITEM = frozenset(("type", "id", "status"))
_PART_FIELDS = frozenset(("type", "text", "refusal", "image_url", "filename", "file_data", "annotations", "logprobs"))
"""The fields of items and parts that are sent, or that say nothing to the model."""

_WITHOUT_LOSS = frozenset(
    (
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "stream",
        *_NATIVE,
        # These concern a backend that keeps state and caches by key, or identify the user. Kilo doesn't get them.
        "store",
        "include",
        "prompt_cache_key",
        "prompt_cache_retention",
        "client_metadata",
        "metadata",
        "user",
        "safety_identifier",
        "stream_options",
    )
)


def to_chat(body: Mapping[str, Any], model: str, losses: Losses) -> Body:
    """The request for Kilo's ``model``."""
    chat: Body = {
        "model": model,
        "messages": _to_messages(body, losses),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    tools = _to_tools(body, losses)
    if tools:
        chat["tools"] = tools
        chat.update(_to_tool_choice(body, tools, losses))
    chat.update(_to_reasoning(body, losses))
    chat.update(_to_response_format(body, losses))
    chat.update({name: body[field] for field, name in _NATIVE.items() if body.get(field) is not None})
    for field in body:
        if field not in _WITHOUT_LOSS and body[field] is not None:
            losses.add(LossKind.DROPPED, field, "Kilo does not accept this field")
    return chat


# -- messages -------------------------------------------------------------------------------------


def _to_messages(body: Mapping[str, Any], losses: Losses) -> list[Message]:
    writer = _Writer(losses)
    if instructions := text_of(body.get("instructions")):
        writer.messages.append({"role": "system", "content": instructions})
    items = body.get("input")
    if isinstance(items, str):
        writer.messages.append({"role": "user", "content": items})
    for item in objects_of(items):
        writer.add(item)
    writer.show_images()
    return writer.messages


class _Writer:
    """Turns items into messages, one at a time."""

    def __init__(self, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._losses = losses
        self._images: list[Part] = []
        """Images of results. Kilo's results are text, so the images follow all results of the turn."""

    def add(self, item: Mapping[str, Any]) -> None:
        kind = item.get("type") or "message"
        if isinstance(kind, str) and kind in _ITEM_FIELDS:
            self._note_unknown(f"input.{kind}", item, _ITEM_FIELDS[kind] | _ANY_ITEM)
        if kind in ("function_call_output", "custom_tool_call_output"):
            self._add_result(item)
            return
        self.show_images()
        match kind:
            case "message":
                self._add_message(item)
            case "function_call":
                self._add_call(item, text_of(item.get("arguments")) or "{}")
            case "custom_tool_call":
                self._losses.add(LossKind.APPROXIMATED, f"input.{kind}", "sent as a function with one text argument")
                self._add_call(item, jsontext.dumps_text({"input": text_of(item.get("input"))}))
            case "reasoning":
                note = "left out: only the model that wrote the reasoning can read it; the text stays"
                self._losses.add(LossKind.APPROXIMATED, f"input.{kind}", note)
            case _:
                self._losses.add(LossKind.DROPPED, f"input.{kind}", "Kilo has no items of this type")

    def _note_unknown(self, path: str, value: Mapping[str, Any], known: frozenset[str]) -> None:
        for field in value.keys() - known:
            if value[field] is not None:
                self._losses.add(LossKind.DROPPED, f"{path}.{field}", "Kilo does not accept this field")

    def show_images(self) -> None:
        if self._images:
            self.messages.append({"role": "user", "content": self._images})
            self._images = []

    def _add_message(self, item: Mapping[str, Any]) -> None:
        parts = self._to_parts(item.get("content"))
        if not parts:
            return
        match item.get("role"):
            case "assistant":
                self._assistant()["content"] = _join([self._assistant()["content"], *_texts(parts)])
            case "system" | "developer":
                self.messages.append({"role": "system", "content": _join(_texts(parts))})
            case role:
                if role != "user":
                    self._losses.add(LossKind.APPROXIMATED, "input.message.role", "sent as a user message")
                only_text = len(parts) == 1 and parts[0]["type"] == "text"
                self.messages.append({"role": "user", "content": parts[0]["text"] if only_text else parts})

    def _assistant(self) -> Message:
        """The assistant's current message, or a new one."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        return self.messages[-1]

    def _add_call(self, item: Mapping[str, Any], arguments: str) -> None:
        function = {"name": text_of(item.get("name")), "arguments": arguments}
        calls = self._assistant().setdefault("tool_calls", [])
        calls.append({"id": text_of(item.get("call_id")), "type": "function", "function": function})

    def _add_result(self, item: Mapping[str, Any]) -> None:
        parts = self._to_parts(item.get("output"))
        images = [part for part in parts if part["type"] != "text"]
        if images:
            note = "the images of a result are sent after it, as a user message"
            self._losses.add(LossKind.APPROXIMATED, f"input.{item['type']}.output", note)
            self._images += images
        content = _join(_texts(parts)) or ("(see the next message)" if images else "")
        self.messages.append({"role": "tool", "tool_call_id": text_of(item.get("call_id")), "content": content})

    def _to_parts(self, content: Any) -> list[Part]:
        if isinstance(content, str):
            return [{"type": "text", "text": content}] if content else []
        if content is not None and not isinstance(content, list):
            self._losses.add(LossKind.DROPPED, "input.content", "Kilo accepts only a string or a list of parts")
        parts = [self._to_part(part) for part in objects_of(content)]
        return [part for part in parts if part is not None]

    def _to_part(self, part: Mapping[str, Any]) -> Part | None:
        kind = text_of(part.get("type"))
        text = text_of(part.get("refusal" if kind == "refusal" else "text"))
        if text or kind in ("input_text", "output_text", "text", "refusal"):
            self._note_unknown(f"input.{kind or 'content'}", part, _PART_FIELDS)
            return {"type": "text", "text": text} if text else None
        url = text_of(part.get("image_url"))
        if kind == "input_image" and url:
            self._note_unknown(f"input.{kind}", part, _PART_FIELDS)
            return {"type": "image_url", "image_url": {"url": url}}
        name = text_of(part.get("filename"))
        self._losses.add(LossKind.DROPPED, f"input.{kind or 'content'}", "Kilo accepts only text and images")
        return {"type": "text", "text": f"[{name or kind}: left out, because it can't be sent to this model]"}


def _texts(parts: Iterable[Part]) -> list[str]:
    return [part["text"] for part in parts if part["type"] == "text"]


def _join(texts: Iterable[str | None]) -> str | None:
    return "\n\n".join(filter(None, texts)) or None


# -- tools ----------------------------------------------------------------------------------------


def _to_tools(body: Mapping[str, Any], losses: Losses) -> list[dict[str, Any]]:
    tools = []
    for tool in objects_of(body.get("tools")):
        kind = text_of(tool.get("type"))
        if kind == "function":
            tools.append({"type": "function", "function": _to_function(tool)})
        else:
            losses.add(LossKind.DROPPED, f"tools.{text_of(tool.get('name')) or kind}", "Kilo accepts only functions")
    return tools


def _to_function(tool: Mapping[str, Any]) -> dict[str, Any]:
    function: dict[str, Any] = {"name": text_of(tool.get("name"))}
    if description := text_of(tool.get("description")):
        function["description"] = description
    function["parameters"] = tool.get("parameters") or {"type": "object", "properties": {}}
    return {**function, "strict": True} if tool.get("strict") is True else function


def _to_tool_choice(body: Mapping[str, Any], tools: list[dict[str, Any]], losses: Losses) -> Body:
    chosen: Body = {}
    choice = body.get("tool_choice")
    if choice in ("auto", "none", "required"):
        chosen["tool_choice"] = choice
    elif isinstance(choice, dict):
        name = choice.get("name") if choice.get("type") == "function" else None
        if any(tool["function"]["name"] == name for tool in tools):
            chosen["tool_choice"] = {"type": "function", "function": {"name": name}}
        else:
            losses.add(LossKind.DROPPED, "tool_choice", "the tool is not sent to Kilo")
    elif choice is not None:
        losses.add(LossKind.DROPPED, "tool_choice", "Kilo does not know this choice")
    if isinstance(body.get("parallel_tool_calls"), bool):
        chosen["parallel_tool_calls"] = body["parallel_tool_calls"]
    return chosen


# -- the rest -------------------------------------------------------------------------------------


def _to_reasoning(body: Mapping[str, Any], losses: Losses) -> Body:
    reasoning = object_of(body.get("reasoning"))
    for field in reasoning.keys() - {"effort", "summary"}:  # Kilo always shows its reasoning
        losses.add(LossKind.DROPPED, f"reasoning.{field}", "Kilo does not accept this field")
    effort = reasoning.get("effort")
    if effort is None:
        return {}
    if effort not in EFFORTS:
        losses.add(LossKind.DROPPED, "reasoning.effort", "Kilo does not know this effort")
        return {}
    if EFFORTS.index(effort) > EFFORTS.index(STRONGEST_EFFORT):
        losses.add(LossKind.APPROXIMATED, "reasoning.effort", f"sent as {STRONGEST_EFFORT}, the most that Kilo accepts")
        effort = STRONGEST_EFFORT
    return {"reasoning": {"effort": effort}}


def _to_response_format(body: Mapping[str, Any], losses: Losses) -> Body:
    text = object_of(body.get("text"))
    if text.get("verbosity"):
        losses.add(LossKind.DROPPED, "text.verbosity", "Kilo has no verbosity setting")
    wanted = object_of(text.get("format"))
    match wanted.get("type"):
        case "json_schema":
            schema = {key: wanted[key] for key in ("name", "description", "schema", "strict") if key in wanted}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case None | "text":
            return {}
    losses.add(LossKind.DROPPED, "text.format", "Kilo does not know this format")
    return {}
