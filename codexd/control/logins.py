"""``accounts.login.*``, ``.import``, ``.token``, ``.refresh`` and ``.verify``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from codexd.accounts.model import Account
from codexd.accounts.sign_in.flows import LoginMethod
from codexd.api import accounts as api
from codexd.control.chosen import choose_accounts, choose_one
from codexd.control.method import Call, Control
from codexd.control.quota import to_ref
from codexd.errors import AccountError, UpstreamError
from codexd.translation.wire_errors import say_duration

log = logging.getLogger("codexd.control")


async def start_login(call: Call, params: api.LoginStart) -> api.LoginStarted:
    flow = await call.control.accounts.logins.start(LoginMethod(params.method), params.port)
    return api.LoginStarted(flow.id, flow.method.value, flow.url, flow.user_code, flow.expires_at)


async def complete_login(call: Call, params: api.LoginComplete) -> api.SignedIn:
    account, added = await call.control.accounts.logins.complete(params.flow, params.input)
    return api.SignedIn(to_ref(account), added)


async def wait_for_login(call: Call, params: api.LoginFlowChoice) -> api.SignedIn:
    account, added = await call.control.accounts.logins.wait(params.flow)
    return api.SignedIn(to_ref(account), added)


async def cancel_logins(call: Call, params: api.LoginCancel) -> api.CancelledLogins:
    return api.CancelledLogins(call.control.accounts.logins.cancel(params.flow))


async def give_token(call: Call, params: api.AccountMaybe) -> api.AccessToken:
    """A token that is good for some minutes. It goes into the reply and nowhere else."""
    control = call.control
    account = choose_one(control, params.account)
    token = await control.accounts.refresher.fresh_token(account.id)
    return api.AccessToken(to_ref(account), token, control.store.tokens(account.id).expires_at)


async def refresh_logins(call: Call, params: api.AccountsChosen) -> api.CheckedAccounts:
    accounts = choose_accounts(call.control, params.account, every=params.all)
    return await _check_each(accounts, partial(_refresh, call.control))


async def verify_logins(call: Call, params: api.AccountsChosen) -> api.CheckedAccounts:
    accounts = choose_accounts(call.control, params.account, every=params.all)
    return await _check_each(accounts, partial(_verify, call.control))


async def _check_each(accounts: tuple[Account, ...], check: Callable[[Account], Awaitable[str]]) -> api.CheckedAccounts:
    """All at once; what goes wrong with one is its own result."""
    results: dict[str, api.CheckedAccount] = {}

    async def run(account: Account) -> None:
        try:
            message, ok = await check(account), True
        except (AccountError, UpstreamError) as error:
            message, ok = str(error), False
        results[account.id] = api.CheckedAccount(to_ref(account), ok, message)

    async with trio.open_nursery() as nursery:
        for account in accounts:
            nursery.start_soon(run, account)
    return api.CheckedAccounts(tuple(results[account.id] for account in accounts))


async def _refresh(control: Control, account: Account) -> str:
    await control.accounts.refresher.refresh_now(account.id)
    left = say_duration(max(0.0, control.store.tokens(account.id).expires_at - control.clock()))
    done = "Refreshed" if account.followed is None else f"Read again from {account.followed}"
    return f"{done}; the access token is good for {left}."


async def _verify(control: Control, account: Account) -> str:
    """The usage endpoint answers only to a working login, and costs nothing of the plan."""
    limits = await control.accounts.poller.check(account.id)
    plan = limits.plan or account.plan
    tightest = limits.tightest(control.clock())
    used = f"; {tightest.used_percent:.0f} % of its {tightest.name} window is used" if tightest else ""
    return f"The login works (plan {plan}{used})."
