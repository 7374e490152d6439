"""One function per method of the control contract."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias

from codexd import __version__
from codexd.api import daemon as api
from codexd.api.discover import OpenRpc
from codexd.api.methods import METHODS
from codexd.api.openrpc import describe
from codexd.api.params import NoParams
from codexd.control import accounts, claude, codex_cli, imports, kilo, logins, models, quota, records, settings, usage
from codexd.control.method import Call


async def daemon_status(call: Call, _params: NoParams) -> api.DaemonStatus:
    control = call.control
    active = control.store.active
    return api.DaemonStatus(
        version=__version__,
        pid=os.getpid(),
        started_at=control.started_at,
        addresses=control.addresses,
        simulated=control.simulated,
        tasks=tuple(
            api.TaskInfo(task.name, task.state.value, task.restarts, task.last_error)
            for task in control.supervisor.tasks
        ),
        active_account=active.name if active else None,
        streams_in_flight=control.requests.in_flight,
        settings_path=str(control.places.settings),
        problems=(
            *control.store.problems,
            *([control.live.problem] if control.live.problem else []),
            *control.usage.problems,
        ),
    )


async def daemon_stop(call: Call, _params: NoParams) -> api.Stopping:
    call.control.stop_after(call.replied)
    return api.Stopping(call.control.requests.in_flight, call.control.drain_s)


async def discover_methods(_call: Call, _params: NoParams) -> OpenRpc:
    return _document()


@cache
def _document() -> OpenRpc:
    return describe(METHODS.values())


Handler: TypeAlias = Callable[[Call, Any], Awaitable[object]]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "daemon.status": daemon_status,
        "daemon.reload": settings.reload,
        "daemon.stop": daemon_stop,
        "accounts.list": accounts.list_accounts,
        "accounts.status": accounts.count_accounts,
        "accounts.login.start": logins.start_login,
        "accounts.login.complete": logins.complete_login,
        "accounts.login.wait": logins.wait_for_login,
        "accounts.login.cancel": logins.cancel_logins,
        "accounts.import": imports.import_logins,
        "accounts.switch": accounts.switch_account,
        "accounts.remove": accounts.remove_account,
        "accounts.enable": accounts.enable_account,
        "accounts.disable": accounts.disable_account,
        "accounts.refresh": logins.refresh_logins,
        "accounts.verify": logins.verify_logins,
        "accounts.clear": accounts.clear_accounts,
        "accounts.quota": quota.read_quota,
        "accounts.usage": quota.read_usage,
        "accounts.models": models.read_models,
        "accounts.token": logins.give_token,
        "settings.list": settings.list_settings,
        "settings.get": settings.get_setting,
        "settings.set": settings.set_setting,
        "settings.unset": settings.unset_setting,
        "settings.read": settings.read_file,
        "settings.check": settings.check_text,
        "settings.write": settings.write_text,
        "logs.history": records.logs_history,
        "logs.follow": records.logs_follow,
        "requests.list": records.requests_list,
        "requests.follow": records.requests_follow,
        "requests.cancel": records.requests_cancel,
        "requests.explain": records.requests_explain,
        "usage.summary": usage.summarize_usage,
        "claude.status": claude.claude_status,
        "claude.proxy": claude.claude_proxy,
        "claude.direct": claude.claude_direct,
        "claude.set": claude.claude_set,
        "claude.reset": claude.claude_reset,
        "claude.environment": claude.claude_environment,
        "codex.status": codex_cli.codex_status,
        "codex.proxy": codex_cli.codex_proxy,
        "codex.reset": codex_cli.codex_reset,
        "kilo.models": kilo.read_models,
        "subscription.cancel": records.subscription_cancel,
        "rpc.discover": discover_methods,
    }
)
"""By the names of ``codexd.api.methods.METHODS``."""
