"""Every method of the control socket, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from codexd.api import accounts, daemon, records
from codexd.api.params import NoParams


@frozen
class Method:
    """``example``: params that are valid. ``event``: what the notifications of a follow carry."""

    name: str
    params: type
    result: type
    summary: str
    example: Mapping[str, Any] = field(factory=lambda: MappingProxyType({}))
    event: type | None = None


_WORK = {"account": "work@example.com"}

_ALL = (
    Method("daemon.status", NoParams, daemon.DaemonStatus, "What the daemon is doing, and what is wrong"),
    Method("accounts.list", NoParams, accounts.AccountList, "Every account with its state and quota"),
    Method("accounts.status", NoParams, accounts.AccountsStatus, "How many accounts are in which state"),
    Method(
        "accounts.login.start",
        accounts.LoginStart,
        accounts.LoginStarted,
        "Begin a sign-in in a browser, by a pasted address, or by a device code",
        {"method": "manual"},
    ),
    Method(
        "accounts.login.complete",
        accounts.LoginComplete,
        accounts.SignedIn,
        "End a sign-in with what the browser was sent back with",
        {"flow": "4f1c2a", "input": "http://localhost:1455/auth/callback?code=ac_1&state=s"},
    ),
    Method(
        "accounts.login.wait",
        accounts.LoginFlowChoice,
        accounts.SignedIn,
        "Wait until a sign-in ends",
        {"flow": "4f1c2a"},
    ),
    Method("accounts.login.cancel", accounts.LoginCancel, accounts.CancelledLogins, "Give sign-ins up"),
    Method(
        "accounts.import",
        accounts.AccountImport,
        accounts.ImportedAccounts,
        "Take over or follow logins of another program",
        {"source": "codex"},
    ),
    Method(
        "accounts.switch", accounts.AccountSwitch, accounts.SwitchedAccount, "Make an account the active one", _WORK
    ),
    Method("accounts.remove", accounts.AccountChoice, accounts.RemovedAccount, "Sign an account out for good", _WORK),
    Method(
        "accounts.enable", accounts.AccountChoice, accounts.ChangedAccount, "Use an account, limits forgotten", _WORK
    ),
    Method("accounts.disable", accounts.AccountChoice, accounts.ChangedAccount, "Take an account out of use", _WORK),
    Method(
        "accounts.refresh",
        accounts.AccountsChosen,
        accounts.CheckedAccounts,
        "Refresh access tokens now",
        {"all": True},
    ),
    Method(
        "accounts.verify",
        accounts.AccountsChosen,
        accounts.CheckedAccounts,
        "Ask the backend whether logins work",
        _WORK,
    ),
    Method("accounts.clear", NoParams, accounts.ClearedAccounts, "Remove every account"),
    Method(
        "accounts.quota", accounts.QuotaOf, accounts.Quotas, "What is left of plans", {"all": True, "refresh": True}
    ),
    Method("accounts.usage", accounts.AccountMaybe, accounts.AccountUsage, "The backend's own usage document"),
    Method(
        "accounts.models", accounts.AccountMaybe, accounts.AccountModels, "Models that the backend offers an account"
    ),
    Method(
        "accounts.token", accounts.AccountMaybe, accounts.AccessToken, "A fresh access token, for the user's scripts"
    ),
    Method(
        "logs.history",
        records.LogsHistory,
        records.LogEntries,
        "Log entries of the past, the oldest first",
        {"limit": 20, "level": "warning"},
    ),
    Method(
        "logs.follow",
        records.LogsFollow,
        records.Subscription,
        "Log entries as they come",
        {"limit": 10, "contains": "gpt-5.5"},
        event=records.LogEvent,
    ),
    Method(
        "requests.list",
        records.RequestsList,
        records.RequestList,
        "Requests that run, and the last that ended",
        {"limit": 20},
    ),
    Method("subscription.cancel", records.Subscription, records.Subscription, "End a follow", {"subscription": 1}),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
