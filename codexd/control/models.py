"""``accounts.models``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from codexd.api import accounts as api
from codexd.control.chosen import choose_one
from codexd.control.method import Call, Control
from codexd.control.quota import to_ref
from codexd.errors import AccountError, UpstreamError
from codexd.translation.models.catalogue import Catalogue


async def read_models(call: Call, params: api.ModelsOf) -> api.AccountModels:
    """What is known is told at once; without that the backend is asked, and then the built-in list has to do."""
    control, catalogues = call.control, call.control.accounts.catalogues
    account = choose_one(control, params.account)
    error = None
    if params.refresh or catalogues.of(account).is_built_in:
        try:
            await catalogues.fetch(account.id)
        except (AccountError, UpstreamError) as failure:
            error = str(failure)
    catalogue = catalogues.of(account)
    return api.AccountModels(
        account=to_ref(account),
        models=_describe(catalogue, _find_uses(control, catalogue)),
        source="built-in" if catalogue.is_built_in else "backend",
        fetched_at=None if catalogue.is_built_in else catalogues.fetched_at(account.id),
        error=error,
    )


def _find_uses(control: Control, catalogue: Catalogue) -> Mapping[str, list[str]]:
    """By model, the settings that lead to it."""
    models, uses = control.settings.models, defaultdict[str, list[str]](list)
    for family, candidates in models.families.items():
        uses[catalogue.choose(candidates)].append(f"models.{family}")
    for name, slug in models.aliases.items():
        uses[slug].append(f"models.aliases {name}")
    return uses


def _describe(catalogue: Catalogue, uses: Mapping[str, list[str]]) -> tuple[api.ModelOfAccount, ...]:
    """What is offered, the preferred ones first; then what settings name although it is not."""
    offered = sorted(catalogue.models, key=lambda model: model.priority)
    strangers = [catalogue.describe(slug) for slug in uses if catalogue.find(slug) is None]
    return tuple(
        api.ModelOfAccount(
            id=model.slug,
            name=model.display_name,
            description=model.description or None,
            context_window=model.context_window,
            efforts=model.efforts,
            default_effort=model.default_effort,
            listed=model.visibility == "list",
            offered=model not in strangers,
            refused=model.slug in catalogue.refused,
            used_by=tuple(uses.get(model.slug, ())),
        )
        for model in [*offered, *strangers]
    )
