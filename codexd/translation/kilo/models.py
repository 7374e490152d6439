"""Which model names lead to Kilo, and what is known of the models there.

Source: the gateway's documentation, kilo.ai/docs/gateway, pages "Models & Providers" and "API Reference".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.backend import count_of, object_of, objects_of, text_of
from codexd.translation.models.routes import EFFORTS, ModelInfo, find_alias, strip_mark

KILO = "kilo"
"""The one model name that leads there. As the account tag of a ``Target`` it is no account's: those are hexadecimal."""

STRONGEST_EFFORT = "xhigh"
DEFAULT_WINDOW_TOKENS = 128_000
"""Of a model whose window is not known: what the small ones among the free models have."""


def is_kilo(asked: str, aliases: Mapping[str, str]) -> bool:
    """Whether the model name ``asked`` leads to Kilo: ``kilo`` itself, or one that the user's own alias maps to it.

    An alias is looked at first, as for every name: one for ``kilo`` leads away. The families (``models.opus`` ...)
    never lead there, whatever they are set to.
    """
    return (find_alias(asked, aliases) or strip_mark(asked)) == KILO


def describe(slug: str, context_window: int | None) -> ModelInfo:
    """The model that ``kilo`` means, as the translations of the client APIs want to know it."""
    return ModelInfo(
        slug=slug,
        display_name=slug,
        context_window=context_window or DEFAULT_WINDOW_TOKENS,
        efforts=EFFORTS[: EFFORTS.index(STRONGEST_EFFORT) + 1],
        verbosity=False,
    )


@frozen
class FreeModel:
    """A model that costs nothing. ``context_window`` is in tokens; None where the gateway does not say."""

    id: str
    name: str
    context_window: int | None
    takes_tools: bool | None


def read_free_models(document: Any) -> tuple[FreeModel, ...]:
    """The free ones of ``GET /models``; what has the wrong type counts as absent."""
    return tuple(_read_free_models(object_of(document)))


def _read_free_models(document: Mapping[str, Any]) -> Iterator[FreeModel]:
    for model in objects_of(document.get("data")):
        slug = text_of(model.get("id"))
        if slug and _is_free(slug, model):
            parameters = model.get("supported_parameters")
            yield FreeModel(
                id=slug,
                name=text_of(model.get("name")) or slug,
                context_window=count_of(model.get("context_length")) or None,
                takes_tools="tools" in parameters if isinstance(parameters, list) else None,
            )


def _is_free(slug: str, model: Mapping[str, Any]) -> bool:
    """The gateway's own word counts; without it the mark in the name, or prices that are zero."""
    said = model.get("isFree")
    if isinstance(said, bool):
        return said
    pricing = object_of(model.get("pricing"))
    prices = [pricing.get(part) for part in ("prompt", "completion")]
    return slug.endswith(":free") or all(_is_zero(price) for price in prices)


def _is_zero(price: Any) -> bool:
    try:
        return isinstance(price, int | float | str) and float(price) == 0
    except ValueError:
        return False
