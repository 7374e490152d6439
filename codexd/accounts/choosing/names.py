"""The names of accounts: telling accounts of one email apart, and finding the one that a user means. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNotFound

MIN_MARK_CHARS = 8
"""How much of a workspace id is shown, at least."""

MIN_ID_CHARS = 6
"""Ids are not shown, so a shorter text is taken for the beginning of a name only."""


def find_mark(account: Account, accounts: Iterable[Account]) -> str:
    """What tells ``account`` apart from the others with its email: the beginning of its workspace id.

    Empty if no other account has the email. Two users of one workspace may have the same email; then it is the id.
    """
    email = account.email.casefold()
    sharing = [other for other in accounts if other.email.casefold() == email]
    if not email or len(sharing) < 2:
        return ""
    workspaces = [other.chatgpt_account_id for other in sharing]
    if len(set(workspaces)) < len(workspaces):
        return account.id
    lengths = range(MIN_MARK_CHARS, max(MIN_MARK_CHARS, *map(len, workspaces)) + 1)
    length = next(length for length in lengths if len({name[:length] for name in workspaces}) == len(workspaces))
    return account.chatgpt_account_id[:length]


def find_account(accounts: Sequence[Account], name: str) -> Account:
    """The account that ``name`` means: its label, id, email or workspace id, or else the beginning of one.

    The beginning of a label (which begins with the email) comes before the beginning of an id, which must have
    ``MIN_ID_CHARS``.

    Raises:
        AccountNotFound: lists the known accounts.
        AccountAmbiguous: lists the candidates.
    """
    wanted = name.strip().casefold().removesuffix(" (simulated)")
    found = _search(accounts, wanted) if wanted else []
    if not found:
        known = ", ".join(account.label for account in accounts)
        if not known:
            raise AccountNotFound(f"There is no account {name!r}: none is signed in. Run `codexctl accounts add`.")
        raise AccountNotFound(f"There is no account {name!r}. Known accounts: {known}.")
    if len(found) > 1:
        candidates = ", ".join(f"{account.label} ({account.plan})" for account in found)
        raise AccountAmbiguous(f"{name!r} can mean more than one account: {candidates}. Write more of the name.")
    return found[0]


def _search(accounts: Sequence[Account], wanted: str) -> list[Account]:
    """The accounts of the first rule that fits any."""
    rules: tuple[Callable[[Account], bool], ...] = (
        lambda account: account.id == wanted,
        lambda account: account.name.casefold() == wanted,
        lambda account: wanted in (account.email.casefold(), account.chatgpt_account_id.casefold()),
        lambda account: account.name.casefold().startswith(wanted),
        lambda account: len(wanted) >= MIN_ID_CHARS and _has_id(account, wanted),
    )
    found = ([account for account in accounts if fits(account)] for fits in rules)
    return next(filter(None, found), [])


def _has_id(account: Account, beginning: str) -> bool:
    return any(each.casefold().startswith(beginning) for each in (account.id, account.chatgpt_account_id))
