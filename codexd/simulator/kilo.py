"""A simulated Kilo gateway: ``/models`` and ``/chat/completions`` below ``/api/openrouter``.

It is a separate provider that shares the backend's port only so that ``--simulate`` does not need a second one. It has
no accounts, and is stricter than the real gateway: anything that the documentation does not name is a 400. Source:
kilo.ai/docs/gateway/api-reference and /streaming; for comments and ``reasoning``,
openrouter.ai/docs/api-reference/streaming.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import cattrs
from attrs import field, frozen

from codexd.jsontext import dumps
from codexd.simulator.agent import GREETING
from codexd.simulator.refusals import Problems, Refusal, html
from codexd.simulator.scripts import CutBy, HttpError
from codexd.simulator.wire import Ending, EventStream, Exchange, Holds, finish_stream, run_while_connected

PATH = "/api/openrouter"
FREE_MODEL = "minimax/minimax-m2.5:free"
PAID_MODEL = "anthropic/claude-sonnet-4.5"
COMMENT = b": OPENROUTER PROCESSING\n\n"

_MODELS: tuple[Mapping[str, Any], ...] = (
    {
        "id": FREE_MODEL,
        "name": "MiniMax M2.5 (free)",
        "context_length": 204_800,
        "pricing": {"prompt": "0", "completion": "0"},
        "supported_parameters": ["tools", "reasoning", "max_tokens"],
    },
    {
        "id": "stepfun/step-3.7-flash:free",
        "name": "Step 3.7 Flash (free)",
        "context_length": 262_144,
        "isFree": True,
        "pricing": {"prompt": "0", "completion": "0"},
        "supported_parameters": ["max_tokens"],
    },
    {
        "id": PAID_MODEL,
        "name": "Claude Sonnet 4.5",
        "context_length": 200_000,
        "isFree": False,
        "pricing": {"prompt": "0.000003", "completion": "0.000015"},
        "supported_parameters": ["tools"],
    },
)

Chunk = dict[str, Any]


@frozen(kw_only=True)
class KiloReply:
    """One reply: ``{"reasoning": "...", "text": "...", "calls": [{"name": ..., "arguments": "..."}], ...}``.

    ``hold`` waits before the finish reason; ``failed`` (an error object) and ``cut`` replace it. ``raw`` is the whole
    body, sent verbatim.
    """

    reasoning: str = ""
    text: str = ""
    calls: tuple[dict[str, str], ...] = ()
    finish_reason: str | None = None
    usage: bool = True
    error: HttpError | None = None
    failed: dict[str, Any] | None = None
    cut: CutBy | None = None
    hold: str | None = None
    raw: str | None = None
    headers: dict[str, str] = field(factory=dict)


_CONVERTER = cattrs.Converter(forbid_extra_keys=True)


class KiloRoutes:
    """The gateway. Each request gets the next scripted reply, or a canned text if none is left."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self._replies: list[KiloReply] = []
        self._serials = itertools.count(1)
        self._list_error: Refusal | None = None

    def load(self, *replies: Mapping[str, Any]) -> None:
        """Set the replies to the next requests. Raises an error for a key that is not in ``KiloReply``."""
        self._replies = [_CONVERTER.structure(reply, KiloReply) for reply in replies]

    def fail_list(self, status: int | None) -> None:
        """Make ``GET /models`` answer with this error status from now on; None ends that."""
        self._list_error = None if status is None else html(status, "Error")

    def serves(self, path: str) -> bool:
        return path in (f"{PATH}/models", f"{PATH}/chat/completions")

    async def serve(self, exchange: Exchange) -> None:
        is_list = exchange.request.path.endswith("/models")
        if exchange.request.method != ("GET" if is_list else "POST"):
            await exchange.refuse(make_error(405, "Method Not Allowed"))
        elif not is_list:
            await self._complete(exchange)
        elif self._list_error is not None:
            await exchange.refuse(self._list_error)
        else:
            await exchange.answer({"data": list(_MODELS)}, {"set-cookie": "visitor=1; Path=/"})

    async def _complete(self, exchange: Exchange) -> None:
        body = exchange.read_json()
        refusal = check_chat(body, exchange.request.headers, {model["id"]: model for model in _MODELS})
        if refusal is not None:
            await exchange.refuse(refusal)
            return
        reply = self._replies.pop(0) if self._replies else KiloReply(text=GREETING)

        async def respond() -> Ending:
            return await self._stream(exchange, body, reply)

        ending = await run_while_connected(exchange.receive, respond)
        await finish_stream(exchange.send, exchange.request, ending)

    async def _stream(self, exchange: Exchange, body: Mapping[str, Any], reply: KiloReply) -> Ending:
        if reply.error is not None:
            return Ending(refusal=Refusal(reply.error.status, reply.error.body, reply.error.headers))
        stream = EventStream(
            exchange.send, exchange.request, chunk_events=1, keepalive_interval_s=None, holds=self._holds
        )
        await stream.begin({"set-cookie": "visitor=1; Path=/", **reply.headers})
        if reply.raw is not None:
            await stream.write(reply.raw.encode())
            return Ending(cut=reply.cut)
        await stream.write(COMMENT)
        head = {"id": f"gen-{next(self._serials)}", "object": "chat.completion.chunk", "model": body["model"]}
        for chunk in _play(reply):
            await stream.write(_encode({**head, **chunk}))
        await self._holds.wait(reply.hold)
        if reply.cut is not None:
            return Ending(cut=reply.cut)
        for chunk in _end(reply):
            await stream.write(_encode({**head, **chunk}))
        await stream.write(b"data: [DONE]\n\n")
        return Ending()


def _play(reply: KiloReply) -> Iterator[Chunk]:
    yield _delta({"role": "assistant", "content": ""})
    for piece in _halves(reply.reasoning):
        details = [{"type": "reasoning.text", "text": piece, "index": 0, "format": None}]
        yield _delta({"content": "", "reasoning": piece, "reasoning_details": details})
    for piece in _halves(reply.text):
        yield _delta({"content": piece})
    for index, call in enumerate(reply.calls):
        function = {"name": call["name"], "arguments": ""}
        opened = {"index": index, "id": call.get("id", f"call_{index}"), "type": "function", "function": function}
        yield _delta({"tool_calls": [opened]})
        for piece in _halves(call["arguments"]):
            yield _delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


def _end(reply: KiloReply) -> Iterator[Chunk]:
    if reply.failed is not None:
        yield {"error": reply.failed, **_delta({"content": ""}, "error")}
        return
    yield _delta({"content": ""}, reply.finish_reason or ("tool_calls" if reply.calls else "stop"))
    if reply.usage:
        details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}
        usage = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30, "cost": 0, **details}
        yield {"choices": [], "usage": usage}


def _delta(delta: Chunk, finish_reason: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _halves(text: str) -> Iterator[str]:
    middle = (len(text) + 1) // 2
    return filter(None, (text[:middle], text[middle:]))


def _encode(chunk: Chunk) -> bytes:
    return b"data: %s\n\n" % dumps(chunk)


_HEADERS = frozenset(
    ("host", "accept", "accept-encoding", "connection", "content-length", "content-type", "user-agent")
)

_FIELDS = frozenset(
    (
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "temperature",
        "top_p",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning",
    )
)
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_MESSAGE_FIELDS: Mapping[str, frozenset[str]] = {
    "system": frozenset(("role", "content")),
    "user": frozenset(("role", "content")),
    "assistant": frozenset(("role", "content", "tool_calls")),
    "tool": frozenset(("role", "content", "tool_call_id")),
}


def make_error(status: int, message: str, **more: Any) -> Refusal:
    return Refusal(status, {"error": {"message": message, "code": status, **more}})


def check_chat(body: Any, headers: Mapping[str, str], models: Mapping[str, Mapping[str, Any]]) -> Refusal | None:
    """The first thing wrong with a request, or None."""
    return next(_check(body, headers, models), None)


def _check(body: Any, headers: Mapping[str, str], models: Mapping[str, Mapping[str, Any]]) -> Problems:
    if unknown := sorted(set(headers) - _HEADERS):
        yield make_error(400, f"Unknown headers: {', '.join(unknown)}")
    if not isinstance(body, dict):
        yield make_error(400, "The body is not a JSON object")
    if unknown := sorted(set(body) - _FIELDS):
        yield make_error(400, f"Unknown fields: {', '.join(unknown)}")
    model = models.get(body.get("model", ""))
    if model is None:
        yield make_error(404, f"{body.get('model')} is not a valid model ID")
    elif model.get("isFree") is False:
        error = {"message": "You need to sign in to use this model.", "code": "PAID_MODEL_AUTH_REQUIRED"}
        yield Refusal(401, {"error": error, "error_type": "paid_model_auth_required"})
    if body.get("stream") is not True:
        yield make_error(400, "This simulation only streams")
    effort = (body.get("reasoning") or {}).get("effort", "none")
    if effort not in _EFFORTS:
        yield make_error(400, f"reasoning.effort: {effort}")
    yield from _check_messages(body.get("messages"))
    yield from _check_tools(body)


def _check_messages(messages: Any) -> Problems:
    if not isinstance(messages, list) or not messages:
        yield make_error(400, "messages: at least one is required")
    open_calls: list[str] = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if role not in _MESSAGE_FIELDS or set(message) - _MESSAGE_FIELDS[role]:
            yield make_error(400, f"messages[{place}]: wrong role or fields")
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                yield make_error(400, f"messages[{place}]: answers no call")
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            yield make_error(400, f"messages[{place}]: calls {open_calls} are not answered")
        calls = message.get("tool_calls", [])
        open_calls += [call["id"] for call in calls]
        yield from _check_content(f"messages[{place}].content", message, may_lack=bool(calls))
    if open_calls:
        yield make_error(400, f"calls {open_calls} are not answered")


def _check_content(path: str, message: Mapping[str, Any], *, may_lack: bool) -> Iterator[Refusal]:
    content = message.get("content")
    if isinstance(content, str) or (content is None and may_lack):
        return
    if message["role"] != "user" or not isinstance(content, list) or not content:
        yield make_error(400, f"{path}: wrong type")
    for part in content or ():
        whole = isinstance(part.get("text"), str) if part["type"] == "text" else bool(part["image_url"]["url"])
        if not whole:
            yield make_error(400, f"{path}: a part is empty")


def _check_tools(body: Mapping[str, Any]) -> Problems:
    names = [tool["function"]["name"] for tool in body.get("tools", []) if tool["type"] == "function"]
    if len(names) != len(body.get("tools", [])):
        yield make_error(400, "tools: only functions")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        yield make_error(400, "tool_choice: no such tool")
    if choice is not None and not names:
        yield make_error(400, "tool_choice without tools")
