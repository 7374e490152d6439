"""A budget of thinking tokens as a level of effort, which is all that the backend takes."""

from __future__ import annotations

_CEILINGS = ((1024, "low"), (8192, "medium"), (24576, "high"))


def effort_of_budget(budget_tokens: int) -> str:
    """Source: anthropic-translation.md 1.9."""
    return next((effort for ceiling, effort in _CEILINGS if budget_tokens <= ceiling), "xhigh")
