"""A Responses request: from an SDK, written for OpenAI's API platform, or from the Codex CLI, written for the backend.

The body for an SDK's request is built from an allow-list, the table of fates. The Codex CLI's body stays unchanged,
except for the fields that codexd sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

from attrs import define, evolve, field, frozen

from codexd import jsontext
from codexd.translation.backend import COMPACTION_TRIGGER, LITE_HEADER, SEALED_REASONING, make_body, objects_of
from codexd.translation.client_api import AnswerStream, Body, Client, Purpose, Target
from codexd.translation.models.catalogue import EFFORTS
from codexd.translation.reading.conversation import to_session_key
from codexd.translation.reading.effort import AskedTier, fit_effort, fit_tier, fit_verbosity
from codexd.translation.reading.fates import apply_fates
from codexd.translation.reading.fields import Fields, parse_body, read_model
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.pairing import Item
from codexd.translation.reading.parts import locate
from codexd.translation.reading.reasoning import ReasoningOwners
from codexd.translation.reading.schema import fit_answer_schema, fit_strict
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.responses.dialects import to_native
from codexd.translation.responses.fates import TABLES, keep
from codexd.translation.responses.headers import is_header_value, make_headers, with_compaction
from codexd.translation.responses.items import (
    list_parts,
    read_input,
    read_part,
    repair_history,
    strip_cache_marks,
    to_items,
)
from codexd.translation.responses.memory import AnswerMemory, Conversation, find_previous, resolve
from codexd.translation.responses.stream import CompactionStream, ResponsesStream
from codexd.translation.responses.tools import list_names, to_tool_choice, to_tools
from codexd.translation.tokens import count_body

MAX_CACHE_KEY_CHARS = 64

_UNKNOWN_INCLUDES = ("message.", "file_search_call.", "computer_call", "code_interpreter_call.")
"""Prefixes of names that the backend rejects in ``include``."""


@define
class ResponsesRequest:
    """What a client asked for.

    ``owners`` remembers which account the reasoning of each answer belongs to; ``keep_answer`` is called with the whole
    response and the time; ``answer`` is the last stream opened.
    """

    body: Fields
    items: list[Fields]
    client: Client
    model: str
    stream: bool
    max_tokens: int | None
    losses: Losses
    session_key: str
    headers: Mapping[str, str]
    owners: ReasoningOwners
    tool_names: ToolNames
    keep_answer: Callable[[Mapping[str, Any], float], None] = lambda _, __: None
    answer: ResponsesStream | None = field(default=None, init=False)
    purpose: ClassVar[Purpose] = Purpose.TURN

    def to_backend(self, target: Target) -> Body:
        """The body for the backend.

        Raises:
            RequestInvalid: names the field.
        """
        return _of_codex_cli(self, target) if self.client is Client.CODEX else _of_sdk(self, target)

    def locate(self, part: Mapping[str, Any]) -> str | None:
        return locate(list_parts(self.items), part, lambda found: [found[0].value, read_part(found[0])])

    def open_stream(self, body: Body, target: Target, request_id: str) -> AnswerStream:  # noqa: ARG002 - ids are the backend's
        self.answer = ResponsesStream(
            model=self.model,
            sent_model=target.model.slug,
            verbatim=self.client is Client.CODEX,
            tool_names=self.tool_names,
            note_reasoning=partial(self.owners.note, account_tag=target.account_tag),
            note_answer=self.keep_answer,
            previous_response_id=self.body.get("previous_response_id"),
            max_tokens=self.max_tokens,
            count_input=partial(count_body, body),
        )
        return self.answer

    def list_items(self, target: Target) -> list[tuple[Item, Fields]]:
        """The items that ``target`` accepts, each with its source."""

        def may_read(sealed: str) -> bool:
            if not target.keep_reasoning:
                self.owners.note_refused(sealed, target.account_tag)
                return False
            return not self.owners.is_foreign(sealed, target.account_tag)

        return to_items(self.items, may_read=may_read)


@define
class CompactRequest(ResponsesRequest):
    """A request for ``/v1/responses/compact``. The backend compacts a conversation that ends with a trigger."""

    def to_backend(self, target: Target) -> Body:
        body = super().to_backend(target)
        items = [item for item in body["input"] if item.get("type") != COMPACTION_TRIGGER]
        return {**body, "input": [*items, {"type": COMPACTION_TRIGGER}]}

    def open_stream(self, body: Body, target: Target, request_id: str) -> ResponsesStream:  # noqa: ARG002 - as above
        self.answer = CompactionStream(
            kept=[item for item in body["input"] if item.get("role") == "user"],
            model=self.model,
            sent_model=target.model.slug,
            verbatim=self.client is Client.CODEX,
            note_reasoning=partial(self.owners.note, account_tag=target.account_tag),
        )
        return self.answer


@frozen
class Recall:
    """What codexd remembers when a request arrives: earlier answers, and which account each reasoning belongs to.

    ``now`` is in seconds since the epoch.
    """

    owners: ReasoningOwners = field(factory=ReasoningOwners)
    answers: AnswerMemory = field(factory=AnswerMemory)
    now: float = 0.0


def parse(data: bytes, headers: Mapping[str, str], client: Client, recall: Recall) -> ResponsesRequest:
    """The request in the HTTP body ``data``; ``headers`` has lower-case names.

    Raises:
        RequestInvalid: names the field.
    """
    request = read_request(parse_body(data), headers, client, recall, ResponsesRequest)
    if request.body.get("store") is not False:
        request.keep_answer = partial(_keep_answer, request, recall)
    return request


def parse_compact(data: bytes, headers: Mapping[str, str], client: Client, recall: Recall) -> CompactRequest:
    """The same for ``compact``, whose answer is one document."""
    request = read_request(parse_body(data), headers, client, recall, CompactRequest)
    return evolve(request, stream=False, max_tokens=None, headers=with_compaction(request.headers))


def parse_count(data: bytes, recall: Recall) -> ResponsesRequest:
    """The same for ``input_tokens``, which needs no model."""
    body = parse_body(data)
    return read_request(evolve(body, value={"model": "", **body.value}), {}, Client.OTHER, recall, ResponsesRequest)


R = TypeVar("R", bound=ResponsesRequest)


def read_request(body: Fields, headers: Mapping[str, str], client: Client, recall: Recall, kind: type[R]) -> R:
    is_codex = client is Client.CODEX
    model, stream = read_model(body), body.boolean("stream")
    if not is_codex:
        apply_fates(body, TABLES)
    previous = find_previous(body, recall.answers, now=recall.now)
    body = evolve(body, value=strip_cache_marks(body.value))
    items = read_input(body) if is_codex else to_native(read_input(body))
    items = resolve(items, recall.answers, now=recall.now)
    if previous is not None:
        earlier = enumerate(previous.items)
        items = [*(Fields(item, f"previous_response_id[{index}]", body.losses) for index, item in earlier), *items]
    session = _name_conversation(body, items, headers, previous)
    return kind(
        body=body,
        items=items,
        client=client,
        model=model,
        stream=stream,
        max_tokens=None if is_codex else body.optional_count("max_output_tokens"),
        losses=body.losses,
        session_key=session,
        owners=recall.owners,
        tool_names=ToolNames() if is_codex else ToolNames(list_names(body, items)),
        headers=make_headers(headers, session, items, is_codex=is_codex),
    )


def _keep_answer(request: ResponsesRequest, recall: Recall, response: Mapping[str, Any], now: float) -> None:
    """Remember the conversation with its answer, for requests that refer to it."""
    response_id, output = response.get("id"), objects_of(response.get("output"))
    if isinstance(response_id, str):
        items = [*(item.value for item in request.items), *map(dict, output)]
        recall.answers.remember(Conversation.of(response_id, request.session_key, items), now=now)


def _name_conversation(
    body: Fields, items: list[Fields], headers: Mapping[str, str], previous: Conversation | None
) -> str:
    """The Codex CLI's thread; else a hash of the client's cache key; else a hash of the conversation's beginning."""
    thread = headers.get("thread-id", "")
    if is_header_value(thread):
        return thread
    key = body.get("prompt_cache_key")
    if previous is not None and not key:
        return previous.session
    if not isinstance(key, str) or not key:
        opening = next((item.get("content") for item in items if item.get("role") == "user"), None)
        key = hashlib.sha256(jsontext.dumps([body.get("instructions"), opening])).hexdigest()
    return to_session_key(f"responses/{key}")


def _find_cache_key(request: ResponsesRequest) -> str:
    """The client's own key if it has one that can be sent, or else the conversation's name."""
    key = request.body.get("prompt_cache_key")
    if isinstance(key, str) and 0 < len(key) <= MAX_CACHE_KEY_CHARS:
        return key
    if key is not None:
        request.body.lose(LossKind.COSMETIC, "prompt_cache_key", "codexd makes a key that the backend accepts")
    return request.session_key[:MAX_CACHE_KEY_CHARS]


# -- the Codex CLI --------------------------------------------------------------------------------


def _of_codex_cli(request: ResponsesRequest, target: Target) -> Body:
    """The client's body, with the fields that codexd sets."""
    items = [item for item, _ in request.list_items(target)]
    own = {name: value for name, value in request.body.value.items() if name != "previous_response_id"}
    body: Body = {**own, "model": target.model.slug, "input": items, "store": False, "stream": True}
    body["prompt_cache_key"] = _find_cache_key(request)
    if body.get("service_tier") == "fast":
        body["service_tier"] = "priority"
    if isinstance(body.get("reasoning"), dict):
        body["reasoning"] = _fit_reasoning(request, body["reasoning"], target)
    return body if target.model.takes_lite else _to_classic(body)


def _fit_reasoning(request: ResponsesRequest, reasoning: dict[str, Any], target: Target) -> dict[str, Any]:
    """``reasoning`` for a model that the client may not have chosen."""
    effort = reasoning.get("effort")
    if effort not in EFFORTS:
        return reasoning
    return {**reasoning, "effort": fit_effort(effort, target.model, "reasoning.effort", request.losses)}


def _to_classic(body: Body) -> Body:
    """A Responses Lite body, which has its tools in an item of the input, in the classic form."""
    moved = [item for item in body["input"] if item.get("type") == "additional_tools"]
    own = body.get("tools") or []
    if not moved or not isinstance(own, list):
        return body
    tools = [tool for item in moved for tool in objects_of(item.get("tools"))]
    return {
        **body,
        "tools": [*own, *tools],
        "input": [item for item in body["input"] if item.get("type") != "additional_tools"],
    }


# -- SDKs -----------------------------------------------------------------------------------------


def _of_sdk(request: ResponsesRequest, target: Target) -> Body:
    body = request.body
    instructions, items = body.optional_string("instructions") or "", repair_history(request.list_items(target))
    sent = make_body(target.model.slug, instructions, items, _find_cache_key(request))
    choices = {
        "include": _to_include(body),
        "tools": to_tools(body),
        "tool_choice": to_tool_choice(body),
        "parallel_tool_calls": _find_parallel(request),
        "reasoning": _to_reasoning(body, target),
        "text": _to_text(body, target),
        "service_tier": _to_tier(body, target),
        "stream_options": _to_stream_options(body),
        "client_metadata": body.get("client_metadata"),
    }
    return {**sent, **{name: value for name, value in choices.items() if value not in (None, {}, [])}}


def _to_include(body: Fields) -> list[str]:
    names = {SEALED_REASONING: None}
    for index, name in enumerate(body.strings("include")):
        if name.startswith(_UNKNOWN_INCLUDES):
            body.lose(LossKind.DROPPED, f"include[{index}]", f"the backend does not provide {name}")
        else:
            names[name] = None
    return list(names)


def _find_parallel(request: ResponsesRequest) -> bool | None:
    """Sent only with tools; always False under Responses Lite, which allows no parallel calls."""
    body = request.body
    if LITE_HEADER in request.headers or any(item.get("type") == "additional_tools" for item in request.items):
        if body.get("parallel_tool_calls") not in (None, False):
            note = "sent as false, because the backend allows no parallel calls with tools in the input"
            body.lose(LossKind.APPROXIMATED, "parallel_tool_calls", note)
        return False
    parallel = body.boolean("parallel_tool_calls", default=True)
    return parallel if body.get("tools") and body.get("parallel_tool_calls") is not None else None


def _to_reasoning(body: Fields, target: Target) -> dict[str, Any]:
    asked = body.optional_object("reasoning")
    reasoning = keep(asked, TABLES["reasoning"].shapes[""]) if asked else {}
    summary = reasoning.pop("generate_summary", None)
    if summary is not None:
        reasoning.setdefault("summary", summary)
    effort = reasoning.get("effort") or target.default_effort
    if effort in EFFORTS:
        named = "reasoning.effort" if asked and asked.get("effort") else None
        reasoning["effort"] = fit_effort(effort, target.model, named, body.losses)
    return reasoning


def _to_text(body: Fields, target: Target) -> dict[str, Any]:
    asked = body.optional_object("text")
    text = keep(asked, TABLES["text"].shapes[""]) if asked else {}
    older = body.optional_object("response_format")
    if asked and isinstance(text.get("format"), dict):
        text["format"] = _fit_format(asked.object("format"))
    elif older and "format" not in text:
        nested = older.optional_object("json_schema")
        text["format"] = {"type": older.get("type"), **_fit_format(nested)} if nested else _fit_format(older)
    verbosity = fit_verbosity(text.pop("verbosity", None), target.model, "text.verbosity", body.losses)
    return text if verbosity is None else {**text, "verbosity": verbosity}


def _fit_format(form: Fields) -> dict[str, Any]:
    """The format of the answer, with a schema that the backend accepts."""
    if form.get("schema") is None:
        return form.value
    schema = fit_answer_schema(form)
    strict = {"strict": fit_strict(form, schema)} if form.get("strict") is True else {}
    return {**form.value, "schema": schema, **strict}


def _to_tier(body: Fields, target: Target) -> str | None:
    asked = body.get("service_tier")
    if asked in (None, "auto", "default", "priority", "fast"):
        path = "service_tier" if asked in ("priority", "fast") else None
        tier = AskedTier(path, is_usual=asked == "default")
        return fit_tier(tier, target.model, target.default_tier, body.losses)
    body.lose(LossKind.DROPPED, "service_tier", f"{target.model.slug} does not have this tier on a ChatGPT plan")
    return None


def _to_stream_options(body: Fields) -> dict[str, Any]:
    asked = body.optional_object("stream_options")
    return keep(asked, TABLES["stream_options"].shapes[""]) if asked else {}
