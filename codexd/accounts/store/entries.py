"""An account's entry in the list, made and brought up to date from what its login says. Pure."""

from __future__ import annotations

from pathlib import Path

from codexd.accounts.login import UNKNOWN_PLAN, Identity, find_workspace, read_identity
from codexd.accounts.model import Account, RefreshReply
from codexd.accounts.store.login_file import Login
from codexd.errors import LoginFileInvalid


def make_account(
    login: Login,
    *,
    known: Account | None = None,
    now: float,
    followed: Path | None = None,
    imported_from: Path | None = None,
) -> Account:
    """The account as a new login makes it: nothing of the ``known`` one's dead login stays, its user's choices do."""
    identity = login.identity
    return Account(
        id=identity.account_id,
        chatgpt_account_id=identity.chatgpt_account_id,
        user_id=identity.user_id,
        email=identity.email,
        plan=identity.plan,
        added_at=known.added_at if known else now,
        last_used_at=known.last_used_at if known else None,
        simulated=login.is_simulated,
        disabled=known.disabled if known else False,
        followed=str(followed.absolute()) if followed else None,
        imported_from=str(imported_from.absolute()) if imported_from and not followed else None,
    )


def find_stranger(account: Account, reply: RefreshReply) -> str | None:
    """Whose tokens a reply holds when they are not the account's: an e-mail, or the id of a workspace."""
    identity = identity_of_reply(reply)
    if identity is not None and identity.account_id != account.id:
        return identity.email or identity.chatgpt_account_id
    workspaces = (find_workspace(token) for token in (reply.id_token, reply.access_token))
    return next((each for each in workspaces if each and each != account.chatgpt_account_id), None)


def identity_of_reply(reply: RefreshReply) -> Identity | None:
    """Whose tokens a reply holds, as far as it says."""
    try:
        return read_identity({"tokens": {"id_token": reply.id_token, "access_token": reply.access_token}})
    except LoginFileInvalid:
        return None


def read_profile(account: Account, identity: Identity | None) -> dict[str, str]:
    """The plan and e-mail that new tokens tell; the old ones may tell an older plan."""
    if identity is None:
        return {}
    plan = account.plan if identity.plan == UNKNOWN_PLAN else identity.plan
    return {"plan": plan, "email": identity.email or account.email}
