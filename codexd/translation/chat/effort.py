"""The effort that a Chat request asks for, in the fields of several APIs, and whether its answer shows reasoning.

Chat Completions has no reasoning in its answers; ``reasoning_content`` is an extension that many clients show. A client
gets it if it asks for reasoning in any way, or if its history contains some. Others don't, because the ``summary``
costs tokens.
"""

from __future__ import annotations

from attrs import frozen

from codexd.translation.models.catalogue import EFFORTS
from codexd.translation.reading.effort import effort_of_budget
from codexd.translation.reading.fields import Fields

SHOWN_REASONING = ("reasoning_details", "reasoning_content", "reasoning")
"""Fields of a message that may hold reasoning which the client shows to its user."""

_SUMMARIES = ("auto", "concise", "detailed")


@frozen
class Effort:
    """``level`` is None if the request does not name one; ``path`` is the field that names it."""

    level: str | None = None
    path: str = ""
    shown: bool = False
    summary: str = "auto"


def read_effort(body: Fields, messages: list[Fields]) -> Effort:
    """The effort of a request: from ``reasoning_effort``, else OpenRouter's ``reasoning``, else ``thinking``.

    Raises:
        RequestInvalid: names the field.
    """
    reasoning, thinking = body.optional_object("reasoning"), body.optional_object("thinking")
    named = [
        (_read_level(body, "reasoning_effort"), "reasoning_effort"),
        (_of_reasoning(reasoning), "reasoning"),
        (_of_thinking(thinking), "thinking"),
    ]
    level, path = next((found for found in named if found[0]), (None, ""))
    return Effort(level, path, _is_shown(body, level, reasoning, thinking, messages), _read_summary(reasoning))


def _of_reasoning(reasoning: Fields | None) -> str | None:
    if reasoning is None:
        return None
    if reasoning.get("enabled") is not None and not reasoning.boolean("enabled"):
        return "none"
    level = _read_level(reasoning, "effort")
    return level or (effort_of_budget(reasoning.integer("max_tokens")) if reasoning.get("max_tokens") else None)


def _of_thinking(thinking: Fields | None) -> str | None:
    if thinking is None:
        return None
    match thinking.string("type"):
        case "disabled":
            return "none"
        case "enabled" | "adaptive" | "auto":
            return effort_of_budget(thinking.integer("budget_tokens")) if thinking.get("budget_tokens") else None
        case _:
            raise thinking.wrong("type", "must be enabled, adaptive, auto or disabled")


def _read_level(fields: Fields, name: str) -> str | None:
    level = fields.optional_string(name)
    if level is not None and level not in EFFORTS:
        raise fields.wrong(name, f"must be one of {', '.join(EFFORTS)}")
    return level


def _read_summary(reasoning: Fields | None) -> str:
    summary = reasoning.optional_string("summary") if reasoning else None
    if reasoning and summary is not None and summary not in _SUMMARIES:
        raise reasoning.wrong("summary", f"must be one of {', '.join(_SUMMARIES)}")
    return summary or "auto"


def _is_shown(
    body: Fields, level: str | None, reasoning: Fields | None, thinking: Fields | None, messages: list[Fields]
) -> bool:
    included = body.get("include_reasoning") is None or body.boolean("include_reasoning")
    excluded = reasoning.boolean("exclude") if reasoning else False
    if level == "none" or excluded or not included:
        return False
    asked = level or reasoning is not None or thinking is not None or body.get("include_reasoning")
    return bool(asked) or any(map(_has_reasoning, messages))


def _has_reasoning(message: Fields) -> bool:
    return any(message.get(name) for name in SHOWN_REASONING)
