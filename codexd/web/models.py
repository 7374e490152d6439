"""``GET /v1/models`` in the Anthropic shape. Source: anthropic-translation.md 5.1.

Claude Code's picker shows only ids with ``claude`` in them, so each model is listed as ``claude-<slug>``;
the router takes both names.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from codexd.errors import ModelNotFound, RequestInvalid
from codexd.translation.models import BUILT_IN, MAX_OUTPUT_TOKENS, ModelInfo

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20


def list_models(query: dict[str, str]) -> dict[str, Any]:
    """A page of the catalogue; ``query`` may hold ``limit``, ``after_id`` and ``before_id``."""
    entries = [_describe(model) for model in BUILT_IN.models if model.visibility == "list"]
    limit = _read_limit(query.get("limit"))
    ids = [entry["id"] for entry in entries]
    if after := query.get("after_id"):
        entries = entries[ids.index(after) + 1 :] if after in ids else []
    elif before := query.get("before_id"):
        entries = entries[: ids.index(before)][-limit:] if before in ids else []
    page = entries[:limit]
    return {
        "data": page,
        "has_more": len(entries) > len(page),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def find_model_entry(name: str) -> dict[str, Any]:
    """One entry.

    Raises:
        ModelNotFound: no such model in the catalogue.
    """
    slug = unquote(name).removesuffix("[1m]").removeprefix("claude-")
    model = BUILT_IN.find(slug)
    if model is None:
        raise ModelNotFound(f"model: {name}")
    return _describe(model)


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise RequestInvalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _describe(model: ModelInfo) -> dict[str, Any]:
    return {
        "type": "model",
        "id": f"claude-{model.slug}",
        "display_name": f"{model.display_name} (Codex)",
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": model.context_window,
        "max_tokens": MAX_OUTPUT_TOKENS,
    }
