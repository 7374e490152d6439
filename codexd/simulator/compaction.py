"""``POST /codex/responses/compact``: what it takes and what it answers. Pure.

Source: codex-backend.md section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd.simulator.reasoning import seal_reasoning
from codexd.simulator.refusals import Refusal, detail

FIELDS = (
    "model",
    "input",
    "instructions",
    "tools",
    "parallel_tool_calls",
    "reasoning",
    "service_tier",
    "prompt_cache_key",
    "text",
)


def refuse_fields(body: Any) -> Refusal | None:
    """What is wrong beyond the rules that a streamed request has too."""
    if not isinstance(body, dict):
        return detail("Bad Request")
    unknown = next((name for name in body if name not in FIELDS), None)
    if unknown is not None:
        return detail(f"Unsupported parameter: {unknown}")
    if not isinstance(body.get("instructions"), str):
        return detail("Instructions are required")
    return None


def compact(body: Mapping[str, Any], *, response_id: str, account_id: str, input_tokens: int) -> dict[str, Any]:
    """The users' messages, and one item that stands for the rest."""
    kept = [item for item in body["input"] if item.get("role") == "user"]
    item_id = response_id.replace("resp_", "cmp_")
    sealed = {"id": item_id, "type": "compaction", "encrypted_content": seal_reasoning(account_id, item_id)}
    usage = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + 100,
    }
    return {"id": response_id, "object": "response.compaction", "output": [*kept, sealed], "usage": usage}
