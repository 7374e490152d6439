"""A small real request through the HTTP door, as a client that was just set up would make it."""

from __future__ import annotations

import logging
import time

import httpx
import trio
from attrs import frozen

from codexd import __version__
from codexd.clients.claude_code import Door
from codexd.translation import jsontext
from codexd.translation.models import CLAUDE_IDS

log = logging.getLogger("codexd.clients")

MODEL = CLAUDE_IDS["opus"]
"""Claude Code's default."""

ANSWER_TOKENS = 64
TIMEOUT_S = 60.0


@frozen
class Answer:
    """``status``: of HTTP, None without an answer. ``problem``: why there is none, or what it says."""

    duration_ms: int
    status: int | None = None
    request_id: str | None = None
    problem: str | None = None


async def ask(door: Door, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask for one word. Costs a few tokens of the active account."""
    body = {
        "model": MODEL,
        "max_tokens": ANSWER_TOKENS,
        "messages": [{"role": "user", "content": "Answer with the word OK and nothing else."}],
        "output_config": {"effort": "low"},
    }
    headers = {
        "authorization": f"Bearer {door.token}",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        "user-agent": f"codexd/{__version__} (claude proxy)",
    }
    started = time.monotonic()
    try:
        with trio.fail_after(timeout_s):
            # A loopback address is never behind the proxy that the environment names.
            async with httpx.AsyncClient(trust_env=False, timeout=None) as http:  # noqa: S113 - the scope above
                reply = await http.post(f"{door.url}/v1/messages", content=jsontext.dumps(body), headers=headers)
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
