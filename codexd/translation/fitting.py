"""A request fitted to what its model offers; what it does not offer is written down."""

from __future__ import annotations

from codexd.translation.losses import Losses, LossKind
from codexd.translation.models import ModelInfo, clamp_effort

_BUDGETS = ((1024, "low"), (8192, "medium"), (24576, "high"))


def effort_of_budget(budget_tokens: int) -> str:
    """A budget of thinking tokens as a level, which is all that the backend takes.

    Source: anthropic-translation.md 1.9.
    """
    return next((effort for ceiling, effort in _BUDGETS if budget_tokens <= ceiling), "xhigh")


def fit_effort(effort: str, model: ModelInfo, asked: str | None, losses: Losses) -> str:
    """The nearest level that ``model`` offers; ``asked`` is the field that asks for this one, if one does."""
    fitted = clamp_effort(effort, model)
    if asked and fitted != effort:
        losses.add(LossKind.APPROXIMATED, asked, f"{model.slug} does not offer {effort}; {fitted} is the nearest")
    return fitted


def has_priority(model: ModelInfo, asked: str, losses: Losses) -> bool:
    """Whether ``model`` has the faster tier that the field ``asked`` asks for."""
    if "priority" in model.service_tiers:
        return True
    losses.add(LossKind.DROPPED, asked, f"{model.slug} has no priority tier")
    return False
