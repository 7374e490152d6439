"""The models that the backend offers each account: asked for, kept over restarts, asked for again when they change.

Nothing waits for a list: until one is known, ``BUILT_IN`` has to do, and trouble with the network never loses one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import trio
from attrs import define, evolve

from codexd import jsontext
from codexd.accounts.asking import ask_backend
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.cache_file import CacheFile
from codexd.accounts.store.catalogue_file import Listed, dump_listed, open_catalogue
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, UpstreamError
from codexd.files import make_private_folder
from codexd.settings.schema import Settings
from codexd.translation.models.catalogue import BUILT_IN, Catalogue, is_entry, read_catalogue

log = logging.getLogger("codexd.models")

LOOK_S = 5.0
"""A sign-in, a switch or a reply with another ETag is noticed this often."""

MAX_AGE_S = 4 * 3600.0
CHANGE_PAUSE_S = 60.0
"""Least time between two questions because of an ETag: servers in the middle of a rollout contradict each other."""

MAX_TOLD = 20
"""Models that the log names when they come or go."""

RETRY_S, MAX_RETRY_S = 15.0, 15 * 60.0
"""After a failure; doubled with each further one."""


class ModelList(Protocol):
    """``upstream.account.ModelList``."""

    @property
    def models(self) -> list[dict[str, object]]: ...

    @property
    def etag(self) -> str | None: ...


class Endpoint(Protocol):
    """What answers: ``upstream.account.AccountEndpoint``; None: nothing has changed since ``etag``."""

    async def fetch_models(self, account: Account, token: str, etag: str | None = None) -> ModelList | None: ...


@define
class _Known:
    """What is known of one account's models. ``raw`` are the entries as JSON: parsed they would be megabytes."""

    file: CacheFile[Listed] | None
    catalogue: Catalogue = BUILT_IN
    raw: bytes | None = None
    etag: str | None = None
    fetched_at: float | None = None
    client_version: str = ""
    asked_at: float | None = None
    """In this run of the daemon."""
    failures: int = 0
    told_etag: str | None = None
    """What a reply named, if that is not ours."""
    settled_etag: str | None = None
    """What a reply named, and the list that we then got has another: it is not asked for again."""

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
    """Every account's. ``clock`` gives seconds since the epoch; without a ``folder`` nothing outlives the daemon."""

    def __init__(
        self,
        store: AccountStore,
        refresher: Refresher,
        endpoint: Endpoint,
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

    def of(self, account: Account | None) -> Catalogue:
        """That of ``account`` where it is known, else the built-in one."""
        return BUILT_IN if account is None else self._known(account.id).catalogue

    def raw(self, account: Account | None) -> tuple[bytes, str | None] | None:
        """The backend's own entries as a JSON array, and their ETag; None while they are not known."""
        known = None if account is None else self._known(account.id)
        return None if known is None or known.raw is None else (known.raw, known.etag)

    def fetched_at(self, account_id: str) -> float | None:
        """When the backend last said that these are the models, seconds since the epoch."""
        return self._known(account_id).fetched_at

    def note_etag(self, account_id: str, etag: str | None) -> None:
        """A reply to the account named the ``etag`` of its list."""
        known = self._known(account_id)
        if etag and etag not in (known.etag, known.settled_etag):
            known.told_etag = etag

    def note_refused(self, account_id: str, slug: str) -> None:
        """The backend does not serve the model to the account; that holds until its list changes, or a restart."""
        known = self._own(account_id)
        known.catalogue = evolve(known.catalogue, refused=known.catalogue.refused | {slug})

    async def fetch(self, account_id: str) -> None:
        """Ask now.

        Raises:
            AccountError: there is no such account, or no token for it.
            UpstreamError: the backend refused, or gave no usable answer; what was known stays.
        """
        self._store.get(account_id)
        known, version = self._own(account_id), self._settings().upstream.client_version
        told, known.asked_at = known.told_etag, self._clock()
        etag = known.etag if known.client_version == version else None
        try:
            answer = await ask_backend(
                self._store,
                self._refresher,
                account_id,
                lambda account, token: self._endpoint.fetch_models(account, token, etag),
            )
        except (AccountError, UpstreamError):
            known.failures += 1
            raise
        known.failures, known.fetched_at = 0, self._clock()
        if answer is not None:
            await self._take(account_id, known, Listed(answer.models, answer.etag, known.fetched_at, version))
        known.settled_etag = told if told != known.etag else None
        if known.told_etag in (told, known.etag):
            known.told_etag = None

    async def run(self) -> None:
        """Ask for what is not known or may have changed, until cancelled."""
        self._delete_strays()
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    if self._is_due(account):
                        nursery.start_soon(self._try_fetch, account)
            self._forget_removed()
            await trio.sleep(LOOK_S)

    async def _try_fetch(self, account: Account) -> None:
        try:
            await self.fetch(account.id)
        except (AccountError, UpstreamError) as error:
            level = logging.INFO if self._known(account.id).failures == 1 else logging.DEBUG
            log.log(level, "no list of models: %s", error, extra={"fields": {"account": account.label}})

    def _is_due(self, account: Account) -> bool:
        """Only what may be used is asked about: the active account, or each that rotation may choose."""
        active = self._store.active
        is_used = self._settings().rotation.enabled or (active is not None and active.id == account.id)
        if not is_used or account.disabled or account.needs_login is not None:
            return False
        known = self._known(account.id)
        if known.asked_at is None:
            return True
        waited_s: float = abs(self._clock() - known.asked_at)  # abs: a wall clock may be set back
        if known.failures:
            return waited_s >= min(RETRY_S * 2.0 ** (known.failures - 1), MAX_RETRY_S)
        if known.client_version != self._settings().upstream.client_version:
            return True
        return waited_s >= (MAX_AGE_S if known.told_etag is None else CHANGE_PAUSE_S)

    async def _take(self, account_id: str, known: _Known, listed: Listed) -> None:
        before = None if known.raw is None else known.slugs
        known.hold(listed)
        _tell(self._store.get(account_id), before, known.slugs)
        if known.file is not None and self._make_folder():
            await trio.to_thread.run_sync(known.file.write, dump_listed(listed))

    def _make_folder(self) -> bool:
        assert self._folder is not None  # noqa: S101 - for mypy; whoever has a file has a folder
        try:
            make_private_folder(self._folder)
        except OSError as error:
            log.warning("%s can't be made: %s", self._folder, error.strerror)
            return False
        return True

    def _load(self, account_id: str) -> None:
        known = self._own(account_id)
        listed = known.file.load() if known.file else None
        if listed is not None:
            known.hold(listed)

    def _known(self, account_id: str) -> _Known:
        """To read: an account not yet heard of gets no entry."""
        return self._accounts.get(account_id) or _Known(None)

    def _own(self, account_id: str) -> _Known:
        """To change."""
        if account_id not in self._accounts:
            file = None if self._folder is None else open_catalogue(self._folder, account_id)
            self._accounts[account_id] = _Known(file)
        return self._accounts[account_id]

    def _forget_removed(self) -> None:
        ids = {account.id for account in self._store.accounts}
        for account_id in self._accounts.keys() - ids:
            del self._accounts[account_id]
            self._delete_strays()

    def _delete_strays(self) -> None:
        """Files of accounts that are not there any more; what can't be deleted now, another start sees to."""
        if self._folder is None or not self._folder.is_dir():
            return
        ids = {account.id for account in self._store.accounts}
        try:
            for path in self._folder.iterdir():
                if path.name.removeprefix(".").partition(".")[0] not in ids:  # the dot: half written
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s can't be tidied: %s", self._folder, error.strerror)


def _tell(account: Account, before: frozenset[str] | None, after: frozenset[str]) -> None:
    """Log what has come and gone."""
    fields: dict[str, object] = {"account": account.label}
    if before is None:
        log.info("the backend offers %d models", len(after), extra={"fields": fields})
    elif before != after:
        fields |= {"new": sorted(after - before)[:MAX_TOLD], "gone": sorted(before - after)[:MAX_TOLD]}
        log.info("the backend's list of models has changed", extra={"fields": fields})
