"""A small real request through the HTTP door, as a client that was just set up would make it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx
import trio
from attrs import field, frozen

from codexd import __version__, jsontext
from codexd.clients.door import Door
from codexd.translation.models.routes import CLAUDE_IDS

PROMPT = "Answer with the word OK and nothing else."
ANSWER_TOKENS = 64
TIMEOUT_S = 60.0


@frozen
class Question:
    """``command``: of codexctl, named in the log of requests. ``headers``: besides those of every question."""

    command: str
    path: str
    model: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(factory=dict, repr=False)


@frozen
class Answer:
    """``status``: of HTTP, None without an answer. ``problem``: why there is none, or what it says."""

    duration_ms: int
    status: int | None = None
    request_id: str | None = None
    problem: str | None = None


def as_claude_code(door: Door) -> Question:
    """With the model that is Claude Code's default."""
    model = CLAUDE_IDS["opus"]
    body = {
        "model": model,
        "max_tokens": ANSWER_TOKENS,
        "messages": [{"role": "user", "content": PROMPT}],
        "output_config": {"effort": "low"},
    }
    headers = {"authorization": f"Bearer {door.token}", "anthropic-version": "2023-06-01"}
    return Question("claude proxy", "/v1/messages", model, body, headers)


def as_codex_cli(door: Door, model: str) -> Question:
    body = {
        "model": model,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}],
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": False,
    }
    headers = {"x-api-key": door.key} if door.key else {}
    return Question("codex proxy", "/v1/responses", model, body, headers)


async def ask(door: Door, question: Question, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask for one word. Costs a few tokens of the active account."""
    headers = {
        "content-type": "application/json",
        "user-agent": f"codexd/{__version__} ({question.command})",
        **question.headers,
    }
    started = time.monotonic()
    try:
        with trio.fail_after(timeout_s):
            # A loopback address is never behind the proxy that the environment names.
            async with httpx.AsyncClient(trust_env=False, timeout=None) as http:  # noqa: S113 - the scope above
                reply = await http.post(
                    f"{door.url}{question.path}", content=jsontext.dumps(question.body), headers=headers
                )
    except trio.TooSlowError:
        return Answer(_since(started), problem=f"no answer within {timeout_s:.0f} s")
    except httpx.HTTPError as error:
        return Answer(_since(started), problem=f"{door.url} can't be reached: {error or type(error).__name__}")
    problem = None if reply.is_success else _read_problem(reply)
    return Answer(_since(started), reply.status_code, reply.headers.get("request-id"), problem)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _read_problem(reply: httpx.Response) -> str:
    try:
        return str(jsontext.loads(reply.content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {reply.status_code}"
