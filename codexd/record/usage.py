"""The usage history: the tokens of each request, written to ``usage.sqlite3`` by a task of its own.

Requests are queued, and the task writes the queue in batches. Problems with the file don't affect requests: what can't
be written waits for the next try, and ``problems`` says so.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from attrs import evolve

from codexd import bounds
from codexd.api.records import TokenCounts, UsageReport, UsageRow
from codexd.files import explain
from codexd.record.snapshot import Snapshot
from codexd.record.usage_file import UsageEntry, UsageFile, is_damage

log = logging.getLogger("codexd.usage")

BATCH_S = 1.0
"""Requests that end within this time after the first one are written together with it."""

RETRY_S = 60.0
PRUNE_S = 3600.0
"""How often old requests are deleted."""
DAY_S = 86400.0


MAX_COUNT = 10**12
"""A larger number from the backend can't be a number of tokens, and SQLite could not add it up."""

NO_TOKENS = TokenCounts(0, 0, 0, 0)
NO_USAGE = UsageRow("total", 0, 0, 0, 0, 0, 0, 0, None)

_T = TypeVar("_T")


class _Use(Enum):
    READ = "read"
    WRITE = "write"
    PRUNE = "prune"


_PROVES = {_Use.READ: (_Use.READ,), _Use.WRITE: tuple(_Use), _Use.PRUNE: (_Use.READ, _Use.PRUNE)}
"""Which uses of the file work again if one works: it can be read on a full disk, and there may be nothing to delete."""


class UsageHistory:
    """``retention_days`` returns the setting's current value, ``clock`` seconds since the epoch."""

    def __init__(self, path: Path, retention_days: Callable[[], int], clock: Callable[[], float]) -> None:
        self._path = path
        self._retention_days = retention_days
        self._clock = clock
        self._file: UsageFile | None = None
        self._waiting: deque[UsageEntry] = deque(maxlen=bounds.USAGE_ROWS)
        self._news = trio.Event()
        self._lock = trio.Lock()
        self._troubles: dict[_Use, str] = {}
        """What is impossible now, and why."""
        self._kept_aside: Path | None = None

    @property
    def waiting(self) -> int:
        """How many ended requests are not in the file yet."""
        return len(self._waiting)

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems with the file, in full sentences for the user."""
        aside = self._kept_aside and f"The usage history could not be read and is kept as {self._kept_aside}."
        troubles = dict.fromkeys(self._troubles.values())  # mostly, they have one cause
        return tuple(problem for problem in (*troubles, aside) if problem)

    def add(self, request: Snapshot) -> None:
        """Queue a request that has ended. Never waits."""
        self._waiting.append(_to_entry(request))
        self._news.set()

    async def run(self) -> None:
        """Write the queue in batches and delete old requests, until cancelled."""
        while True:
            oldest = self._clock() - self._retention_days() * DAY_S
            await self._use(_Use.PRUNE, partial(UsageFile.prune, before=oldest))
            with trio.move_on_after(RETRY_S if _Use.PRUNE in self._troubles else PRUNE_S):
                await self._write_batches()

    async def summarize(self, by: str, since: float, names: Mapping[str, str]) -> UsageReport:
        """The sums by ``model``, ``account`` or ``day``, up to now. ``names`` maps account ids to labels."""
        await self._flush()
        found = await self._use(
            _Use.READ, lambda file: (file.sum_up(by, since), file.sum_up("total", since), file.find_oldest(since))
        )
        rows, total, oldest = found or ([], [], None)
        if by == "account":
            rows = [evolve(row, name=names.get(row.name, row.name)) for row in rows]
        return UsageReport(by, oldest, tuple(rows), total[0] if total else NO_USAGE, " ".join(self.problems) or None)

    def close(self) -> None:
        """Write what is still queued. This blocks, so call it only after ``run`` has ended."""
        try:
            if self._waiting:
                self._open().add(tuple(self._waiting))
            if self._file is not None:
                self._file.close()
        except (sqlite3.Error, OSError) as error:
            reason = _describe(error, self._path)
            log.error("the usage of %d requests could not be saved: %s", len(self._waiting), reason)  # noqa: TRY400 - a traceback adds nothing

    async def _write_batches(self) -> None:
        while True:
            if not self._waiting:
                self._news = trio.Event()
                await self._news.wait()
            await trio.sleep(RETRY_S if _Use.WRITE in self._troubles else BATCH_S)
            await self._flush()

    async def _flush(self) -> None:
        """Write the queue; what can't be written stays queued."""
        if not self._waiting:
            return
        batch, written = tuple(self._waiting), None
        self._waiting.clear()
        try:
            written = await self._use(_Use.WRITE, partial(UsageFile.add, entries=batch))
        finally:
            if written is None:
                self._waiting = deque([*batch, *self._waiting], maxlen=bounds.USAGE_ROWS)

    async def _use(self, use: _Use, work: Callable[[UsageFile], _T]) -> _T | None:
        """Run ``work`` in a thread and return its result; None if the file can't be used now (see ``problems``)."""
        async with self._lock:
            try:
                done = await trio.to_thread.run_sync(lambda: work(self._open()))
            except (sqlite3.Error, OSError) as error:
                self._note_trouble(use, error)
                return None
            for proven in _PROVES[use]:
                self._troubles.pop(proven, None)
            return done

    def _open(self) -> UsageFile:
        if self._file is not None and self._file.has_moved():
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = UsageFile(self._path)
            self._kept_aside = self._file.kept_aside or self._kept_aside
        return self._file

    def _note_trouble(self, use: _Use, error: sqlite3.Error | OSError) -> None:
        if self._file is not None and isinstance(error, sqlite3.Error) and is_damage(error):
            self._file.close()
            self._file = None  # the next opening finds the damage and keeps the file aside
        reason = _describe(error, self._path)
        if not self._troubles:
            log.error("the usage history has a problem: %s", reason)
        self._troubles[use] = f"The usage history has a problem: {reason} New requests are kept in memory."


def _describe(error: sqlite3.Error | OSError, path: Path) -> str:
    return explain(error, path) if isinstance(error, OSError) else f"{path} can't be used: {error}."


def _to_entry(request: Snapshot) -> UsageEntry:
    info, counted = request.info, request.counted or NO_TOKENS
    return UsageEntry(
        at=info.started_at,
        account=request.account_id,
        model=info.model,
        model_used=info.model_used,
        client=info.client,
        input_tokens=min(counted.input, MAX_COUNT),
        cached_tokens=min(counted.cached, MAX_COUNT),
        output_tokens=min(counted.output, MAX_COUNT),
        reasoning_tokens=min(counted.reasoning, MAX_COUNT),
        status=info.status or 0,
        failed=request.has_failed,
        duration_ms=info.duration_ms or 0,
        ttft_ms=info.ttft_ms,
        losses=request.losses_reported,
        purpose=info.purpose,
    )
