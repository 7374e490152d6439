"""Effort, verbosity and service tier, fitted to what the model offers. Anything else is recorded as a loss."""

from __future__ import annotations

from attrs import frozen

from codexd.translation.models.catalogue import ModelInfo
from codexd.translation.reading.losses import Losses, LossKind

_BUDGETS = ((1024, "low"), (8192, "medium"), (24576, "high"))
_MODEL_VERBOSITY = "medium"
"""The verbosity of a model without the setting."""


def effort_of_budget(budget_tokens: int) -> str:
    """The level for a budget of thinking tokens, because the backend accepts only levels."""
    return next((effort for ceiling, effort in _BUDGETS if budget_tokens <= ceiling), "xhigh")


def fit_effort(effort: str, model: ModelInfo, path: str | None, losses: Losses) -> str:
    """The nearest level that ``model`` offers; ``path`` is the field of the request that names ``effort``, if any."""
    fitted = model.clamp_effort(effort)
    if path and fitted != effort:
        losses.add(LossKind.APPROXIMATED, path, f"sent as {fitted}, because {model.slug} does not offer {effort}")
    return fitted


def fit_verbosity(verbosity: str | None, model: ModelInfo, path: str, losses: Losses) -> str | None:
    """``verbosity``, or the model's default if the request names none; None if ``model`` does not have the setting."""
    if model.verbosity:
        return verbosity or model.default_verbosity
    if verbosity not in (None, _MODEL_VERBOSITY):
        losses.add(LossKind.DROPPED, path, f"{model.slug} does not have this setting")
    return None


@frozen
class AskedTier:
    """The service tier of a request.

    ``path`` is the field that asks for the faster one; ``is_usual``: whether the request asks for the usual one.
    """

    path: str | None = None
    is_usual: bool = False


def fit_tier(asked: AskedTier, model: ModelInfo, default: str | None, losses: Losses) -> str | None:
    """The service tier to ask the backend for, or the ``default`` if the request names none; None is the usual one."""
    if asked.path is None:
        return None if asked.is_usual else default
    if "priority" in model.service_tiers:
        return "priority"
    losses.add(LossKind.DROPPED, asked.path, f"{model.slug} has no priority tier")
    return None
