"""Every method of the control socket, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from codexd.api import accounts, clients, daemon, discover, records, settings
from codexd.api.params import NoParams
from codexd.errors import (
    AccountAmbiguous,
    AccountError,
    AccountNeedsLogin,
    AccountNotFound,
    ClientFileRefused,
    CodexdError,
    FileUnreadable,
    FileUnwritable,
    LoginFailed,
    LoginFileInvalid,
    LoginFlowNotFound,
    NoAccount,
    RefreshUnavailable,
    RequestNotFound,
    SettingInvalid,
    UpstreamError,
)


@frozen
class Method:
    """``example``: params that are valid. ``event``: what the notifications of a follow carry.

    ``errors``: what it may refuse with, each for itself and every error below it; params that are not valid, a
    daemon that stops and a disk that fails may come anywhere.
    """

    name: str
    params: type
    result: type
    summary: str
    example: Mapping[str, Any] = field(factory=lambda: MappingProxyType({}))
    event: type | None = None
    errors: tuple[type[CodexdError], ...] = ()


_WORK = {"account": "work@example.com"}
_OPUS = {"name": "models.opus"}
_EDITED = (SettingInvalid, FileUnreadable, FileUnwritable)
_NAMED = (AccountNotFound, AccountAmbiguous)
_CHOSEN = (*_NAMED, NoAccount)
_CLAUDE = {"config_dir": "/home/me/.claude", "dry_run": True}
_CODEX = {"config_dir": "/home/me/.codex", "dry_run": True}
_CLIENT_FILE = (ClientFileRefused, FileUnreadable, FileUnwritable)
_SIGN_IN = (LoginFailed, LoginFlowNotFound)

_ALL = (
    Method("daemon.status", NoParams, daemon.DaemonStatus, "What the daemon is doing, and what is wrong"),
    Method(
        "daemon.reload",
        NoParams,
        settings.ChangedSettings,
        "Read the settings file again",
        errors=(SettingInvalid, FileUnreadable),
    ),
    Method("daemon.stop", NoParams, daemon.Stopping, "Stop as soon as the running requests have ended"),
    Method("accounts.list", NoParams, accounts.AccountList, "Every account with its state and quota"),
    Method("accounts.status", NoParams, accounts.AccountsStatus, "How many accounts are in which state"),
    Method(
        "accounts.login.start",
        accounts.LoginStart,
        accounts.LoginStarted,
        "Begin a sign-in in a browser, by a pasted address, or by a device code",
        {"method": "manual"},
        errors=(LoginFailed,),
    ),
    Method(
        "accounts.login.complete",
        accounts.LoginComplete,
        accounts.SignedIn,
        "End a sign-in with what the browser was sent back with",
        {"flow": "4f1c2a", "input": "http://localhost:1455/auth/callback?code=ac_1&state=s"},
        errors=_SIGN_IN,
    ),
    Method(
        "accounts.login.wait",
        accounts.LoginFlowChoice,
        accounts.SignedIn,
        "Wait until a sign-in ends",
        {"flow": "4f1c2a"},
        errors=_SIGN_IN,
    ),
    Method(
        "accounts.login.cancel",
        accounts.LoginCancel,
        accounts.CancelledLogins,
        "Give sign-ins up",
        errors=(LoginFlowNotFound,),
    ),
    Method(
        "accounts.import",
        accounts.AccountImport,
        accounts.ImportedAccounts,
        "Take over or follow logins of another program",
        {"source": "codex"},
        errors=(LoginFileInvalid,),
    ),
    Method(
        "accounts.switch",
        accounts.AccountSwitch,
        accounts.SwitchedAccount,
        "Make an account the active one",
        _WORK,
        errors=_NAMED,
    ),
    Method(
        "accounts.remove",
        accounts.AccountChoice,
        accounts.RemovedAccount,
        "Sign an account out for good",
        _WORK,
        errors=_NAMED,
    ),
    Method(
        "accounts.enable",
        accounts.AccountChoice,
        accounts.ChangedAccount,
        "Use an account, limits forgotten",
        _WORK,
        errors=_NAMED,
    ),
    Method(
        "accounts.disable",
        accounts.AccountChoice,
        accounts.ChangedAccount,
        "Take an account out of use",
        _WORK,
        errors=_NAMED,
    ),
    Method(
        "accounts.refresh",
        accounts.AccountsChosen,
        accounts.CheckedAccounts,
        "Refresh access tokens now",
        {"all": True},
        errors=_CHOSEN,
    ),
    Method(
        "accounts.verify",
        accounts.AccountsChosen,
        accounts.CheckedAccounts,
        "Ask the backend whether logins work",
        _WORK,
        errors=_CHOSEN,
    ),
    Method("accounts.clear", NoParams, accounts.ClearedAccounts, "Remove every account"),
    Method(
        "accounts.quota",
        accounts.QuotaOf,
        accounts.Quotas,
        "What is left of plans",
        {"all": True, "refresh": True},
        errors=_CHOSEN,
    ),
    Method(
        "accounts.usage",
        accounts.AccountMaybe,
        accounts.AccountUsage,
        "The backend's own usage document",
        errors=(AccountError, UpstreamError),
    ),
    Method(
        "accounts.models",
        accounts.ModelsOf,
        accounts.AccountModels,
        "Models that the backend offers an account",
        {"refresh": True},
        errors=_CHOSEN,
    ),
    Method(
        "accounts.token",
        accounts.AccountMaybe,
        accounts.AccessToken,
        "A fresh access token, for the user's scripts",
        errors=(*_CHOSEN, AccountNeedsLogin, RefreshUnavailable),
    ),
    Method("settings.list", NoParams, settings.SettingsList, "Every setting, its value and where that comes from"),
    Method(
        "settings.get",
        settings.SettingName,
        settings.SettingInfo,
        "One setting, a secret too",
        _OPUS,
        errors=(SettingInvalid,),
    ),
    Method(
        "settings.set",
        settings.SettingValue,
        settings.SettingInfo,
        "Set a setting in the settings file",
        {**_OPUS, "value": ["gpt-6.1-sol", "gpt-5.5"]},
        errors=_EDITED,
    ),
    Method(
        "settings.unset",
        settings.SettingName,
        settings.SettingInfo,
        "Take a setting out of the settings file",
        _OPUS,
        errors=_EDITED,
    ),
    Method(
        "settings.read",
        NoParams,
        settings.SettingsFile,
        "The settings file, to be edited",
        errors=(FileUnreadable,),
    ),
    Method(
        "settings.check",
        settings.SettingsText,
        settings.CheckedSettings,
        "What is wrong with a text as the settings file",
        {"text": "[log]\nlevel = 'loud'\n"},
    ),
    Method(
        "settings.write",
        settings.SettingsWrite,
        settings.ChangedSettings,
        "Put an edited text in the place of the settings file",
        {"text": "[log]\nlevel = 'debug'\n", "before": ""},
        errors=_EDITED,
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
    Method(
        "requests.follow",
        records.RequestsFollow,
        records.Subscription,
        "Requests as they start, go on and end",
        {"limit": 10},
        event=records.RequestEvent,
    ),
    Method(
        "requests.cancel",
        records.RequestChoice,
        records.RequestInfo,
        "End a running request",
        {"id": "req_4f1c2a"},
        errors=(RequestNotFound,),
    ),
    Method(
        "requests.explain",
        records.RequestMaybe,
        records.Explanation,
        "What happened to a request, and what to do about it",
        {"id": "req_4f1c2a"},
        errors=(RequestNotFound,),
    ),
    Method(
        "usage.summary",
        records.UsageOf,
        records.UsageReport,
        "Tokens and requests of the past, summed up",
        {"by": "day"},
    ),
    Method(
        "claude.status",
        clients.ClientPlace,
        clients.ClaudeStatus,
        "How Claude Code is set up",
        {"config_dir": "/home/me/.claude"},
        errors=_CLIENT_FILE,
    ),
    Method(
        "claude.proxy",
        clients.ClientChange,
        clients.ClientSetUp,
        "Set Claude Code up to work through codexd, and prove it with a request",
        _CLAUDE,
        errors=_CLIENT_FILE,
    ),
    Method(
        "claude.direct",
        clients.ClaudeDirect,
        clients.ClientSetUp,
        "Set Claude Code up to use Anthropic's servers",
        _CLAUDE,
        errors=_CLIENT_FILE,
    ),
    Method(
        "claude.set",
        clients.ClaudeSet,
        clients.ClientSetUp,
        "Set Claude Code up to use another server with Anthropic's API",
        {"api_url": "https://gateway.example.com", **_CLAUDE},
        errors=_CLIENT_FILE,
    ),
    Method(
        "claude.reset",
        clients.ClientChange,
        clients.ClientSetUp,
        "Put back what was in Claude Code's settings before codexd",
        _CLAUDE,
        errors=_CLIENT_FILE,
    ),
    Method(
        "claude.environment",
        NoParams,
        clients.ClaudeEnvironment,
        "What Claude Code needs to work through codexd with no file edited",
        errors=(FileUnwritable,),
    ),
    Method(
        "codex.status",
        clients.ClientPlace,
        clients.CodexStatus,
        "How the Codex CLI is set up",
        {"config_dir": "/home/me/.codex"},
        errors=_CLIENT_FILE,
    ),
    Method(
        "codex.proxy",
        clients.ClientChange,
        clients.ClientSetUp,
        "Set the Codex CLI up to work through codexd, and prove it with a request",
        _CODEX,
        errors=_CLIENT_FILE,
    ),
    Method(
        "codex.reset",
        clients.ClientChange,
        clients.ClientSetUp,
        "Put back what was in the Codex CLI's settings before codexd",
        _CODEX,
        errors=_CLIENT_FILE,
    ),
    Method("kilo.models", NoParams, daemon.KiloModels, "Free models that the third-party name kilo can mean"),
    Method("subscription.cancel", records.Subscription, records.Subscription, "End a follow", {"subscription": 1}),
    Method("rpc.discover", NoParams, discover.OpenRpc, "Every method with its params, its result and its errors"),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
