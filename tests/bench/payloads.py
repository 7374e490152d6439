"""What goes over the wire: a request as Claude Code sends it, the same for OpenAI's APIs, an answer, a login."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

CLAUDE_CODE_HEADERS = {
    "accept": "application/json",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
    "x-claude-code-session-id": "6f9f1d1c-5f6a-4f0e-9a57-0d6a54b0a001",
    "x-app": "cli",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
    "anthropic-version": "2023-06-01",
    "x-api-key": "local",
    "accept-encoding": "gzip, deflate, br, zstd",
}
OPENAI_HEADERS = {
    "accept": "application/json",
    "content-type": "application/json",
    "user-agent": "OpenAI/Python 2.8.1",
    "authorization": "Bearer local",
    "accept-encoding": "gzip, deflate",
}
CODEX_CLI_HEADERS = {
    "accept": "text/event-stream",
    "content-type": "application/json",
    "user-agent": "codex_exec/0.169.0 (Linux; x86_64)",
    "originator": "codex_exec",
    "thread-id": "0199e7a4-5f6a-7f0e-9a57-0d6a54b0a001",
    "session-id": "0199e7a4-5f6a-7f0e-9a57-0d6a54b0a001",
}
BACKEND_HEADERS = {
    "accept": "text/event-stream",
    "content-type": "application/json",
    "authorization": "Bearer none",
    "accept-encoding": "identity",
}

_TOOLS = (
    "Agent",
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "Read",
    "Skill",
    "TaskOutput",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Write",
)
_SENTENCE = "Prefer the smallest change that works, read the file before you edit it, and say which tests you ran. "
_CODE = '    if value is None:\n        raise ValueError(f"{name!r} is missing")  # line %d\n    return value\n'


def make_messages_request(model: str = "claude-opus-5-5") -> dict[str, Any]:
    """About 100 kB: system prompt 8 kB, 12 tools 32 kB, and a history of tool calls and their results."""
    cached = {"cache_control": {"type": "ephemeral"}}
    return {
        "model": model,
        "messages": list(_make_history(turns=14)),
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **cached},
            {"type": "text", "text": _SENTENCE * 75, **cached},
        ],
        "tools": [_make_tool(name) for name in _TOOLS],
        "metadata": {
            "user_id": json.dumps({"device_id": "3fa8c1d97be24f60" * 4, "account_uuid": "", "session_id": "bench"})
        },
        "max_tokens": 128000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "medium"},
        "stream": True,
    }


def make_chat_request(messages_request: dict[str, Any]) -> dict[str, Any]:
    """The same conversation as a client of Chat Completions sends it."""
    system = "\n\n".join(block["text"] for block in messages_request["system"])
    return {
        "model": "gpt-5.5",
        "messages": [{"role": "system", "content": system}, *map(_to_chat_message, messages_request["messages"])],
        "tools": [_to_chat_tool(**tool) for tool in messages_request["tools"]],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def make_responses_request(messages_request: dict[str, Any]) -> dict[str, Any]:
    """What codexd sends to the backend for it."""
    from codexd.translation.client_api import Target
    from codexd.translation.messages.request import parse
    from codexd.translation.models.catalogue import BUILT_IN

    parsed = parse(json.dumps(messages_request).encode(), CLAUDE_CODE_HEADERS)
    return parsed.to_backend(Target(BUILT_IN.describe("gpt-5.5"), ""))


def make_login() -> dict[str, Any]:
    """An ``auth.json`` with unsigned tokens that nobody issued, good for ten days."""
    now = time.time()
    about = {"chatgpt_account_id": "bench-workspace", "chatgpt_user_id": "bench-user", "chatgpt_plan_type": "pro"}
    claims = {"email": "bench@example.com", "exp": int(now) + 864_000, "https://api.openai.com/auth": about}
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": _make_jwt(claims),
            "access_token": _make_jwt(claims),
            "refresh_token": "bench-refresh",
            "account_id": "bench-workspace",
        },
        "last_refresh": datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z"),
    }


def make_answer(deltas: int) -> list[bytes]:
    """The frames of one Codex stream with so many text deltas."""
    events = [{"type": kind, "sequence_number": number, **rest} for number, (kind, rest) in enumerate(_play(deltas))]
    return [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _dumps(event)) for event in events]


OPENING_FRAMES = 5
"""As many frames stand before the second delta; a paced answer begins with them, then its clock runs."""


def _play(deltas: int) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    response = {"id": "resp_bench", "object": "response", "model": "gpt-5.5", "status": "in_progress", "output": []}
    item: dict[str, Any] = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    text = "a few words of text "
    yield "response.created", {"response": response}
    yield "response.in_progress", {"response": response}
    yield "response.output_item.added", {"output_index": 0, "item": item}
    yield "response.content_part.added", {**place, "part": part}
    delta = {**place, "delta": text, "logprobs": [], "obfuscation": "x" * 40}  # a frame of about 250 bytes
    for _ in range(deltas):
        yield "response.output_text.delta", delta
    whole = {**part, "text": text * deltas}
    item = {**item, "status": "completed", "content": [whole]}
    yield "response.output_text.done", {**place, "text": whole["text"], "logprobs": []}
    yield "response.content_part.done", {**place, "part": whole}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    usage = {
        "input_tokens": 25_000,
        "input_tokens_details": {"cached_tokens": 24_000},
        "output_tokens": 5 * deltas,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 25_000 + 5 * deltas,
    }
    yield "response.completed", {"response": {**response, "status": "completed", "usage": usage}}


def _make_history(turns: int) -> Iterator[dict[str, Any]]:
    yield {"role": "user", "content": [{"type": "text", "text": "Find out why the parser drops the last field."}]}
    for turn in range(turns):
        call = f"toolu_{turn:024d}"
        path = {"file_path": f"/home/user/project/src/module_{turn}.py"}
        content = "".join(f"{line:6d}\t{_CODE % line}" for line in range(36))
        said: dict[str, Any] = {"type": "text", "text": _SENTENCE}
        yield {"role": "assistant", "content": [said, {"type": "tool_use", "id": call, "name": "Read", "input": path}]}
        yield {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": content}]}
    yield {"role": "user", "content": [{"type": "text", "text": "Now write the fix."}]}


def _to_chat_message(message: dict[str, Any]) -> dict[str, Any]:
    blocks = message["content"]
    if blocks[0]["type"] == "tool_result":
        return {"role": "tool", "tool_call_id": blocks[0]["tool_use_id"], "content": blocks[0]["content"]}
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return {"role": message["role"], "content": blocks[0]["text"], **({"tool_calls": calls} if calls else {})}


def _to_chat_tool(name: str, description: str, input_schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": input_schema}}


def _make_tool(name: str) -> dict[str, Any]:
    properties = {
        f"{name.lower()}_option_{number}": {"type": "string", "description": _SENTENCE} for number in range(6)
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)[:2]}
    return {"name": name, "description": _SENTENCE * 17, "input_schema": {**schema, "additionalProperties": False}}


def _make_jwt(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(_dumps(part)).decode().rstrip("=") for part in parts), "unsigned"])


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
