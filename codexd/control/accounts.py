"""``accounts.list``, ``.status``, ``.switch``, ``.enable``, ``.disable``, ``.remove`` and ``.clear``."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import attrs
import trio

from codexd.accounts.imports import read_logins
from codexd.accounts.login import read_tokens
from codexd.accounts.model import Account, AccountState, Tokens, account_state
from codexd.api import accounts as api
from codexd.api.params import NoParams
from codexd.control.method import Call, Control
from codexd.control.quota import to_quota_window
from codexd.errors import AccountNeedsLogin, LoginFileInvalid

log = logging.getLogger("codexd.control")


async def list_accounts(call: Call, _params: NoParams) -> api.AccountList:
    active = call.control.store.active
    infos = tuple(to_info(call.control, account) for account in call.control.store.accounts)
    return api.AccountList(infos, active.id if active else None)


async def count_accounts(call: Call, _params: NoParams) -> api.AccountsStatus:
    listed = (await list_accounts(call, NoParams())).accounts
    counts = Counter(info.state for info in listed)
    states = {state.value: counts[state.value] for state in AccountState}
    return api.AccountsStatus(len(listed), states, next((info for info in listed if info.active), None))


async def switch_account(call: Call, params: api.AccountSwitch) -> api.SwitchedAccount:
    """Streams in flight finish on the old account; the next request goes to the new one."""
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
        cost=api.SwitchCost(**attrs.asdict(cost)),
    )


async def enable_account(call: Call, params: api.AccountChoice) -> api.ChangedAccount:
    """In use again, and a limit that it hit is forgotten."""
    return _set_disabled(call.control, params.account, disabled=False)


async def disable_account(call: Call, params: api.AccountChoice) -> api.ChangedAccount:
    return _set_disabled(call.control, params.account, disabled=True)


def _set_disabled(control: Control, name: str, *, disabled: bool) -> api.ChangedAccount:
    account = control.store.set_disabled(control.store.find(name).id, disabled=disabled)
    if not disabled:
        control.accounts.tracker.clear_cooldown(account.id)
    log.info("account %s", "disabled" if disabled else "enabled", extra={"fields": {"account": account.label}})
    return api.ChangedAccount(to_info(control, account))


async def remove_account(call: Call, params: api.AccountChoice) -> api.RemovedAccount:
    control = call.control
    account = control.store.find(params.account)
    was_active = control.store.active == account
    revoked, note = await _revoke(control, account, _forget(control, account))
    if was_active and control.store.accounts:
        note = f"{note or ''} No account is active now; choose one with `codexctl accounts switch`.".strip()
    return api.RemovedAccount(to_ref(account), revoked, note)


async def clear_accounts(call: Call, _params: NoParams) -> api.ClearedAccounts:
    """What was removed is revoked even if the next one can't be: all at once, as each may take its time."""
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
    """Before anything else: whether the server can be told must not keep a login on this machine."""
    tokens = control.store.remove(account.id)
    control.accounts.tracker.forget(account.id)
    log.info("account removed", extra={"fields": {"account": account.label}})
    return tokens


async def _revoke(control: Control, account: Account, tokens: Tokens | None) -> tuple[bool, str | None]:
    """End the login at the sign-in server, unless another program works with the same one.

    Shielded, and bounded by the endpoint's time limit: a caller that hangs up must not leave a login alive.
    """
    if account.followed is not None:
        return False, f"The login belongs to {account.followed} and was left as it is."
    if tokens is None:
        return False, None
    if account.imported_from is not None and _still_holds(Path(account.imported_from), tokens):
        return False, f"The login still stands in {account.imported_from}, so it was not revoked."
    with trio.CancelScope(shield=True):
        if await control.accounts.tokens.revoke(tokens.refresh_token):
            return True, None
    return False, "The sign-in server could not be told to end the login; it is gone from this machine all the same."


def _still_holds(path: Path, tokens: Tokens) -> bool:
    try:
        logins = read_logins(path).logins
    except LoginFileInvalid:
        return False
    return any(read_tokens(auth_json).refresh_token == tokens.refresh_token for auth_json in logins)


def to_ref(account: Account) -> api.AccountRef:
    return api.AccountRef(account.id, account.email, account.plan, account.simulated)


def to_info(control: Control, account: Account) -> api.AccountInfo:
    tracker, now = control.accounts.tracker, control.clock()
    limits, cooldown = tracker.limits(account.id), tracker.cooldown(account.id)
    try:
        tokens = control.store.tokens(account.id)
    except AccountNeedsLogin:  # its file can't be read; store.problems says why
        tokens = None
    active = control.store.active
    return api.AccountInfo(
        id=account.id,
        email=account.email,
        plan=limits.plan or account.plan,
        active=active is not None and account.id == active.id,
        state=account_state(account, tokens, limits, cooldown, now).value,
        reason=account.needs_login,
        expires_at=tokens.expires_at if tokens else None,
        added_at=account.added_at,
        last_used=account.last_used_at,
        quota=tuple(to_quota_window(window) for window in limits.windows),
        simulated=account.simulated,
        quota_stale=limits.is_stale(now),
        limited_until=cooldown.until if cooldown else None,
        followed=account.followed,
        workspace=account.chatgpt_account_id,
    )
