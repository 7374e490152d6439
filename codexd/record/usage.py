"""The history of usage: what each request took, kept in ``usage.sqlite3`` by a task of its own.

A request is only queued here; the task writes what has come together. Whatever happens to the file, requests go on:
what can't be written waits for the next try, and ``problem`` says so.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from attrs import evolve

from codexd.api.usage import UsageReport, UsageRow
from codexd.record.timeline import RequestRecord
from codexd.record.usage_file import UsageEntry, UsageFile, is_damage
from codexd.translation.backend import Usage

log = logging.getLogger("codexd.usage")

BATCH_S = 1.0
"""What ends within this after a first request is written with it."""

RETRY_S = 60.0
PRUNE_S = 3600.0
"""Between deletions of what is old."""
DAY_S = 86400.0

MAX_WAITING = 20_000
"""Entries that wait for a file which can't be written; then the oldest are given up."""

MAX_COUNT = 10**12
"""The backend's numbers are not ours: what is larger is no number of tokens, and SQLite could not add it up."""

NOTHING = UsageRow("total", 0, 0, 0, 0, 0, 0, 0, None)

_T = TypeVar("_T")


class UsageHistory:
    """``retention_days`` gives the setting as it is now, ``clock`` seconds since the epoch."""

    def __init__(self, path: Path, retention_days: Callable[[], int], clock: Callable[[], float]) -> None:
        self._path = path
        self._retention_days = retention_days
        self._clock = clock
        self._file: UsageFile | None = None
        self._waiting: deque[UsageEntry] = deque(maxlen=MAX_WAITING)
        self._news = trio.Event()
        self._lock = trio.Lock()
        self._trouble: str | None = None
        self._kept_aside: Path | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences for the user."""
        aside = self._kept_aside and f"The usage history could not be read and is kept as {self._kept_aside}."
        return tuple(problem for problem in (self._trouble, aside) if problem)

    def add(self, record: RequestRecord) -> None:
        """Queue a request that has ended. Never waits."""
        self._waiting.append(_to_entry(record))
        self._news.set()

    async def run(self) -> None:
        """Write what is queued, batch by batch, and delete what is old, until cancelled."""
        while True:
            oldest = self._clock() - self._retention_days() * DAY_S
            await self._use(partial(UsageFile.prune, before=oldest))
            with trio.move_on_after(PRUNE_S):
                await self._write_batches()

    async def summarize(self, by: str, since: float, names: Mapping[str, str]) -> UsageReport:
        """The sums by ``model``, ``account`` or ``day``, up to this moment; ``names``: account ids -> what to show."""
        await self._flush()
        found = await self._use(
            lambda file: (file.sum_up(by, since), file.sum_up("total", since), file.find_oldest(since))
        )
        rows, total, oldest = found or ([], [], None)
        if by == "account":
            rows = [evolve(row, name=names.get(row.name, row.name)) for row in rows]
        return UsageReport(by, oldest, tuple(rows), total[0] if total else NOTHING, " ".join(self.problems) or None)

    def close(self) -> None:
        """Write what still waits. Call it when ``run`` has ended: it blocks."""
        try:
            file = self._open()
            file.add(tuple(self._waiting))
            file.close()
        except (sqlite3.Error, OSError) as error:
            log.error("%d requests are missing in the usage history: %s", len(self._waiting), error)  # noqa: TRY400 - told in words

    async def _write_batches(self) -> None:
        while True:
            if not self._waiting:
                self._news = trio.Event()
                await self._news.wait()
            await trio.sleep(RETRY_S if self._trouble else BATCH_S)
            await self._flush()

    async def _flush(self) -> None:
        """Write what waits; what can't be written waits on."""
        batch, written = tuple(self._waiting), None
        self._waiting.clear()
        try:
            written = await self._use(partial(UsageFile.add, entries=batch))
        finally:
            if written is None:
                self._waiting = deque([*batch, *self._waiting], maxlen=MAX_WAITING)

    async def _use(self, work: Callable[[UsageFile], _T]) -> _T | None:
        """What ``work`` gives, done in a thread; None if the file can't be used now, which ``problems`` then says."""
        async with self._lock:
            try:
                done = await trio.to_thread.run_sync(lambda: work(self._open()))
            except (sqlite3.Error, OSError) as error:
                self._note_trouble(error)
                return None
            self._trouble = None
            return done

    def _open(self) -> UsageFile:
        if self._file is not None and self._file.has_moved():
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = UsageFile(self._path)
            self._kept_aside = self._file.kept_aside or self._kept_aside
        return self._file

    def _note_trouble(self, error: sqlite3.Error | OSError) -> None:
        if self._file is not None and isinstance(error, sqlite3.Error) and is_damage(error):
            self._file.close()
            self._file = None  # opened again, it is found out and kept aside
        if self._trouble is None:
            log.error("the usage history can't be used: %s", error)
        self._trouble = f"The usage history {self._path} can't be used ({error}); new requests are kept in memory."


def _to_entry(record: RequestRecord) -> UsageEntry:
    usage = record.usage or Usage()
    return UsageEntry(
        at=record.started_at,
        account=record.account_id,
        model=record.model,
        model_used=record.model_used,
        client=record.client,
        input_tokens=min(usage.input_tokens, MAX_COUNT),
        cached_tokens=min(usage.cached_tokens, MAX_COUNT),
        output_tokens=min(usage.output_tokens, MAX_COUNT),
        reasoning_tokens=min(usage.reasoning_tokens, MAX_COUNT),
        status=record.status or 0,
        failed=record.error is not None,
        duration_ms=record.duration_ms or 0,
        ttft_ms=record.ttft_ms,
        losses=record.losses.reported,
    )
