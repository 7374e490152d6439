"""``kilo.models``."""

from __future__ import annotations

from codexd.api import daemon as api
from codexd.api.params import NoParams
from codexd.control.method import Call
from codexd.upstream.kilo import ModelList

_OFF = "Kilo is a third party and is not asked before you opt in: `codexctl settings set kilo.enabled true`"


async def read_models(call: Call, _params: NoParams) -> api.KiloModels:
    settings = call.control.settings.kilo
    found = await call.control.kilo.read() if settings.enabled else ModelList(problem=_OFF)
    models = (api.KiloModel(model.id, model.name, model.context_window, model.takes_tools) for model in found.models)
    return api.KiloModels(settings.enabled, settings.model, tuple(models), found.fetched_at, found.problem)
