"""One function per method of the control contract."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from codexd import __version__
from codexd.api import daemon as api
from codexd.api.params import NoParams
from codexd.control import accounts, imports, logins, quota, records
from codexd.control.call import Call


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
        problems=control.store.problems,
    )


Handler: TypeAlias = Callable[[Call, Any], Awaitable[object]]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "daemon.status": daemon_status,
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
        "accounts.models": quota.read_models,
        "accounts.token": logins.give_token,
        "logs.history": records.logs_history,
        "logs.follow": records.logs_follow,
        "requests.list": records.requests_list,
        "subscription.cancel": records.subscription_cancel,
    }
)
"""By the names of ``codexd.api.methods.METHODS``."""
