"""``accounts.login.*``, ``.import``, ``.refresh``, ``.verify`` and ``.token``: logins, and whether they work."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import trio

from codexd.accounts.imports import Logins, codex_auth_path, predecessor_path, read_logins
from codexd.accounts.model import Account, AddOutcome
from codexd.accounts.sign_in.flows import LoginMethod
from codexd.api import accounts as api
from codexd.control.accounts import CHOICE_ERRORS, WORK_EXAMPLE, choose_account, choose_accounts, to_ref
from codexd.control.method import Call, Control, method
from codexd.errors import (
    AccountError,
    AccountNeedsLogin,
    LoginFailed,
    LoginFileInvalid,
    LoginFlowNotFound,
    RefreshUnavailable,
    RequestInvalid,
    UpstreamError,
)
from codexd.translation.wire_errors import say_duration

log = logging.getLogger("codexd.control")

COPIED_NOTE = (
    "{path} and codexd now share the same login, and a refresh token works only once: after codexd's first refresh the "
    "other program will ask for a new login. It is better to give codexd its own login (`codexctl accounts add`), or "
    "to leave this one to its owner and only read it (`codexctl accounts import --follow`)."
)
FOLLOWED_NOTE = (
    "codexd reads {path} and never refreshes this login itself: it works as long as the other program keeps it fresh. "
    "If codexd reports that it is stale, run any `codex` command."
)
KEPT_NOTE = "codexd already has a newer login than the one in {path}, and kept it."


@method("accounts.login.start", example={"method": "manual"}, errors=(LoginFailed,))
async def start_login(call: Call, params: api.LoginStart) -> api.LoginStarted:
    """Begin a sign-in in a browser, by a pasted address, or by a device code."""
    flow = await call.control.accounts.logins.start(LoginMethod(params.method), params.port)
    return api.LoginStarted(flow.id, flow.method.value, flow.url, flow.user_code, flow.expires_at)


@method(
    "accounts.login.complete",
    example={"flow": "4f1c2a", "input": "http://localhost:1455/auth/callback?code=ac_1&state=s"},
    errors=(LoginFailed, LoginFlowNotFound),
)
async def complete_login(call: Call, params: api.LoginComplete) -> api.SignedIn:
    """End a sign-in with what the browser was sent back with."""
    account, added = await call.control.accounts.logins.complete(params.flow, params.input)
    return api.SignedIn(to_ref(account), added)


@method("accounts.login.wait", example={"flow": "4f1c2a"}, errors=(LoginFailed, LoginFlowNotFound))
async def wait_for_login(call: Call, params: api.LoginFlowChoice) -> api.SignedIn:
    """Wait until a sign-in ends."""
    account, added = await call.control.accounts.logins.wait(params.flow)
    return api.SignedIn(to_ref(account), added)


@method("accounts.login.cancel", errors=(LoginFlowNotFound,))
async def cancel_logins(call: Call, params: api.LoginCancel) -> api.CancelledLogins:
    """Give sign-ins up."""
    return api.CancelledLogins(call.control.accounts.logins.cancel(params.flow))


@method("accounts.import", example={"source": "codex"}, errors=(LoginFileInvalid,))
async def import_logins(call: Call, params: api.AccountImport) -> api.ImportedAccounts:
    """Take over or follow logins of another program."""
    path = _find_source(params.source, call.control.environ)
    found = read_logins(path)
    if params.follow and not found.followable:
        raise RequestInvalid("follow", f"{path} is not the auth.json of one program; import it without follow")
    outcomes: dict[AddOutcome, list[api.AccountRef]] = {outcome: [] for outcome in AddOutcome}
    for auth_json in found.logins:
        account, outcome = call.control.store.add(
            auth_json,
            now=call.control.clock(),
            simulated=call.control.simulated,
            followed=found.path if params.follow else None,
            imported_from=None if params.follow else found.path,
        )
        outcomes[outcome].append(to_ref(account))
        log.info("account imported", extra={"fields": {"account": account.label, "outcome": outcome.value}})
    return api.ImportedAccounts(
        added=tuple(outcomes[AddOutcome.ADDED]),
        updated=tuple(outcomes[AddOutcome.UPDATED]),
        kept=tuple(outcomes[AddOutcome.KEPT]),
        problems=found.problems,
        note=_make_note(found, outcomes, follow=params.follow),
    )


def _find_source(source: str, environ: Mapping[str, str]) -> Path:
    """The file or folder that ``source`` stands for."""
    match source:
        case "codex":
            return codex_auth_path(environ)
        case "codex-claude-proxy":
            return predecessor_path(environ)
    if not Path(source).is_absolute():
        raise RequestInvalid("source", "must be codex, codex-claude-proxy, or the absolute path of a login file")
    return Path(source)


def _make_note(found: Logins, outcomes: Mapping[AddOutcome, list[api.AccountRef]], *, follow: bool) -> str | None:
    if follow:
        return FOLLOWED_NOTE.format(path=found.path)
    if outcomes[AddOutcome.ADDED] or outcomes[AddOutcome.UPDATED]:
        return COPIED_NOTE.format(path=found.path)
    return KEPT_NOTE.format(path=found.path) if outcomes[AddOutcome.KEPT] else None


@method("accounts.refresh", example={"all": True}, errors=CHOICE_ERRORS)
async def refresh_logins(call: Call, params: api.AccountsChosen) -> api.CheckedAccounts:
    """Refresh access tokens now."""
    accounts = choose_accounts(call.control, params.account, every=params.all)
    return await _check_each(accounts, partial(_refresh, call.control))


@method("accounts.verify", example=WORK_EXAMPLE, errors=CHOICE_ERRORS)
async def verify_logins(call: Call, params: api.AccountsChosen) -> api.CheckedAccounts:
    """Ask the backend whether logins work."""
    accounts = choose_accounts(call.control, params.account, every=params.all)
    return await _check_each(accounts, partial(_verify, call.control))


async def _check_each(accounts: tuple[Account, ...], check: Callable[[Account], Awaitable[str]]) -> api.CheckedAccounts:
    """Runs concurrently; a failure is the result of its own account only."""
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
    return f"{done}; the access token is valid for {left}."


async def _verify(control: Control, account: Account) -> str:
    """Asks the usage endpoint: it answers only if the login works, and costs no quota."""
    limits = await control.accounts.poller.check(account.id)
    plan = limits.plan or account.plan
    tightest = limits.tightest(control.clock())
    used = f"; {tightest.used_percent:.0f} % of its {tightest.name} window is used" if tightest else ""
    return f"The login works (plan {plan}{used})."


@method("accounts.token", errors=(*CHOICE_ERRORS, AccountNeedsLogin, RefreshUnavailable))
async def give_token(call: Call, params: api.AccountMaybe) -> api.AccessToken:
    """A fresh access token, for the user's scripts.

    It is valid for at least some minutes. It goes into the reply and nowhere else.
    """
    control = call.control
    account = choose_account(control, params.account)
    token = await control.accounts.refresher.fresh_token(account.id)
    return api.AccessToken(to_ref(account), token, control.store.tokens(account.id).expires_at)


METHODS = (
    start_login,
    complete_login,
    wait_for_login,
    cancel_logins,
    import_logins,
    refresh_logins,
    verify_logins,
    give_token,
)
