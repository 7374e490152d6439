"""``accounts.import``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from codexd.accounts.imports import Logins, codex_auth_path, predecessor_path, read_logins
from codexd.accounts.store.store import Added
from codexd.api import accounts as api
from codexd.control.method import Call
from codexd.control.quota import to_ref
from codexd.errors import RequestInvalid

log = logging.getLogger("codexd.control")

COPIED_NOTE = (
    "{path} and codexd now hold the same login, and a refresh token works only once: after codexd's first refresh the "
    "other program will ask for a new login. Better is a login of codexd's own (`codexctl accounts add`), or to leave "
    "this one to its owner and only read it (`codexctl accounts import --follow`)."
)
FOLLOWED_NOTE = (
    "codexd reads {path} and never refreshes this login itself: it works for as long as the other program keeps it "
    "fresh. Run any `codex` command when codexd says that it is stale."
)
KEPT_NOTE = "The login that codexd has is newer than the one in {path}, so it stayed."


async def import_logins(call: Call, params: api.AccountImport) -> api.ImportedAccounts:
    path = _find_source(params.source, call.control.environ)
    found = read_logins(path)
    if params.follow and not found.followable:
        raise RequestInvalid("follow", f"{path} is not an auth.json that one program keeps; import it without follow")
    outcomes: dict[Added, list[api.AccountRef]] = {outcome: [] for outcome in Added}
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
        added=tuple(outcomes[Added.ADDED]),
        updated=tuple(outcomes[Added.UPDATED]),
        kept=tuple(outcomes[Added.KEPT]),
        problems=found.problems,
        note=_make_note(found, outcomes, follow=params.follow),
    )


def _find_source(source: str, environ: Mapping[str, str]) -> Path:
    """The file or folder that ``source`` means."""
    match source:
        case "codex":
            return codex_auth_path(environ)
        case "codex-claude-proxy":
            return predecessor_path(environ)
    if not Path(source).is_absolute():
        raise RequestInvalid("source", "must be codex, codex-claude-proxy, or the absolute path of a login file")
    return Path(source)


def _make_note(found: Logins, outcomes: Mapping[Added, list[api.AccountRef]], *, follow: bool) -> str | None:
    if follow:
        return FOLLOWED_NOTE.format(path=found.path)
    if outcomes[Added.ADDED] or outcomes[Added.UPDATED]:
        return COPIED_NOTE.format(path=found.path)
    return KEPT_NOTE.format(path=found.path) if outcomes[Added.KEPT] else None
