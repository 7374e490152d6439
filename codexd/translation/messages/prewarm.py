"""The answer to ``max_tokens: 0``: Anthropic's way to warm a cache, which needs no model."""

from __future__ import annotations

from codexd.translation.backend import Usage
from codexd.translation.client_api import Event
from codexd.translation.messages.usage import to_usage


def prewarm(message_id: str, model: str, input_tokens: int) -> list[Event]:
    """The events of an empty message that stopped before its first token."""
    usage = to_usage(Usage(input_tokens=input_tokens))
    message: Event = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
