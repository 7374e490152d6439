"""How a client reaches codexd: the base URL, the token, and a small real request that proves that they work."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio
from attrs import field, frozen

from codexd import __version__, jsontext
from codexd.settings.schema import Settings
from codexd.translation.models.routes import CLAUDE_IDS

_USER_INFO = re.compile(r"(?<=//)[^/@]*@")

NO_KEY = "codexd"
"""The token if ``server.api_key`` is unset: without a token, some clients ask for a login."""


@frozen
class Address:
    """The base URL of codexd, and the token that a client sends there."""

    url: str
    token: str = field(repr=False)

    @property
    def key(self) -> str | None:
        """``server.api_key``; None if it is unset."""
        return None if self.token == NO_KEY else self.token


def find_address(addresses: tuple[str, ...], settings: Settings) -> Address:
    """The first of ``addresses``; loopback if that one stands for all interfaces."""
    parts = urlsplit(addresses[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")
    url = f"http://{host}:{parts.port}" if host else addresses[0]
    return Address(url, settings.server.api_key or NO_KEY)


def hide_user_info(text: str) -> str:
    """``text`` without the user name and password of a URL."""
    return _USER_INFO.sub("", text)


PROMPT = "Answer with the word OK and nothing else."
ANSWER_TOKENS = 64
TIMEOUT_S = 60.0


@frozen
class ProofRequest:
    """A request that proves that a client can use codexd. The log shows codexctl's ``command`` as its client."""

    command: str
    path: str
    model: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(factory=dict, repr=False)


@frozen
class ProofAnswer:
    """``status``: the HTTP status; None without an answer. ``problem``: why there is no answer, or the error in it."""

    duration_ms: int
    status: int | None = None
    request_id: str | None = None
    problem: str | None = None


def as_claude_code(address: Address) -> ProofRequest:
    """A request like Claude Code's, for its default model."""
    model = CLAUDE_IDS["opus"]
    body = {
        "model": model,
        "max_tokens": ANSWER_TOKENS,
        "messages": [{"role": "user", "content": PROMPT}],
        "output_config": {"effort": "low"},
    }
    headers = {"authorization": f"Bearer {address.token}", "anthropic-version": "2023-06-01"}
    return ProofRequest("claude proxy", "/v1/messages", model, body, headers)


def as_codex_cli(address: Address, model: str) -> ProofRequest:
    """A request like the Codex CLI's."""
    body = {
        "model": model,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}]}],
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": False,
    }
    headers = {"x-api-key": address.key} if address.key else {}
    return ProofRequest("codex proxy", "/v1/responses", model, body, headers)


async def send_proof(address: Address, request: ProofRequest, *, timeout_s: float = TIMEOUT_S) -> ProofAnswer:
    """Send ``request``, which asks for one word. This costs a few tokens of the active account."""
    headers = {
        "content-type": "application/json",
        "user-agent": f"codexd/{__version__} ({request.command})",
        **request.headers,
    }
    started = time.monotonic()
    try:
        with trio.fail_after(timeout_s):
            # trust_env=False: a proxy named in the environment can't reach a loopback address.
            async with httpx.AsyncClient(trust_env=False, timeout=None) as http:  # noqa: S113 - the scope above
                reply = await http.post(
                    f"{address.url}{request.path}", content=jsontext.dumps(request.body), headers=headers
                )
    except trio.TooSlowError:
        return ProofAnswer(_since(started), problem=f"no answer within {timeout_s:.0f} s")
    except httpx.HTTPError as error:
        return ProofAnswer(_since(started), problem=f"{address.url} can't be reached: {error or type(error).__name__}")
    problem = None if reply.is_success else _read_problem(reply)
    return ProofAnswer(_since(started), reply.status_code, reply.headers.get("request-id"), problem)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _read_problem(reply: httpx.Response) -> str:
    try:
        return str(jsontext.loads(reply.content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {reply.status_code}"
