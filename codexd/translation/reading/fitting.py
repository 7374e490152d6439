"""What a request asks for, fitted to what the backend and the model offer; what they do not offer is written down."""

from __future__ import annotations

from typing import Any

from codexd.translation.models.routes import ModelInfo, clamp_effort
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.schema import explain_root, has_tuple, is_object, is_strict, to_parameters

_BUDGETS = ((1024, "low"), (8192, "medium"), (24576, "high"))
_MODEL_VERBOSITY = "medium"
"""What a model without the setting does."""


# -- what the model offers ------------------------------------------------------------------------


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


def fit_verbosity(verbosity: str | None, model: ModelInfo, asked: str, losses: Losses) -> str | None:
    """``verbosity`` if ``model`` has the setting."""
    if model.verbosity or verbosity is None:
        return verbosity
    if verbosity != _MODEL_VERBOSITY:
        losses.add(LossKind.DROPPED, asked, f"{model.slug} has no such setting")
    return None


def has_priority(model: ModelInfo, asked: str, losses: Losses) -> bool:
    """Whether ``model`` has the faster tier that the field ``asked`` asks for."""
    if "priority" in model.service_tiers:
        return True
    losses.add(LossKind.DROPPED, asked, f"{model.slug} has no priority tier")
    return False


# -- schemas that the backend takes ---------------------------------------------------------------


def explain_schema(tool: Fields, key: str) -> str:
    """What the schema in the field ``key`` loses at its root, in words for the tool's description; else empty."""
    schema = tool.get(key)
    if has_tuple(schema):
        tool.lose(LossKind.APPROXIMATED, key, "one schema for all items of a list: the backend takes no tuple")
    root = explain_root(schema)
    if root:
        tool.lose(LossKind.APPROXIMATED, key, "alternatives at its root are one object, and told in words")
    return root


def fit_answer_schema(wanted: Fields) -> dict[str, Any]:
    """The schema of the answer in the field ``schema``.

    Raises:
        RequestInvalid: it wants an answer that is no object.
    """
    schema = wanted.get("schema")
    if schema is not None and not is_object(schema):
        raise wanted.wrong("schema", "must be an object at its root: the backend writes no other JSON")
    if explain_root(schema):
        wanted.lose(
            LossKind.APPROXIMATED, "schema", "alternatives at its root are one object with all their properties"
        )
    return to_parameters(schema)


def fit_strict(owner: Fields, schema: dict[str, Any], *, asked: bool) -> bool:
    """Whether ``schema`` is followed strictly, as the field ``strict`` asks."""
    strict = asked and is_strict(schema)
    if asked and not strict:
        owner.lose(LossKind.APPROXIMATED, "strict", "false: the schema lacks what the backend's strict mode asks for")
    return strict
