"""A Messages request: read with errors that name the field, and written as a body for the backend.

The body is built from an allow-list, because the backend rejects every field that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from codexd import jsontext
from codexd.errors import RequestInvalid
from codexd.translation.backend import make_body
from codexd.translation.client_api import Body, Client, Event, Purpose, Target
from codexd.translation.messages import auto_mode
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.content import list_media, to_parts
from codexd.translation.messages.fates import NO_THREADS, TABLES
from codexd.translation.messages.history import to_input
from codexd.translation.messages.stream import MessagesStream, prewarm
from codexd.translation.messages.tools import (
    is_web_search,
    list_names,
    read_blocked_domains,
    read_tools,
    to_tool_choice,
    to_tools,
)
from codexd.translation.models.catalogue import EFFORTS
from codexd.translation.reading.conversation import fingerprint, read_messages, to_cache_key, to_session_key
from codexd.translation.reading.effort import AskedTier, effort_of_budget, fit_effort, fit_tier, fit_verbosity
from codexd.translation.reading.fates import apply_fates
from codexd.translation.reading.fields import Fields, parse_body, read_model
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.parts import locate, read_content
from codexd.translation.reading.schema import fit_answer_schema, fit_strict
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.tokens import count_body

_BILLING_LINE = re.compile(r"^[ \t]*x-anthropic-billing-header:.*\n?", re.IGNORECASE | re.MULTILINE)
_DISPLAYS = (None, "summarized", "updates", "omitted")
_OLD_SESSION = re.compile(r"_session_([0-9a-fA-F-]{36})$")


@frozen
class MessagesRequest:
    """What a client asked for.

    ``session`` is the client's own session and agent, if it names one; ``blocked_domains`` belong to its web search;
    ``reports_refusals`` is False for Claude Code, which hides the text of an answer that ends with a refusal; but its
    checks of actions report them.
    """

    model: str
    messages: list[Fields]
    system: str
    tools: list[Fields]
    tool_names: ToolNames
    tool_choice: Mapping[str, Any]
    effort: str | None
    thinking: Thinking
    format: Mapping[str, Any] | None
    stream: bool
    session: str | None
    max_tokens: int | None
    stop_sequences: tuple[str, ...]
    blocked_domains: tuple[str, ...]
    web_search_only: bool
    tier: AskedTier
    reports_refusals: bool
    losses: Losses
    purpose: Purpose = Purpose.TURN
    headers: Mapping[str, str] = field(factory=dict)

    @property
    def session_key(self) -> str:
        return to_session_key(_name_conversation(self))

    def to_backend(self, target: Target) -> Body:
        """The body for the backend.

        Raises:
            RequestInvalid: names the field.
        """
        body = _to_backend(self, target)
        if not body["input"]:
            raise RequestInvalid("messages", "at least one message with content is required")
        return body

    def locate(self, part: Mapping[str, Any]) -> str | None:
        return locate(list_media(self.messages), part, to_parts)

    def open_stream(self, body: Body, target: Target, request_id: str) -> MessagesStream:
        return MessagesStream(
            message_id=to_message_id(request_id),
            model=self.model,
            upstream_model=target.model.slug,
            account_tag=target.account_tag,
            tool_names=self.tool_names,
            thinking=self.thinking,
            reports_refusals=self.reports_refusals,
            stop_sequences=self.stop_sequences,
            max_tokens=self.max_tokens,
            web_search_only=self.web_search_only,
            blocked_domains=self.blocked_domains,
            speed="fast" if "service_tier" in body else None,
            is_usable=auto_mode.has_verdict if self.purpose is Purpose.AUTO_MODE_CHECK else None,
            count_input=lambda: count_body(body),
        )


@frozen
class PrewarmRequest(MessagesRequest):
    """A request with ``max_tokens: 0``, which clients send to fill a prompt cache. It is answered without a model."""

    def answer_alone(self, request_id: str, input_tokens: int) -> list[Event]:
        return prewarm(to_message_id(request_id), self.model, input_tokens)


@frozen
class CountRequest(MessagesRequest):
    """A request that is only counted, so none of its messages needs content."""

    def to_backend(self, target: Target) -> Body:
        return _to_backend(self, target)


def to_message_id(request_id: str) -> str:
    return f"msg_{request_id.removeprefix('req_')}"


def parse(data: bytes, headers: Mapping[str, str], client: Client = Client.OTHER) -> MessagesRequest:
    """The request in ``data``. Unknown fields are not an error, because clients may be newer than codexd.

    Args:
        data: the HTTP body.
        headers: lower-case names; ``x-claude-code-session-id`` and ``-agent-id`` are read.
        client: for Claude Code, what would be refused is dropped, because its users can't choose what it sends.

    Raises:
        RequestInvalid: names the field.
    """
    body = parse_body(data)
    if body.integer("max_tokens") < 0:
        raise body.wrong("max_tokens", "must not be negative")
    _refuse_prefill(read_messages(body))
    from_claude_code = client is Client.CLAUDE_CODE
    kind = MessagesRequest if body.get("max_tokens") else PrewarmRequest
    return _read(body, headers, kind, lenient=from_claude_code, reports_refusals=not from_claude_code)


def parse_count(data: bytes) -> MessagesRequest:
    """The same for ``count_tokens``: without ``max_tokens``, and with any end. What can't be sent is not counted."""
    return _read(parse_body(data), {}, CountRequest, lenient=True, reports_refusals=True)


# -- reading --------------------------------------------------------------------------------------


def _read(
    body: Fields, headers: Mapping[str, str], kind: type[MessagesRequest], *, lenient: bool, reports_refusals: bool
) -> MessagesRequest:
    messages = read_messages(body)
    _check_forms(body)
    apply_fates(body, TABLES, lenient=lenient)
    tools = read_tools(body)
    thinking = body.optional_object("thinking")
    is_check = lenient and auto_mode.is_check(messages, tools)
    return kind(
        model=read_model(body),
        messages=messages,
        system=_read_system(body),
        tools=tools,
        tool_names=ToolNames(list_names(body)),
        tool_choice=to_tool_choice(body, tools),
        effort=_read_effort(body, messages, thinking),
        thinking=_read_thinking(thinking),
        format=_read_format(body),
        stream=body.boolean("stream"),
        session=_read_session(body, headers),
        max_tokens=None if body.get("max_tokens") is None else body.integer("max_tokens"),
        stop_sequences=_read_stop_sequences(body),
        blocked_domains=read_blocked_domains(tools),
        tier=_read_tier(body),
        web_search_only=bool(tools) and all(is_web_search(tool) for tool in tools),
        reports_refusals=reports_refusals or is_check,
        losses=body.losses,
        purpose=Purpose.AUTO_MODE_CHECK if is_check else Purpose.TURN,
    )


def _check_forms(body: Fields) -> None:
    """Check the form of fields that only ``fates`` reads."""
    if not isinstance(body.get("thread"), dict | None):
        raise body.wrong("thread", NO_THREADS.reason)
    management = body.optional_object("context_management")
    if management is not None:
        management.objects("edits")


def _refuse_prefill(messages: list[Fields]) -> None:
    if messages[-1].get("role") == "assistant":
        raise RequestInvalid(
            messages[-1].path,
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        )


def _read_system(body: Fields) -> str:
    """The system prompt as one text, without the billing line that Claude Code changes from session to session."""
    texts = [block.string("text") for block in read_content(body, "system")]
    cleaned = (_BILLING_LINE.sub("", text) for text in texts)
    return "\n\n".join(text for text in cleaned if text.strip())


def _read_effort(body: Fields, messages: list[Fields], thinking: Fields | None) -> str | None:
    """The effort that the last system message names, or else the request, or else the one for its thinking budget."""
    for config in [*reversed(_list_configs(messages)), body.optional_object("output_config")]:
        effort = config.optional_string("effort") if config else None
        if config and effort:
            if effort not in EFFORTS:
                raise config.wrong("effort", f"must be one of {', '.join(EFFORTS)}")
            return effort
    if thinking is None or thinking.get("budget_tokens") is None:
        return None
    return effort_of_budget(thinking.integer("budget_tokens"))


def _list_configs(messages: list[Fields]) -> list[Fields]:
    """What system messages say about the answer: only its effort counts, and only there."""
    configs: list[Fields] = []
    for message in messages:
        config = message.optional_object("output_config")
        if config is None:
            continue
        if message.get("role") != "system":
            message.lose(LossKind.DROPPED, "output_config", "counts only in a system message")
            continue
        if config.get("format") is not None:
            config.lose(LossKind.DROPPED, "format", "counts only for the whole request")
        configs.append(config)
    return configs


def _read_thinking(thinking: Fields | None) -> Thinking:
    if thinking is None:
        return Thinking.ABSENT
    match thinking.string("type"):
        case "disabled":
            return Thinking.DISABLED
        case "enabled" | "adaptive" | "between_tools":
            display = thinking.get("display")
            if display not in _DISPLAYS:
                thinking.lose(LossKind.APPROXIMATED, "display", "unknown to codexd; the thinking is shown")
            return Thinking.OMITTED if display == "omitted" else Thinking.SHOWN
        case _:
            raise thinking.wrong("type", "must be enabled, adaptive or disabled")


def _read_format(body: Fields) -> dict[str, Any] | None:
    config = body.optional_object("output_config")
    wanted = (config.optional_object("format") if config else None) or body.optional_object("output_format")
    if wanted is None:
        return None
    if wanted.string("type") != "json_schema":
        raise wanted.wrong("type", "must be json_schema")
    wanted.object("schema")
    schema = fit_answer_schema(wanted)
    # Anthropic's API holds every answer to the schema.
    return {"type": "json_schema", "name": "response", "schema": schema, "strict": fit_strict(wanted, schema)}


def _read_stop_sequences(body: Fields) -> tuple[str, ...]:
    sequences = body.strings("stop_sequences")
    if not all(sequence.strip() for sequence in sequences):
        raise body.wrong("stop_sequences", "each stop sequence must contain more than whitespace")
    return tuple(sequences)


def _read_tier(body: Fields) -> AskedTier:
    if body.get("service_tier") in ("priority", "fast"):
        return AskedTier("service_tier")
    path = "speed" if body.get("speed") == "fast" else None
    return AskedTier(path, is_usual=body.get("service_tier") == "standard_only" or body.get("speed") == "standard")


def _read_session(body: Fields, headers: Mapping[str, str]) -> str | None:
    """The session and the agent in it. Sub-agents share a session, but not its prompt cache."""
    session = headers.get("x-claude-code-session-id") or _session_of_user(body)
    if not session:
        return None
    return f"{session}/{headers.get('x-claude-code-agent-id', 'main')}"


def _session_of_user(body: Fields) -> str | None:
    metadata = body.optional_object("metadata")
    user = metadata.optional_string("user_id") if metadata else None
    if not user:
        return None
    old = _OLD_SESSION.search(user)
    if old:
        return old[1]
    try:
        parsed = jsontext.loads(user)
    except ValueError:
        return None
    session = parsed.get("session_id") if isinstance(parsed, dict) and parsed.get("device_id") else None
    return session if isinstance(session, str) else None


# -- writing --------------------------------------------------------------------------------------


def _to_backend(request: MessagesRequest, target: Target) -> Body:
    slug, items = target.model.slug, to_input(request.messages, target)
    cache_key = to_cache_key(slug, _name_conversation(request))
    body = make_body(slug, _to_instructions(request), items, cache_key)
    if request.tools:
        body["tools"] = to_tools(request.tools)
        body.update(request.tool_choice)
    reasoning = _to_reasoning(request, target)
    if reasoning:
        body["reasoning"] = reasoning
    if text := _to_text(request, target):
        body["text"] = text
    tier = fit_tier(request.tier, target.model, target.default_tier, request.losses)
    if tier is not None:
        body["service_tier"] = tier
    return body


def _to_text(request: MessagesRequest, target: Target) -> dict[str, Any]:
    text = {} if request.format is None else {"format": request.format}
    verbosity = fit_verbosity(None, target.model, "", request.losses)
    return {**text, "verbosity": verbosity} if verbosity else text


def _to_instructions(request: MessagesRequest) -> str:
    if not request.blocked_domains:
        return request.system
    line = f"Never use web search results from these domains: {', '.join(request.blocked_domains)}."
    return f"{request.system}\n\n{line}" if request.system else line


def _to_reasoning(request: MessagesRequest, target: Target) -> dict[str, Any]:
    disabled = request.thinking is Thinking.DISABLED
    effort = "none" if disabled else request.effort or target.default_effort
    reasoning: dict[str, Any] = {}
    if effort:
        path = "thinking" if disabled else "output_config.effort" if request.effort else None
        reasoning["effort"] = fit_effort(effort, target.model, path, request.losses)
    if request.thinking is Thinking.SHOWN:
        reasoning["summary"] = "auto"
    return reasoning


def _name_conversation(request: MessagesRequest) -> str:
    """The client's session and agent; without a session, a fingerprint of the first messages."""
    session = request.session or _fingerprint(request)
    # Claude Code runs its searches and its checks of actions outside the conversation, with another prompt.
    if request.purpose is Purpose.AUTO_MODE_CHECK:
        return f"{session}/check"
    return f"{session}/search" if request.web_search_only else session


def _fingerprint(request: MessagesRequest) -> str:
    first = next((message for message in request.messages if message.get("role") == "user"), None)
    texts = [block.get("text") for block in read_content(first, "content")] if first else []
    return fingerprint(request.system, (text for text in texts if isinstance(text, str)))
