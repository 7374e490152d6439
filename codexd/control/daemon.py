"""``daemon.*`` and ``kilo.models``."""

from __future__ import annotations

import os
from collections.abc import Iterator

from codexd import __version__
from codexd.accounts.choosing.serving import find_serving
from codexd.api import daemon as api
from codexd.api.rules import NoParams
from codexd.api.settings import ChangedSettings
from codexd.control.accounts import to_standing
from codexd.control.method import Call, Control, method
from codexd.control.settings import to_changed
from codexd.errors import FileUnreadable, RequestNotFound, RestartFailed, SettingInvalid
from codexd.upstream.kilo import FreeModelList

KILO_IS_OFF = "Kilo is a third party; codexd contacts it only if you opt in: `codexctl settings set kilo.enabled true`"


@method("daemon.status")
async def read_status(call: Call, _params: NoParams) -> api.DaemonStatus:
    """What the daemon is doing, and what is wrong."""
    control = call.control
    active, serving = control.store.active, read_serving(control)
    return api.DaemonStatus(
        version=__version__,
        pid=os.getpid(),
        started_at=control.started_at,
        addresses=control.addresses,
        simulated=control.simulated,
        faults=control.faults,
        tasks=control.supervisor.tasks,
        active_account=active.name if active else None,
        streams_in_flight=control.requests.in_flight,
        settings_path=str(control.places.settings),
        problems=(
            *control.store.problems,
            *_dead_logins(control, serving),
            *filter(None, (control.accounts.refresher.explain_withdrawn(each.id) for each in control.store.accounts)),
            *filter(
                None, (control.live.problem, control.accounts.tracker.problem, control.accounts.catalogues.problem)
            ),
            *control.usage.problems,
            *([control.logs.problem] if control.logs.problem else []),
        ),
        serving=serving,
        limited_models=tuple(_limited_models(control, serving)),
        last_failure=_find_last_failure(control),
        service=control.service,
        bounds=tuple(api.BoundInfo(each.name, each.read(), each.limit(), each.unit) for each in control.gauges),
    )


def read_serving(control: Control) -> api.Serving:
    """Whether a request can be served now."""
    active = control.store.active
    return find_serving(
        [to_standing(control, account) for account in control.store.accounts],
        active.id if active else None,
        rotates=control.settings.rotation.enabled,
        kilo=control.settings.kilo.enabled,
    )


def _dead_logins(control: Control, serving: api.Serving) -> Iterator[str]:
    """The accounts that need a new login, unless ``serving`` or the store says so already."""
    reported = (*control.store.problems, serving.advice or "")
    for account in control.store.accounts:
        reason = account.needs_login
        if reason and not account.disabled and not any(reason in text for text in reported):
            yield f"{account.label} needs a new login. {reason}"


def _limited_models(control: Control, serving: api.Serving) -> Iterator[api.LimitedModel]:
    for account in control.store.accounts:
        if account.name == serving.account:
            cooldowns = control.accounts.tracker.cooldowns(account.id)
            yield from (api.LimitedModel(each.model, each.until) for each in cooldowns if each.model is not None)


def _find_last_failure(control: Control) -> api.LastFailure | None:
    try:
        failed = control.requests.find_last_failed()
    except RequestNotFound:
        return None
    if failed.was_ended_by_user or failed.is_probe:
        return None
    return api.LastFailure(failed.info.id, failed.info.started_at, failed.info.error or "")


@method("daemon.reload", errors=(SettingInvalid, FileUnreadable))
async def reload_settings(call: Call, _params: NoParams) -> ChangedSettings:
    """Read the settings file again."""
    live = call.control.live
    return to_changed(live, live.reload())


@method("daemon.stop")
async def stop(call: Call, _params: NoParams) -> api.Stopping:
    """Stop as soon as the running requests have ended."""
    control = call.control
    control.stop_after(call.replied)
    return api.Stopping(control.requests.in_flight, control.drain_s, control.service)


@method("daemon.restart", errors=(RestartFailed,))
async def restart(call: Call, _params: NoParams) -> api.Restarted:
    """Let a new process take over, with no request refused and none cut off, unless it takes very long."""
    control = call.control
    new = await control.restart(call.replied)
    return api.Restarted(api.Process(os.getpid(), __version__), new, control.requests.in_flight, control.drain_s)


@method("kilo.models")
async def read_kilo_models(call: Call, _params: NoParams) -> api.KiloModels:
    """Free models that the third-party name kilo can mean."""
    settings = call.control.settings.kilo
    found = await call.control.kilo.read() if settings.enabled else FreeModelList(problem=KILO_IS_OFF)
    models = (api.KiloModel(model.id, model.name, model.context_window, model.takes_tools) for model in found.models)
    return api.KiloModels(settings.enabled, settings.model, tuple(models), found.fetched_at, found.problem)


METHODS = (read_status, reload_settings, restart, stop, read_kilo_models)
