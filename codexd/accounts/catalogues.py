"""The models that the backend offers each account: fetched, kept across restarts, fetched again when they change.

Nothing waits for a list: until it is known, ``BUILT_IN`` is used, and a network failure never loses it. An account's
list is kept in ``models/<account id>.json``, which holds no email address and no token.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import trio
from attrs import asdict, define, evolve, field, frozen
from attrs.validators import matches_re, optional

from codexd import jsontext
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.cache_file import CacheFile
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, UpstreamError
from codexd.settings.schema import Settings
from codexd.strict import load_versioned, structure
from codexd.translation.models.catalogue import BUILT_IN, Catalogue, is_entry, read_catalogue

log = logging.getLogger("codexd.models")

CHECK_INTERVAL_S = 5.0
"""How often to check for a sign-in, a switch, or a reply with another ETag."""

MAX_AGE_S = 4 * 3600.0
CHANGE_PAUSE_S = 60.0
"""The shortest time between two requests because of an ETag: during a rollout, servers contradict each other."""

MAX_LOGGED_MODELS = 20
"""At most this many added and removed models are named in the log."""

RETRY_S, MAX_RETRY_S = 15.0, 15 * 60.0
"""The wait after a failure; it doubles with each further failure."""

SAVE_RETRY_S = 60.0
FILE_VERSION = 1
ETAG = re.compile(r"[\x20-\x7e]{1,200}")
"""An ETag that can be sent back in a header."""


def retry_after_s(failures: int) -> float:
    """How long to wait after this number of failures in a row, which may be thousands while a machine is offline."""
    return min(RETRY_S * 2.0 ** min(failures - 1, 10), MAX_RETRY_S)


@frozen
class Listed:
    """What the models endpoint returned.

    ``models`` are its unchanged entries. ``etag`` is None if the answer had none. ``fetched_at`` is in seconds since
    the epoch. ``client_version`` is the version sent with the request: the backend lists only the models that this
    version may use.
    """

    models: list[dict[str, Any]]
    etag: str | None = field(validator=optional(matches_re(ETAG)))
    fetched_at: float
    client_version: str


@frozen
class _FileContent:
    version: int
    listed: Listed


def parse_listed(data: bytes) -> Listed:
    """The content of an account's file.

    Raises:
        FileUnreadable: the reason only.
    """
    return structure(load_versioned(data, FILE_VERSION), _FileContent).listed


def dump_listed(listed: Listed) -> bytes:
    return jsontext.dumps({"version": FILE_VERSION, "listed": asdict(listed, recurse=False)}) + b"\n"


class ModelList(Protocol):
    """``upstream.account.ModelList``."""

    @property
    def models(self) -> list[dict[str, object]]: ...

    @property
    def etag(self) -> str | None: ...


class ModelsEndpoint(Protocol):
    """``upstream.account.AccountEndpoint``. None means that nothing has changed since ``etag``."""

    async def fetch_models(self, account: Account, token: str, etag: str | None = None) -> ModelList | None: ...


@define
class _Known:
    """What is known about one account's models. ``raw`` holds the entries as JSON: parsed, they take megabytes."""

    file: CacheFile[Listed] | None
    catalogue: Catalogue = BUILT_IN
    raw: bytes | None = None
    etag: str | None = None
    fetched_at: float | None = None
    client_version: str = ""
    asked_at: float | None = None
    """When the backend was last asked in this run of the daemon."""
    saved_at: float = 0.0
    """When it was last tried to write the list."""
    failures: int = 0
    reported_etag: str | None = None
    """The ETag that a reply announced, if it differs from ``etag``."""
    settled_etag: str | None = None
    """An announced ETag for which the fetched list had another one: it does not cause another fetch."""

    @property
    def slugs(self) -> frozenset[str]:
        return frozenset(model.slug for model in self.catalogue.models)

    def hold(self, listed: Listed) -> None:
        entries = [entry for entry in listed.models if is_entry(entry)]
        before, catalogue = self.slugs, read_catalogue(entries)
        refused = self.catalogue.refused if before == {model.slug for model in catalogue.models} else frozenset()
        self.catalogue = evolve(catalogue, refused=refused)
        self.raw = jsontext.dumps(entries)
        self.etag, self.fetched_at, self.client_version = listed.etag, listed.fetched_at, listed.client_version


class Catalogues:
    """All accounts' catalogues. ``clock`` returns seconds since the epoch; without a ``folder`` nothing is saved."""

    def __init__(
        self,
        store: AccountStore,
        refresher: Refresher,
        endpoint: ModelsEndpoint,
        settings: Callable[[], Settings],
        clock: Callable[[], float],
        folder: Path | None = None,
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._endpoint = endpoint
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._accounts: dict[str, _Known] = {}
        for account in store.accounts:
            self._load(account.id)

    @property
    def problem(self) -> str | None:
        """Why a list can't be saved, in full sentences for the user."""
        files = (known.file for known in self._accounts.values())
        return next((file.problem for file in files if file and file.problem), None)

    def of(self, account: Account | None) -> Catalogue:
        """The catalogue of ``account`` if it is known, else the built-in one."""
        return BUILT_IN if account is None else self._known(account.id).catalogue

    def raw(self, account: Account | None) -> tuple[bytes, str | None] | None:
        """The backend's own entries as a JSON array, and their ETag; None until the list is known."""
        known = None if account is None else self._known(account.id)
        return None if known is None or known.raw is None else (known.raw, known.etag)

    def fetched_at(self, account_id: str) -> float | None:
        """When the backend last confirmed the list, in seconds since the epoch."""
        return self._known(account_id).fetched_at

    def note_etag(self, account_id: str, etag: str | None) -> None:
        """Note that a reply announced ``etag`` as the ETag of the account's current list."""
        known = self._known(account_id)
        if etag and etag not in (known.etag, known.settled_etag):
            known.reported_etag = etag

    def note_refused(self, account_id: str, slug: str) -> None:
        """Note that the backend does not serve the model to the account, until the list changes or codexd restarts."""
        known = self._own(account_id)
        known.catalogue = evolve(known.catalogue, refused=known.catalogue.refused | {slug})

    async def fetch(self, account_id: str) -> None:
        """Fetch the account's list now.

        Raises:
            AccountError: there is no such account, or no token for it.
            UpstreamError: the backend refused, or its answer is not usable; the known list stays.
        """
        self._store.get(account_id)
        known, version = self._own(account_id), self._settings().upstream.client_version
        reported, known.asked_at = known.reported_etag, self._clock()
        etag = known.etag if known.client_version == version else None
        try:
            answer = await self._refresher.ask(
                account_id, lambda account, token: self._endpoint.fetch_models(account, token, etag)
            )
        except (AccountError, UpstreamError):
            known.failures += 1
            raise
        known.failures, known.fetched_at = 0, self._clock()
        if answer is not None:
            await self._take(account_id, known, Listed(answer.models, answer.etag, known.fetched_at, version))
        known.settled_etag = reported if reported != known.etag else None
        if known.reported_etag in (reported, known.etag):
            known.reported_etag = None

    async def run(self) -> None:
        """Fetch the lists that are not known or may have changed, until cancelled."""
        self._delete_strays()
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    if self._is_due(account):
                        nursery.start_soon(self._try_fetch, account)
            self._forget_removed()
            await self._save_pending()
            await trio.sleep(CHECK_INTERVAL_S)

    async def _try_fetch(self, account: Account) -> None:
        try:
            await self.fetch(account.id)
        except (AccountError, UpstreamError) as error:
            level = logging.INFO if self._known(account.id).failures == 1 else logging.DEBUG
            log.log(level, "no list of models: %s", error, extra={"fields": {"account": account.label}})

    def _is_due(self, account: Account) -> bool:
        """Only for accounts in use: the active one, or with rotation every account that may be chosen."""
        active = self._store.active
        is_used = self._settings().rotation.enabled or (active is not None and active.id == account.id)
        if not is_used or account.disabled or account.needs_login is not None:
            return False
        known = self._known(account.id)
        if known.asked_at is None:
            return True
        waited_s: float = abs(self._clock() - known.asked_at)  # abs: a wall clock may be set back
        if known.failures:
            return waited_s >= retry_after_s(known.failures)
        if known.client_version != self._settings().upstream.client_version:
            return True
        return waited_s >= (MAX_AGE_S if known.reported_etag is None else CHANGE_PAUSE_S)

    async def _take(self, account_id: str, known: _Known, listed: Listed) -> None:
        before = None if known.raw is None else known.slugs
        known.hold(listed)
        _log_changes(self._store.get(account_id), before, known.slugs)
        if known.file is not None:
            known.saved_at = self._clock()
            await trio.to_thread.run_sync(known.file.write, dump_listed(listed))

    async def _save_pending(self) -> None:
        """Try again to write the lists that could not be written."""
        for known in tuple(self._accounts.values()):
            file, waited_s = known.file, abs(self._clock() - known.saved_at)  # abs: a wall clock may be set back
            if file is not None and file.pending is not None and waited_s >= SAVE_RETRY_S:
                known.saved_at = self._clock()
                await trio.to_thread.run_sync(file.write, file.pending)

    def _load(self, account_id: str) -> None:
        known = self._own(account_id)
        listed = known.file.load() if known.file else None
        if listed is not None:
            known.hold(listed)

    def _known(self, account_id: str) -> _Known:
        """For reading: an unknown account gets no entry."""
        return self._accounts.get(account_id) or _Known(None)

    def _own(self, account_id: str) -> _Known:
        """For changing: an unknown account gets an entry."""
        if account_id not in self._accounts:
            path = None if self._folder is None else self._folder / f"{account_id}.json"
            file = None if path is None else CacheFile(path, parse_listed, "models", makes_folder=True)
            self._accounts[account_id] = _Known(file)
        return self._accounts[account_id]

    def _forget_removed(self) -> None:
        ids = {account.id for account in self._store.accounts}
        for account_id in self._accounts.keys() - ids:
            del self._accounts[account_id]
            self._delete_strays()

    def _delete_strays(self) -> None:
        """Delete the files of removed accounts. What can't be deleted now is left to the next start."""
        if self._folder is None or not self._folder.is_dir():
            return
        ids = {account.id for account in self._store.accounts}
        try:
            for path in self._folder.iterdir():
                if path.name.removeprefix(".").partition(".")[0] not in ids:  # a leading dot: a half-written file
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s can't be tidied: %s", self._folder, error.strerror)


def _log_changes(account: Account, before: frozenset[str] | None, after: frozenset[str]) -> None:
    """Log the models that were added and removed."""
    fields: dict[str, object] = {"account": account.label}
    if before is None:
        log.info("the backend offers %d models", len(after), extra={"fields": fields})
    elif before != after:
        new, gone = sorted(after - before), sorted(before - after)
        fields |= {"new": new[:MAX_LOGGED_MODELS], "gone": gone[:MAX_LOGGED_MODELS]}
        log.info("the backend's list of models has changed", extra={"fields": fields})
