"""Which API a client speaks, where its path alone does not say. Source: anthropic-translation.md 5.3."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from urllib.parse import parse_qs

from codexd.errors import CodexdError
from codexd.translation.client_api import WireError
from codexd.translation.wire_errors import to_anthropic, to_codex, to_openai


class Shape(Enum):
    """Whose names and envelopes a client understands."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    CODEX = "codex"
    """The Codex CLI, whose errors are OpenAI's, less the 401, and whose list of models is its own."""


_OPENAI_PATHS = ("/v1/chat/", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/audio/", "/v1/images/")
_ANTHROPIC_PATHS = ("/v1/messages", "/v1/complete")
_CODEX_PATHS = ("/backend-api/", "/api/codex/")
_CODEX_AGENTS = ("codex_", "codex-")
_ANTHROPIC_AGENTS = ("claude-cli/", "claude-code/", "anthropic/")


def find_shape(path: str, query: str, headers: Mapping[str, str]) -> Shape:
    """The first that matches: the path, the Codex CLI's name or query, Anthropic's headers; else OpenAI's.

    ``headers`` has lower-case names. A bearer token tells nothing: clients of both APIs send one.
    """
    if path.startswith(_ANTHROPIC_PATHS) and not path.startswith("/v1/completions"):
        return Shape.ANTHROPIC
    agent = headers.get("user-agent", "").lower()
    if path.startswith(_CODEX_PATHS) or agent.startswith(_CODEX_AGENTS):
        return Shape.CODEX
    if path.startswith(_OPENAI_PATHS):
        return Shape.OPENAI
    if "client_version" in parse_qs(query, keep_blank_values=True):
        return Shape.CODEX
    named = "anthropic-version" in headers or "anthropic-beta" in headers
    keyed = "x-api-key" in headers and "authorization" not in headers
    return Shape.ANTHROPIC if named or keyed or agent.startswith(_ANTHROPIC_AGENTS) else Shape.OPENAI


def word_error(error: CodexdError, shape: Shape, *, now: float) -> WireError:
    """``error`` in the envelope of ``shape``; ``now`` in seconds since the epoch."""
    match shape:
        case Shape.ANTHROPIC:
            return to_anthropic(error, now=now)
        case Shape.CODEX:
            return to_codex(error, now=now)
        case Shape.OPENAI:
            return to_openai(error, now=now)
