"""What the simulated Kilo gateway refuses. It is stricter than the real one: what no documentation names is a 400."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from codexd.simulator.refusals import Problems, Refusal

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
    """The first thing wrong with a request, if any."""
    return next(_check(body, headers, models), None)


def _check(body: Any, headers: Mapping[str, str], models: Mapping[str, Mapping[str, Any]]) -> Problems:
    strange = sorted(set(headers) - _HEADERS)
    if strange:
        yield make_error(400, f"Strange headers: {', '.join(strange)}")
    if not isinstance(body, dict):
        yield make_error(400, "The body is no JSON object")
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
