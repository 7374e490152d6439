"""``accounts.quota`` and ``.usage``."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from codexd.accounts.limits.windows import Window
from codexd.accounts.model import Account
from codexd.api import accounts as api
from codexd.control.chosen import choose_accounts, choose_one
from codexd.control.method import Call, Control
from codexd.errors import AccountError, UpstreamError


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
