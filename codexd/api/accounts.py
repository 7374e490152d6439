"""``accounts.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, field, frozen

from codexd.api.rules import filled, one_of
from codexd.errors import RequestInvalid

LOGIN_METHODS = ("browser", "manual", "device")


@frozen
class AccountRef:
    """Enough of an account to name it to its user. ``label``: see ``AccountInfo``."""

    id: str
    label: str
    email: str
    plan: str
    simulated: bool


@frozen
class QuotaWindow:
    """A rate-limit window. ``limit`` names a metered limit (one model's, say); None is the plan's own."""

    name: str
    used_percent: float
    window_seconds: float | None
    resets_at: float | None
    limit: str | None = None


@frozen
class AccountInfo:
    """``state``: ok, expiring, expired, needs_login, limited or disabled; ``reason`` says why a login is needed.

    ``label`` is short and distinct, and every ``account`` parameter takes it: the email, with the beginning of the
    workspace id after a slash if another account has the same email.

    ``quota`` is what was last observed, empty before the first reply of the backend, and ``quota_stale`` when that
    was long ago. ``followed`` is the file of another program whose login this is. ``limited_until`` is the end of a
    cooldown.
    """

    id: str
    label: str
    email: str
    plan: str
    active: bool
    state: str
    reason: str | None
    expires_at: float | None
    added_at: float
    last_used: float | None
    quota: tuple[QuotaWindow, ...]
    simulated: bool
    quota_stale: bool = False
    limited_until: float | None = None
    followed: str | None = None
    workspace: str = ""


@frozen
class AccountList:
    """``active`` is the id of the active account."""

    accounts: tuple[AccountInfo, ...]
    active: str | None


@frozen
class AccountsStatus:
    """How many accounts there are, in all and in each state."""

    total: int
    states: Mapping[str, int]
    active: AccountInfo | None


@frozen
class LoginStart:
    """``port``: where the browser comes back to, 1455 or 1457; the first that is free by itself."""

    method: str = field(default="browser", validator=one_of(LOGIN_METHODS))
    port: int | None = None


@frozen
class LoginStarted:
    """A sign-in under way: open ``url``; with ``user_code``, type that code there. It ends at ``expires_at``."""

    flow: str
    method: str
    url: str
    user_code: str | None
    expires_at: float


@frozen
class LoginComplete:
    """``input``: the code, or the whole address that the browser was sent to."""

    flow: str = field(validator=filled)
    input: str = field(validator=filled, repr=False)


@frozen
class LoginFlowChoice:
    flow: str = field(validator=filled)


@frozen
class SignedIn:
    """``added``: the account is new."""

    account: AccountRef
    added: bool


@frozen
class LoginCancel:
    """Without ``flow``: all that are under way."""

    flow: str | None = None


@frozen
class CancelledLogins:
    cancelled: int


@frozen
class AccountImport:
    """``source``: ``codex`` (the login of the Codex CLI), ``codex-claude-proxy``, or the absolute path of a file.

    ``follow``: go on reading that file, adopt what its owner refreshes, and never refresh the login here.
    """

    source: str = field(default="codex", validator=filled)
    follow: bool = False


@frozen
class ImportedAccounts:
    """``kept``: accounts whose login here is newer than the file's, so that it stayed.

    ``problems``: sentences on entries that could not be read. ``note``: what the user should know of the login's
    other owner.
    """

    added: tuple[AccountRef, ...]
    updated: tuple[AccountRef, ...]
    kept: tuple[AccountRef, ...]
    problems: tuple[str, ...]
    note: str | None


@frozen
class AccountChoice:
    """``account``: a label, an email, an id, or the beginning of one that fits no other account."""

    account: str = field(validator=filled)


@frozen
class AccountMaybe:
    """Without ``account``: the active one."""

    account: str | None = None


@frozen
class AccountSwitch:
    """``dry_run``: only say what it would cost."""

    account: str = field(validator=filled)
    dry_run: bool = False


@frozen
class SwitchCost:
    """What a switch makes dearer: the sessions of the last hour on another account.

    ``reasoning_items``: their encrypted reasoning, which only its own account can read. ``tokens``: their input,
    to be read again without the prompt cache.
    """

    sessions: int
    reasoning_items: int
    tokens: int


@frozen
class SwitchedAccount:
    """``warning``: why the account can't serve requests now, and what to do about it."""

    account: AccountRef
    previous: AccountRef | None
    switched: bool
    cost: SwitchCost
    warning: str | None = None


@frozen
class RemovedAccount:
    """``revoked``: the sign-in server ended the login; ``note`` says why not, or what else to know."""

    account: AccountRef
    revoked: bool
    note: str | None


@frozen
class ChangedAccount:
    account: AccountInfo


def _not_both(instance: Any, _attribute: Attribute[Any], value: Any) -> None:
    if value and instance.account is not None:
        raise RequestInvalid("all", "can't be given with an account")


@frozen
class AccountsChosen:
    """``account``, or ``all``; without both the active one."""

    account: str | None = None
    all: bool = field(default=False, validator=_not_both)


@frozen
class CheckedAccount:
    """What became of one account; ``message`` is a sentence."""

    account: AccountRef
    ok: bool
    message: str


@frozen
class CheckedAccounts:
    results: tuple[CheckedAccount, ...]


@frozen
class ClearedAccounts:
    removed: int


@frozen
class QuotaOf:
    """``refresh``: ask the backend's usage endpoint first."""

    account: str | None = None
    all: bool = field(default=False, validator=_not_both)
    refresh: bool = False


@frozen
class ModelsOf:
    """``refresh``: ask the backend first. Without ``account``: the active one."""

    account: str | None = None
    refresh: bool = False


@frozen
class CreditsInfo:
    has_credits: bool
    unlimited: bool
    balance: str | None

    @property
    def can_pay(self) -> bool:
        """Whether the account can spend beyond its windows. ``balance`` is the backend's own text."""
        return self.has_credits or self.unlimited


@frozen
class AccountQuota:
    """What is left of an account's plan, as last observed at ``fetched_at``.

    ``tightest`` is the name of the plan's most used window: it decides what is usable now. ``cooldown_until`` is the
    end of a limit that was hit; ``error`` why the usage endpoint could not be asked.
    """

    account: AccountRef
    windows: tuple[QuotaWindow, ...]
    tightest: str | None
    credits: CreditsInfo | None
    fetched_at: float | None
    stale: bool
    cooldown_until: float | None
    error: str | None


@frozen
class Quotas:
    accounts: tuple[AccountQuota, ...]


@frozen
class AccountUsage:
    """``details`` is the usage endpoint's document as it came."""

    quota: AccountQuota
    details: Mapping[str, Any]


@frozen
class ModelOfAccount:
    """A model that the backend offers to an account; ``listed``: meant to be chosen by people.

    Not ``offered``: a setting names it all the same. ``refused``: the backend would not serve it to the account.
    ``used_by``: the settings that lead to it now, such as ``models.opus``.
    """

    id: str
    name: str
    description: str | None
    context_window: int | None
    efforts: tuple[str, ...]
    default_effort: str | None
    listed: bool
    offered: bool
    refused: bool
    used_by: tuple[str, ...]


@frozen
class AccountModels:
    """``source``: ``backend``, or ``built-in`` while its list is not known; ``error``: why it could not be asked."""

    account: AccountRef
    models: tuple[ModelOfAccount, ...]
    source: str
    fetched_at: float | None
    error: str | None


@frozen
class AccessToken:
    account: AccountRef
    access_token: str = field(repr=False)
    expires_at: float
