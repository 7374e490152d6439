"""``accounts.*``, except for signing in (``sign_in``)."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import trio

from codexd.accounts.choosing.choose import NO_ACCOUNT
from codexd.accounts.choosing.serving import Standing
from codexd.accounts.followed import STALE_ADVICE
from codexd.accounts.imports import read_logins
from codexd.accounts.limits.cooldown import Reason
from codexd.accounts.limits.windows import Window
from codexd.accounts.login import read_tokens
from codexd.accounts.model import Account, AccountState, Tokens, account_state
from codexd.api import accounts as api
from codexd.api.rules import NoParams
from codexd.control.method import Call, Control, method
from codexd.errors import (
    AccountAmbiguous,
    AccountError,
    AccountNeedsLogin,
    AccountNotFound,
    LoginFileInvalid,
    NoAccount,
    UpstreamError,
)
from codexd.translation.models.catalogue import Catalogue
from codexd.translation.wire_errors import say_until

log = logging.getLogger("codexd.control")

NAME_ERRORS = (AccountNotFound, AccountAmbiguous)
CHOICE_ERRORS = (*NAME_ERRORS, NoAccount)
WORK_EXAMPLE = {"account": "work@example.com"}


@method("accounts.list")
async def list_accounts(call: Call, _params: NoParams) -> api.AccountList:
    """Every account with its state and quota."""
    active = call.control.store.active
    return api.AccountList(_infos(call.control), active.id if active else None)


@method("accounts.status")
async def count_accounts(call: Call, _params: NoParams) -> api.AccountsStatus:
    """How many accounts are in which state."""
    infos = _infos(call.control)
    counts = Counter(info.state for info in infos)
    states = {state.value: counts[state.value] for state in AccountState}
    return api.AccountsStatus(len(infos), states, next((info for info in infos if info.active), None))


@method("accounts.switch", example=WORK_EXAMPLE, errors=NAME_ERRORS)
async def switch_account(call: Call, params: api.AccountSwitch) -> api.SwitchedAccount:
    """Make an account the active one.

    Streams in flight finish on the old account; the next request goes to the new one.
    """
    control, previous = call.control, call.control.store.active
    account = control.store.find(params.account)
    cost = control.accounts.sessions.cost_of_switch(account.id, control.clock())
    if not params.dry_run:
        control.store.switch(account.id)
        log.info("switched account", extra={"fields": {"account": account.label}})
    return api.SwitchedAccount(
        account=to_ref(account),
        previous=to_ref(previous) if previous else None,
        switched=not params.dry_run,
        cost=cost,
        warning=_find_warning(to_standing(control, account), control.clock()),
    )


def _find_warning(standing: Standing, now: float) -> str | None:
    """Why the account can't serve requests, and what to do, in full sentences."""
    account = standing.account
    match standing.state:
        case AccountState.DISABLED:
            return f"It is disabled, so requests are refused until you run `codexctl accounts enable {account.name}`."
        case AccountState.NEEDS_LOGIN:
            reason = account.needs_login or account.refusal or "Sign in again with `codexctl accounts add`."
            return f"It can't serve requests. {reason}"
        case AccountState.LIMITED:
            until = f" It is available again {say_until(standing.until, now)}." if standing.until else ""
            return f"Its plan is used up, so requests are refused.{until}"
    return None


@method("accounts.enable", example=WORK_EXAMPLE, errors=NAME_ERRORS)
async def enable_account(call: Call, params: api.AccountChoice) -> api.ChangedAccount:
    """Use an account, limits forgotten."""
    return _set_disabled(call.control, params.account, disabled=False)


@method("accounts.disable", example=WORK_EXAMPLE, errors=NAME_ERRORS)
async def disable_account(call: Call, params: api.AccountChoice) -> api.ChangedAccount:
    """Take an account out of use."""
    return _set_disabled(call.control, params.account, disabled=True)


def _set_disabled(control: Control, name: str, *, disabled: bool) -> api.ChangedAccount:
    account = control.store.set_disabled(control.store.find(name).id, disabled=disabled)
    if not disabled:
        control.accounts.tracker.clear_cooldown(account.id)
    log.info("account %s", "disabled" if disabled else "enabled", extra={"fields": {"account": account.label}})
    return api.ChangedAccount(to_info(control, account))


@method("accounts.remove", example=WORK_EXAMPLE, errors=NAME_ERRORS)
async def remove_account(call: Call, params: api.AccountChoice) -> api.RemovedAccount:
    """Sign an account out for good."""
    control = call.control
    account = control.store.find(params.account)
    was_active = control.store.active == account
    revoked, note = await _revoke(control, account, _forget(control, account))
    if was_active and control.store.accounts:
        note = f"{note or ''} No account is active now; choose one with `codexctl accounts switch`.".strip()
    return api.RemovedAccount(to_ref(account), revoked, note)


@method("accounts.clear")
async def clear_accounts(call: Call, _params: NoParams) -> api.ClearedAccounts:
    """Remove every account.

    The logins are revoked concurrently, since each may take a while, and also if a later account can't be removed.
    """
    removed: list[tuple[Account, Tokens | None]] = []
    try:
        for account in call.control.store.accounts:
            removed.append((account, _forget(call.control, account)))  # noqa: PERF401 - kept when one raises
    finally:
        async with trio.open_nursery() as nursery:
            for account, tokens in removed:
                nursery.start_soon(_revoke, call.control, account, tokens)
    return api.ClearedAccounts(len(removed))


def _forget(control: Control, account: Account) -> Tokens | None:
    """Done before revoking: a login must leave this machine even if the sign-in server can't be reached."""
    tokens = control.store.remove(account.id)
    control.accounts.tracker.forget(account.id)
    log.info("account removed", extra={"fields": {"account": account.label}})
    return tokens


async def _revoke(control: Control, account: Account, tokens: Tokens | None) -> tuple[bool, str | None]:
    """End the login at the sign-in server, unless another program uses the same one.

    Shielded, and bounded by the endpoint's timeout: a caller that disconnects must not leave a login valid.
    """
    if account.followed is not None:
        return False, f"The login belongs to {account.followed} and was not changed."
    if tokens is None:
        return False, None
    if account.imported_from is not None and _still_holds(Path(account.imported_from), tokens):
        return False, f"{account.imported_from} still contains the login, so it was not revoked."
    with trio.CancelScope(shield=True):
        if await control.accounts.tokens.revoke(tokens.refresh_token):
            return True, None
    return False, "The login was removed from this machine, but the sign-in server could not be asked to revoke it."


def _still_holds(path: Path, tokens: Tokens) -> bool:
    try:
        logins = read_logins(path).logins
    except LoginFileInvalid:
        return False
    return any(read_tokens(auth_json).refresh_token == tokens.refresh_token for auth_json in logins)


@method("accounts.quota", example={"all": True, "refresh": True}, errors=CHOICE_ERRORS)
async def read_quota(call: Call, params: api.QuotaOf) -> api.Quotas:
    """What is left of plans."""
    accounts = choose_accounts(call.control, params.account, every=params.all)
    if params.refresh:
        quotas = await _ask_each(call.control, accounts)
    else:
        quotas = {account.id: _to_quota(call.control, account) for account in accounts}
    return api.Quotas(tuple(quotas[account.id] for account in accounts))


async def _ask_each(control: Control, accounts: Iterable[Account]) -> dict[str, api.AccountQuota]:
    """Runs concurrently: an account whose endpoint does not answer must not delay the others."""
    quotas: dict[str, api.AccountQuota] = {}

    async def run(account: Account) -> None:
        quotas[account.id] = await _ask_one(control, account)

    async with trio.open_nursery() as nursery:
        for account in accounts:
            nursery.start_soon(run, account)
    return quotas


async def _ask_one(control: Control, account: Account) -> api.AccountQuota:
    """The account's quota; if the usage endpoint does not answer, the last figures and the error."""
    try:
        await control.accounts.poller.check(account.id)
    except (AccountError, UpstreamError) as error:
        return _to_quota(control, account, str(error))
    return _to_quota(control, account)


@method("accounts.usage", errors=(AccountError, UpstreamError))
async def read_usage(call: Call, params: api.AccountMaybe) -> api.AccountUsage:
    """The backend's own usage document."""
    account = choose_account(call.control, params.account)
    details = await call.control.accounts.poller.fetch(account.id)
    return api.AccountUsage(_to_quota(call.control, account), details)


@method("accounts.models", example={"refresh": True}, errors=CHOICE_ERRORS)
async def read_models(call: Call, params: api.ModelsOf) -> api.AccountModels:
    """Models that the backend offers an account.

    A known list is returned at once. Otherwise the backend is asked, and the built-in list is the last resort.
    """
    control, catalogues = call.control, call.control.accounts.catalogues
    account = choose_account(control, params.account)
    error = None
    if params.refresh or catalogues.of(account).is_built_in:
        try:
            await catalogues.fetch(account.id)
        except (AccountError, UpstreamError) as failure:
            error = str(failure)
    catalogue = catalogues.of(account)
    return api.AccountModels(
        account=to_ref(account),
        models=_describe_models(catalogue, _find_uses(control, catalogue)),
        source="built-in" if catalogue.is_built_in else "backend",
        fetched_at=None if catalogue.is_built_in else catalogues.fetched_at(account.id),
        error=error,
    )


def _find_uses(control: Control, catalogue: Catalogue) -> Mapping[str, list[str]]:
    """By model, the settings that refer to it."""
    models, uses = control.settings.models, defaultdict[str, list[str]](list)
    for family, candidates in models.families.items():
        uses[catalogue.choose(candidates)].append(f"models.{family}")
    for name, slug in models.aliases.items():
        uses[slug].append(f"models.aliases {name}")
    return uses


def _describe_models(catalogue: Catalogue, uses: Mapping[str, list[str]]) -> tuple[api.ModelOfAccount, ...]:
    """The offered models, preferred ones first, then models that are not offered but named by a setting."""
    offered = sorted(catalogue.models, key=lambda model: model.priority)
    others = [catalogue.describe(slug) for slug in uses if catalogue.find(slug) is None]
    return tuple(
        api.ModelOfAccount(
            id=model.slug,
            name=model.display_name,
            description=model.description or None,
            context_window=model.context_window,
            efforts=model.efforts,
            default_effort=model.default_effort,
            listed=model.visibility == "list",
            offered=model not in others,
            refused=model.slug in catalogue.refused,
            used_by=tuple(uses.get(model.slug, ())),
        )
        for model in [*offered, *others]
    )


def choose_account(control: Control, name: str | None) -> Account:
    """The account of that name; without a name, the active one.

    Raises:
        AccountNotFound, AccountAmbiguous
        NoAccount: no name was given, and no account is active.
    """
    if name is not None:
        return control.store.find(name)
    active = control.store.active
    if active is None:
        if not control.store.accounts:
            raise NoAccount(NO_ACCOUNT)
        raise NoAccount("No account is active. Name one, or choose one with `codexctl accounts switch`.")
    return active


def choose_accounts(control: Control, name: str | None, *, every: bool) -> tuple[Account, ...]:
    """All accounts, or only the result of ``choose_account``, with the same errors."""
    return control.store.accounts if every else (choose_account(control, name),)


def to_ref(account: Account) -> api.AccountRef:
    return api.AccountRef(account.id, account.name, account.email, account.plan, account.simulated)


def to_standing(control: Control, account: Account) -> Standing:
    tracker, now = control.accounts.tracker, control.clock()
    limits, cooldown = tracker.limits(account.id), tracker.cooldown(account.id)
    state = account_state(account, _find_tokens(control, account), limits, cooldown, now)
    if state is AccountState.LIMITED:
        until = cooldown.until if cooldown else limits.find_reset(now)
        return Standing(account, state, until, cooldown.reason if cooldown else Reason.USAGE_LIMIT)
    if state is AccountState.EXPIRED and account.followed is not None:
        return Standing(account, state, problem=f"codexd only reads its login from {account.followed}. {STALE_ADVICE}")
    if state is AccountState.EXPIRED and (outage := control.accounts.refresher.outage(account.id)):
        return Standing(account, state, outage.retry_at, outage.problem)
    return Standing(account, state)


def _find_tokens(control: Control, account: Account) -> Tokens | None:
    try:
        return control.store.tokens(account.id)
    except AccountNeedsLogin:  # its file can't be read; store.problems says why
        return None


def to_info(control: Control, account: Account) -> api.AccountInfo:
    tracker, now = control.accounts.tracker, control.clock()
    limits, cooldown = tracker.limits(account.id), tracker.cooldown(account.id)
    tokens = _find_tokens(control, account)
    active = control.store.active
    return api.AccountInfo(
        id=account.id,
        label=account.name,
        email=account.email,
        plan=limits.plan or account.plan,
        active=active is not None and account.id == active.id,
        state=account_state(account, tokens, limits, cooldown, now).value,
        reason=account.needs_login or account.refusal or control.accounts.refresher.explain_withdrawn(account.id),
        expires_at=tokens.expires_at if tokens else None,
        added_at=account.added_at,
        last_used=account.last_used_at,
        quota=tuple(_to_window(window) for window in limits.windows),
        simulated=account.simulated,
        quota_stale=limits.is_stale(now),
        limited_until=cooldown.until if cooldown else None,
        followed=account.followed,
        workspace=account.chatgpt_account_id,
    )


def _infos(control: Control) -> tuple[api.AccountInfo, ...]:
    return tuple(to_info(control, account) for account in control.store.accounts)


def _to_quota(control: Control, account: Account, error: str | None = None) -> api.AccountQuota:
    tracker, now = control.accounts.tracker, control.clock()
    limits, cooldown = tracker.limits(account.id), tracker.cooldown(account.id)
    tightest = limits.tightest(now)
    return api.AccountQuota(
        account=to_ref(account),
        windows=tuple(_to_window(window) for window in limits.windows),
        tightest=tightest.name if tightest else None,
        credits=limits.credits,
        fetched_at=limits.fetched_at,
        stale=limits.is_stale(now),
        cooldown_until=cooldown.until if cooldown else None,
        error=error,
    )


def _to_window(window: Window) -> api.QuotaWindow:
    return api.QuotaWindow(window.name, window.used_percent, window.window_s, window.resets_at, window.limit)


METHODS = (
    list_accounts,
    count_accounts,
    switch_account,
    enable_account,
    disable_account,
    remove_account,
    clear_accounts,
    read_quota,
    read_usage,
    read_models,
)
