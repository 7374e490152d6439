"""A conversation: its messages, the name that all its requests share, and the prompt cache key made from that name."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

from codexd import bounds
from codexd.translation.reading.fields import Fields

_CACHE_KEYS = uuid.UUID("6f1d9b1e-2f43-5f0e-9b57-0d6a3a6c7c11")
"""The namespace of codexd's keys."""

_REMINDERS = re.compile(r"\A(?:\s*<system-reminder>.*?</system-reminder>)*\s*", re.DOTALL)
_SYSTEM_CHARS = 2000


def read_messages(body: Fields) -> list[Fields]:
    """The messages of a request, at least one.

    Raises:
        RequestInvalid: there are none, or too many.
    """
    messages = body.objects("messages")
    if not messages:
        raise body.wrong("messages", "at least one message is required")
    if len(messages) > bounds.MESSAGES:
        raise body.wrong("messages", f"must not have more than {bounds.MESSAGES} entries")
    return messages


def to_session_key(conversation: str) -> str:
    """The key of a conversation, the same for every model."""
    return str(uuid.uuid5(_CACHE_KEYS, conversation))


def to_cache_key(model: str, conversation: str) -> str:
    """The prompt cache key: one per model and conversation."""
    return to_session_key(f"{model}\n{conversation}")


def fingerprint(system: str, opening: Iterable[str]) -> str:
    """A name for a conversation that the client does not name: a hash of its beginning, which stays as it grows.

    Args:
        system: the system prompt.
        opening: the texts of the first user message. The reminders before them change, so they are left out.
    """
    texts = (_REMINDERS.sub("", text) for text in opening)
    first = next((text for text in texts if text), "")
    return hashlib.sha256(f"{system[:_SYSTEM_CHARS]}\n{first}".encode("utf-8", "replace")).hexdigest()
