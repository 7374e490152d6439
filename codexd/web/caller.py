"""Who is calling: which client it is, and which API's shape it expects for lists and errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from urllib.parse import parse_qs

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation.client_api import Client, WireError
from codexd.translation.wire_errors import for_claude_code, to_anthropic, to_codex, to_openai


class Shape(Enum):
    """The API whose names and envelopes a client understands."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    CODEX = "codex"
    """OpenAI's own clients: they get the backend's list of models, and to them a 401 means a new login."""


@frozen
class Caller:
    """The sender of a request."""

    client: Client
    shape: Shape


_OPENAI_PATHS = ("/v1/chat/", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/audio/", "/v1/images/")
_ANTHROPIC_PATHS = ("/v1/messages", "/v1/complete")
_CODEX_PATHS = ("/backend-api/", "/api/codex/")
_CODEX_NAMES = ("codex_cli_rs", "codex_exec", "codex-tui", "codex_vscode", "codex_sdk_ts")
"""The names of OpenAI's own clients. Others run codex-rs's app server and give it their own name."""
_CODEX_AGENT = re.compile(r"(?P<name>[^/]+)/\d+\.\d+\S* \([^();]+; [^();]+\) [^\s()]+( \([^();]+; [^();]+\))?")
"""The user agent of codex-rs: ``NAME/VERSION (OS; ARCHITECTURE) TERMINAL``, and what the host says of itself."""
_CODEX_MARKS = ("x-codex-window-id", "x-codex-turn-metadata")
"""Headers of codex-rs's model requests."""
_CLAUDE_CODE_AGENT = "claude-cli/"
_ANTHROPIC_AGENTS = (_CLAUDE_CODE_AGENT, "claude-code/", "anthropic/")


def find_caller(path: str, query: str, headers: Mapping[str, str]) -> Caller:
    """The sender of a request; ``headers`` has lower-case names."""
    client = _find_client(headers)
    return Caller(client, _find_shape(path, query, headers, client))


def _find_client(headers: Mapping[str, str]) -> Client:
    agent = headers.get("user-agent", "")
    if agent.startswith(_CLAUDE_CODE_AGENT):
        return Client.CLAUDE_CODE
    return Client.CODEX if _is_codex(agent, headers) else Client.OTHER


def _is_codex(agent: str, headers: Mapping[str, str]) -> bool:
    """Whether codex-rs sent the request, under any name: it repeats the name of its user agent in ``originator``.

    Other programs have user agents of the same form, but not both.
    """
    originator = headers.get("originator", "")
    if agent.partition("/")[0] in _CODEX_NAMES or originator in _CODEX_NAMES:
        return True
    if any(mark in headers for mark in _CODEX_MARKS):
        return True
    found = _CODEX_AGENT.fullmatch(agent)
    return found is not None and found["name"] == originator


def _find_shape(path: str, query: str, headers: Mapping[str, str], client: Client) -> Shape:
    """The first match of: the path, a Codex client or its query, Anthropic's headers; otherwise OpenAI's shape.

    A bearer token proves nothing: clients of both APIs send one.
    """
    if path.startswith(_ANTHROPIC_PATHS) and not path.startswith("/v1/completions"):
        return Shape.ANTHROPIC
    if path.startswith(_CODEX_PATHS) or client is Client.CODEX:
        return Shape.CODEX
    if path.startswith(_OPENAI_PATHS):
        return Shape.OPENAI
    if "client_version" in parse_qs(query, keep_blank_values=True):
        return Shape.CODEX
    has_version = "anthropic-version" in headers or "anthropic-beta" in headers
    has_key = "x-api-key" in headers and "authorization" not in headers
    agent = headers.get("user-agent", "").lower()
    return Shape.ANTHROPIC if has_version or has_key or agent.startswith(_ANTHROPIC_AGENTS) else Shape.OPENAI


def to_wire(error: CodexdError, caller: Caller, *, now: float) -> WireError:
    """``error`` as ``caller`` understands it, outside a model request; ``now`` in seconds since the epoch."""
    match caller.shape:
        case Shape.ANTHROPIC:
            wire = to_anthropic(error, now=now)
            return for_claude_code(wire, error) if caller.client is Client.CLAUDE_CODE else wire
        case Shape.CODEX:
            return to_codex(error, now=now)
        case Shape.OPENAI:
            return to_openai(error, now=now)
