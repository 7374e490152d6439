"""Which model names lead to Kilo, and what is known about its models.

Source: kilo.ai/docs/gateway, pages "Models & Providers" and "API Reference".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.backend import count_of, object_of, objects_of, text_of
from codexd.translation.models.catalogue import EFFORTS, ModelInfo
from codexd.translation.models.routes import find_alias, strip_mark

KILO = "kilo"
"""The model name that leads to Kilo. It also serves as an account tag; the tags of real accounts are hexadecimal."""

STRONGEST_EFFORT = "xhigh"
DEFAULT_WINDOW_TOKENS = 128_000
"""The context window of a model if it is not known: the smaller free models have this one."""


def is_kilo(asked: str, aliases: Mapping[str, str]) -> bool:
    """Whether the model name ``asked`` leads to Kilo: ``kilo`` itself, or a name that the user's own alias maps to it.

    Aliases come first, as for every name, so an alias for ``kilo`` leads elsewhere. The families (``models.opus`` and
    so on) never lead to Kilo, whatever they are set to.
    """
    return (find_alias(asked, aliases) or strip_mark(asked)) == KILO


def describe(slug: str, context_window: int | None) -> ModelInfo:
    """The model behind ``kilo``, for the translations of the client APIs."""
    return ModelInfo(
        slug=slug,
        display_name=slug,
        context_window=context_window or DEFAULT_WINDOW_TOKENS,
        efforts=EFFORTS[: EFFORTS.index(STRONGEST_EFFORT) + 1],
        verbosity=False,
    )


@frozen
class FreeModel:
    """A model that costs nothing. ``context_window`` is in tokens; None if the gateway does not say."""

    id: str
    name: str
    context_window: int | None
    takes_tools: bool | None


def read_free_models(document: Any) -> tuple[FreeModel, ...]:
    """The free models in an answer to ``GET /models``. A field of the wrong type counts as missing."""
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
    """``isFree`` decides; if it is missing, the suffix of the name, or prices of zero."""
    is_free = model.get("isFree")
    if isinstance(is_free, bool):
        return is_free
    pricing = object_of(model.get("pricing"))
    prices = [pricing.get(part) for part in ("prompt", "completion")]
    return slug.endswith(":free") or all(_is_zero(price) for price in prices)


def _is_zero(price: Any) -> bool:
    try:
        return isinstance(price, int | float | str) and float(price) == 0
    except ValueError:
        return False
