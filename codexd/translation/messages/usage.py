"""Token numbers of an answer in Anthropic's split. Source: anthropic-translation.md 2.4."""

from __future__ import annotations

from typing import Any

from codexd.translation.backend import Usage


def to_usage(usage: Usage, *, web_searches: int = 0) -> dict[str, Any]:
    """``usage`` as ``message_delta`` has it: fresh, from the cache, written to it; their sum is the whole input."""
    fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    split: dict[str, Any] = {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
    if web_searches:
        split["server_tool_use"] = {"web_search_requests": web_searches, "web_fetch_requests": 0}
    return split


def start_usage(speed: str | None) -> dict[str, Any]:
    """``usage`` as ``message_start`` has it. Zeros: a number here would outlive a zero at the end."""
    usage = to_usage(Usage()) | {
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }
    return usage | {"speed": speed} if speed else usage
