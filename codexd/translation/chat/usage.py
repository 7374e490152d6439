"""Token numbers of an answer as Chat Completions has them. Source: anthropic-translation.md 6.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd.translation.backend import Usage, object_of


def to_usage(usage: Usage, reported: Mapping[str, Any]) -> dict[str, Any]:
    """``usage`` as Chat has it; ``reported`` is what the backend said itself, if it did.

    ``cache_write_tokens`` is told only where the backend told it: a zero there says something else than nothing.
    """
    prompt = {"cached_tokens": usage.cached_tokens, "audio_tokens": 0}
    if object_of(reported.get("input_tokens_details")).get("cache_write_tokens") is not None:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
