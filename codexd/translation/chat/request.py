"""A Chat Completions request: read with errors that name the field, and written as a body for the backend.

The body is built from an allow-list, because the backend rejects every field that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from codexd.errors import RequestInvalid
from codexd.translation.backend import make_body
from codexd.translation.chat.effort import Effort, read_effort
from codexd.translation.chat.fates import TABLES
from codexd.translation.chat.history import list_called, list_media, to_input
from codexd.translation.chat.stream import ChatStream
from codexd.translation.chat.tools import Tool, read_tools, to_tool_choice
from codexd.translation.client_api import Body, Purpose, Target
from codexd.translation.messages.content import to_parts
from codexd.translation.reading.conversation import fingerprint, read_messages, to_cache_key, to_session_key
from codexd.translation.reading.effort import AskedTier, fit_effort, fit_tier, fit_verbosity
from codexd.translation.reading.fates import apply_fates
from codexd.translation.reading.fields import Fields, parse_body, read_model
from codexd.translation.reading.losses import Losses
from codexd.translation.reading.pairing import Item
from codexd.translation.reading.parts import locate, read_content
from codexd.translation.reading.schema import fit_answer_schema, fit_strict
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.tokens import count_body

VERBOSITIES = ("low", "medium", "high")


@frozen
class ChatRequest:
    """What a client asked for.

    ``functions`` is true for the old form of tools, which is answered in the old form. ``session`` is the client's
    own cache key, if it sends one.
    """

    model: str
    messages: list[Fields]
    tools: list[Tool]
    tool_names: ToolNames
    tool_choice: Mapping[str, Any]
    functions: bool
    effort: Effort
    format: Mapping[str, Any] | None
    verbosity: str | None
    stream: bool
    include_usage: bool
    session: str | None
    max_tokens: int | None
    stop: tuple[str, ...]
    tier: AskedTier
    losses: Losses
    headers: Mapping[str, str] = field(factory=dict)
    purpose: ClassVar[Purpose] = Purpose.TURN

    @property
    def session_key(self) -> str:
        return to_session_key(_name_conversation(self))

    def to_backend(self, target: Target) -> Body:
        """The body for the backend.

        Raises:
            RequestInvalid: names the field.
        """
        return _to_backend(self, target)

    def locate(self, part: Mapping[str, Any]) -> str | None:
        return locate(list_media(self.messages), part, to_parts)

    def open_stream(self, body: Body, target: Target, request_id: str) -> ChatStream:
        return ChatStream(
            completion_id=f"chatcmpl-{request_id.removeprefix('req_')}",
            model=self.model,
            upstream_model=target.model.slug,
            account_tag=target.account_tag,
            tool_names=self.tool_names,
            functions=self.functions,
            shows_reasoning=self.effort.shown,
            # An answer that is not streamed always contains its usage.
            include_usage=self.include_usage or not self.stream,
            stop=self.stop,
            max_tokens=self.max_tokens,
            service_tier="priority" if "service_tier" in body else "default",
            count_input=lambda: count_body(body),
        )


def parse(data: bytes) -> ChatRequest:
    """The request in the HTTP body ``data``. Unknown fields are not an error, because clients may be newer than codexd.

    Raises:
        RequestInvalid: names the field.
    """
    return read_request(parse_body(data))


# -- reading --------------------------------------------------------------------------------------


def read_request(body: Fields) -> ChatRequest:
    messages = read_messages(body)
    _refuse_impossible(body)
    apply_fates(body, TABLES)
    tools = read_tools(body)
    functions = bool(body.get("functions"))
    options = body.optional_object("stream_options")
    return ChatRequest(
        model=read_model(body),
        messages=messages,
        tools=tools,
        tool_names=ToolNames([*(tool.name for tool in tools if tool.name), *list_called(messages)]),
        tool_choice=to_tool_choice(body, tools, one_call=functions),
        functions=functions,
        effort=read_effort(body, messages),
        format=read_format(body),
        verbosity=_read_verbosity(body),
        stream=body.boolean("stream"),
        include_usage=options.boolean("include_usage") if options else False,
        session=body.optional_string("prompt_cache_key"),
        # max_completion_tokens is the newer name.
        max_tokens=body.optional_count("max_completion_tokens") or body.optional_count("max_tokens"),
        stop=_read_stop(body),
        tier=_read_tier(body),
        losses=body.losses,
    )


def _refuse_impossible(body: Fields) -> None:
    """Refuse values that the backend does not support, in fields that are otherwise carried."""
    if body.get("n") is not None and body.integer("n") != 1:
        raise body.wrong("n", "must be 1; the backend gives one answer")
    if any(modality != "text" for modality in body.strings("modalities")):
        raise body.wrong("modalities", "only text is supported")


def _read_verbosity(body: Fields) -> str | None:
    verbosity = body.optional_string("verbosity")
    if verbosity is not None and verbosity not in VERBOSITIES:
        raise body.wrong("verbosity", f"must be one of {', '.join(VERBOSITIES)}")
    return verbosity


def _read_stop(body: Fields) -> tuple[str, ...]:
    stop = body.get("stop")
    return (stop,) if isinstance(stop, str) else tuple(body.strings("stop"))


def _read_tier(body: Fields) -> AskedTier:
    if body.get("service_tier") in ("priority", "fast"):
        return AskedTier("service_tier")
    path = "fast_mode" if body.get("fast_mode") is True else None
    return AskedTier(
        path, is_usual=body.get("service_tier") in ("default", "standard") or body.get("fast_mode") is False
    )


# -- writing --------------------------------------------------------------------------------------


def _to_backend(request: ChatRequest, target: Target) -> Body:
    slug, items = target.model.slug, to_input(request.messages, target)
    if not items:
        raise RequestInvalid("messages", "at least one message with content is required")
    body = make_body(slug, "", _with_json_line(request, items), to_cache_key(slug, _name_conversation(request)))
    if request.tools:
        body["tools"] = [tool.body for tool in request.tools]
        body.update(request.tool_choice)
    if reasoning := _to_reasoning(request, target):
        body["reasoning"] = reasoning
    if text := _to_text(request, target):
        body["text"] = text
    tier = fit_tier(request.tier, target.model, target.default_tier, request.losses)
    if tier is not None:
        body["service_tier"] = tier
    return body


def _with_json_line(request: ChatRequest, items: list[Item]) -> list[Item]:
    """Add a line that asks for JSON: for ``json_object`` the backend requires the word JSON in the input.

    The line is looked for and added at the beginning of the conversation, so that what was sent before stays a prefix.
    """
    if request.format != {"type": "json_object"}:
        return items
    system, opening = _read_beginning(request)
    return items if "json" in f"{system} {' '.join(opening)}".lower() else [JSON_LINE, *items]


def _to_reasoning(request: ChatRequest, target: Target) -> dict[str, Any]:
    reasoning: dict[str, Any] = {}
    effort = request.effort
    level = effort.level or target.default_effort
    if level:
        reasoning["effort"] = fit_effort(level, target.model, effort.path if effort.level else None, request.losses)
    if effort.shown:
        reasoning["summary"] = effort.summary
    return reasoning


def _to_text(request: ChatRequest, target: Target) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if request.format is not None:
        text["format"] = request.format
    if verbosity := fit_verbosity(request.verbosity, target.model, "verbosity", request.losses):
        text["verbosity"] = verbosity
    return text


# -- the conversation -----------------------------------------------------------------------------


def _name_conversation(request: ChatRequest) -> str:
    """The client's own key; without one, a fingerprint of the first messages."""
    if request.session:
        return f"chat/{request.session}"
    return fingerprint(*_read_beginning(request))


def _read_beginning(request: ChatRequest) -> tuple[str, list[str]]:
    """The system prompt, and the texts of the first message after it."""
    system: list[str] = []
    for message in request.messages:
        texts = list(_read_texts(message))
        if message.get("role") not in ("system", "developer"):
            return "\n\n".join(system), texts
        system += texts
    return "\n\n".join(system), []


def _read_texts(message: Fields) -> Iterable[str]:
    for part in read_content(message, "content") if isinstance(message.get("content"), str | list) else ():
        text = part.get("text")
        if isinstance(text, str) and text:
            yield text


# -- the response format --------------------------------------------------------------------------

JSON_LINE: Item = {
    "type": "message",
    "role": "developer",
    "content": [{"type": "input_text", "text": "Answer with a JSON object."}],
}

_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS = 64


def read_format(body: Fields) -> dict[str, Any] | None:
    """``text.format`` of the body for the backend, from ``response_format``; None for plain text.

    Raises:
        RequestInvalid: names the field.
    """
    wanted = body.optional_object("response_format")
    if wanted is None:
        return None
    match wanted.string("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return _read_schema(wanted.object("json_schema"))
        case _:
            raise wanted.wrong("type", "must be text, json_object or json_schema")


def _read_schema(wanted: Fields) -> dict[str, Any]:
    name = _ILLEGAL.sub("_", wanted.filled_string("name"))[:_MAX_NAME_CHARS]
    schema = fit_answer_schema(wanted)
    made: dict[str, Any] = {"type": "json_schema", "name": name, "schema": schema}
    if description := wanted.optional_string("description"):
        made["description"] = description
    if wanted.get("strict") is not None:
        made["strict"] = fit_strict(wanted, schema, asked=wanted.boolean("strict"))
    return made
