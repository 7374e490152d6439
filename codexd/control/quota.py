"""``accounts.quota``, ``.usage`` and ``.models``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import trio

from codexd.accounts.limits.windows import Window
from codexd.accounts.model import Account
from codexd.api import accounts as api
from codexd.control.call import Call, Control
from codexd.control.chosen import choose_accounts, choose_one
from codexd.errors import AccountError, UpstreamError
from codexd.translation.responses import objects_of, text_of


async def read_quota(call: Call, params: api.QuotaOf) -> api.Quotas:
    accounts = choose_accounts(call.control, params.account, every=params.all)
    if params.refresh:
        quotas = await _ask_each(call.control, accounts)
    else:
        quotas = {account.id: to_quota(call.control, account) for account in accounts}
    return api.Quotas(tuple(quotas[account.id] for account in accounts))


async def _ask_each(control: Control, accounts: Iterable[Account]) -> dict[str, api.AccountQuota]:
    """All at once: one that does not answer must not hold up the others."""
    quotas: dict[str, api.AccountQuota] = {}

    async def run(account: Account) -> None:
        quotas[account.id] = await _ask_one(control, account)

    async with trio.open_nursery() as nursery:
        for account in accounts:
            nursery.start_soon(run, account)
    return quotas


async def _ask_one(control: Control, account: Account) -> api.AccountQuota:
    """Without an answer of the usage endpoint the last figures are given, with the reason."""
    try:
        await control.accounts.poller.check(account.id)
    except (AccountError, UpstreamError) as error:
        return to_quota(control, account, str(error))
    return to_quota(control, account)


async def read_usage(call: Call, params: api.AccountMaybe) -> api.AccountUsage:
    account = choose_one(call.control, params.account)
    details = await call.control.accounts.poller.fetch(account.id)
    return api.AccountUsage(to_quota(call.control, account), details)


async def read_models(call: Call, params: api.AccountMaybe) -> api.AccountModels:
    account = choose_one(call.control, params.account)
    models = await call.control.accounts.poller.fetch_models(account.id)
    return api.AccountModels(to_ref(account), tuple(_to_model(model) for model in models))


def to_quota(control: Control, account: Account, error: str | None = None) -> api.AccountQuota:
    tracker, now = control.accounts.tracker, control.clock()
    limits, cooldown = tracker.limits(account.id), tracker.cooldown(account.id)
    tightest, credits_ = limits.tightest(now), limits.credits
    return api.AccountQuota(
        account=to_ref(account),
        windows=tuple(to_quota_window(window) for window in limits.windows),
        tightest=tightest.name if tightest else None,
        credits=api.CreditsInfo(credits_.has_credits, credits_.unlimited, credits_.balance) if credits_ else None,
        fetched_at=limits.fetched_at,
        stale=limits.is_stale(now),
        cooldown_until=cooldown.until if cooldown else None,
        error=error,
    )


def to_quota_window(window: Window) -> api.QuotaWindow:
    return api.QuotaWindow(window.name, window.used_percent, window.window_s, window.resets_at, window.limit)


def to_ref(account: Account) -> api.AccountRef:
    return api.AccountRef(account.id, account.email, account.plan, account.simulated)


def _to_model(model: Mapping[str, Any]) -> api.ModelOfAccount:
    """The catalogue is the backend's; what has the wrong type counts as absent."""
    levels = (text_of(level.get("effort")) for level in objects_of(model.get("supported_reasoning_levels")))
    window = model.get("context_window")
    return api.ModelOfAccount(
        id=text_of(model.get("slug")),
        name=text_of(model.get("display_name")) or text_of(model.get("slug")),
        description=text_of(model.get("description")) or None,
        context_window=window if isinstance(window, int) else None,
        efforts=tuple(level for level in levels if level),
        default_effort=text_of(model.get("default_reasoning_level")) or None,
        listed=model.get("visibility") == "list",
    )
