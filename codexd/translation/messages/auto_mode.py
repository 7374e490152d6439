"""Claude Code's auto mode: its requests that ask a model whether an action of the agent is safe.

In auto mode, Claude Code runs an action unasked if the answer says ``<block>no`` or grades it as harmless. If it can't
read a verdict in an answer, it asks again at once, five times in each of two stages, unless the answer ended with the
stop reason ``refusal`` (observed with Claude Code 2.1.332).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.parts import read_content

START, END = "<transcript>", "</transcript>"
"""Around what the agent has done; each is a text of its own."""

_ASKS_FOR_VERDICT = re.compile(r"<(block|severity)>")
_VERDICT = re.compile(r"<\s*(block\s*>\s*(yes|no)\b|severity\b[^>]*>\s*\d)", re.IGNORECASE)


def is_check(messages: Iterable[Fields], tools: Iterable[Fields]) -> bool:
    """Whether a request asks for a verdict on the action at the end of a transcript."""
    if any(True for _ in tools):
        return False
    texts = [text.strip() for text in _list_texts(messages)]
    return START in texts and END in texts and _ASKS_FOR_VERDICT.search(texts[-1]) is not None


def has_verdict(answer: str) -> bool:
    """Whether Claude Code can read a verdict in the text of an answer."""
    return _VERDICT.search(answer) is not None


def _list_texts(messages: Iterable[Fields]) -> Iterator[str]:
    for message in messages:
        for block in read_content(message, "content"):
            if isinstance(text := block.get("text"), str):
                yield text
