"""``usage.sqlite3``: one row per request. No prompts, no email addresses, no keys.

Everything here blocks on the disk, so ``usage.py`` calls it in a thread, one call at a time.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

from attrs import astuple, fields, frozen

from codexd.api.records import UsageRow
from codexd.files import keep_aside

log = logging.getLogger("codexd.usage")

VERSION = 2
"""``PRAGMA user_version``. codexd does not write to a file with a later version, and brings one with the first up to
date."""

BUSY_S = 5.0
"""How long another program, such as the user's own ``sqlite3``, may hold the file's lock."""


@frozen
class UsageEntry:
    """One request. ``account`` is the account's id, ``at`` is in seconds since the epoch; ``purpose`` as in the API."""

    at: float
    account: str | None
    model: str | None
    model_used: str | None
    client: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    status: int
    failed: bool
    duration_ms: int
    ttft_ms: int | None
    losses: int
    purpose: str = "turn"


_PURPOSE_COLUMN = "purpose TEXT NOT NULL DEFAULT 'turn'"
_SCHEMA = f"""
CREATE TABLE requests (
    at REAL NOT NULL, account TEXT, model TEXT, model_used TEXT, client TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
    status INTEGER NOT NULL, failed INTEGER NOT NULL, duration_ms INTEGER NOT NULL, ttft_ms INTEGER,
    losses INTEGER NOT NULL, {_PURPOSE_COLUMN}
);
CREATE INDEX requests_at ON requests (at);
"""

_COLUMNS = [column.name for column in fields(UsageEntry)]
_INSERT = f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - ours

_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "model": "coalesce(model_used, model, 'none')"
        " || CASE purpose WHEN 'turn' THEN '' ELSE ' (' || purpose || ')' END",  # iif() needs SQLite 3.32
        "account": "coalesce(account, 'none')",
        "day": "date(at, 'unixepoch', 'localtime')",
        "total": "'total'",
    }
)
_SUMS = """
SELECT {key} AS name, count(*), sum(failed), sum(input_tokens), sum(cached_tokens), sum(output_tokens),
       sum(reasoning_tokens), sum(losses), CAST(round(avg(ttft_ms)) AS INTEGER)
FROM requests WHERE at >= ? GROUP BY name ORDER BY {order}
"""


class UsageFile:
    """The open database.

    ``kept_aside`` is where an unreadable file was moved to, if there was one.
    """

    def __init__(self, path: Path) -> None:
        """Open the file or create it.

        Raises:
            sqlite3.Error, OSError: neither is possible now.
        """
        self.kept_aside: Path | None = None
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.kept_aside = _keep_aside(path)
            log.error("the usage history could not be read (%s); it is kept as %s", error, self.kept_aside)  # noqa: TRY400 - a traceback adds nothing
            self._database = _open(path)
        self._path, self._opened = path, path.stat()

    def has_moved(self) -> bool:
        """Whether the file was deleted or replaced, so that further writes would be lost."""
        try:
            return not os.path.samestat(self._path.stat(), self._opened)
        except FileNotFoundError:
            return True

    def close(self) -> None:
        self._database.close()

    def add(self, entries: Sequence[UsageEntry]) -> int:
        """Write ``entries`` and return how many. After an error or a crash, none of them is written."""
        with self._database:
            return self._database.executemany(_INSERT, map(astuple, entries)).rowcount

    def prune(self, before: float) -> int:
        """Delete the requests before ``before`` and return how many."""
        with self._database:
            return self._database.execute("DELETE FROM requests WHERE at < ?", (before,)).rowcount

    def sum_up(self, by: str, since: float) -> list[UsageRow]:
        """The sums by ``model``, ``account`` (its id) or ``day``, or the ``total``.

        Days are in order, everything else by tokens in descending order.
        """
        order = "name" if by == "day" else "sum(input_tokens + output_tokens) DESC, count(*) DESC, name"
        rows = self._database.execute(_SUMS.format(key=_KEYS[by], order=order), (since,))
        return [UsageRow(*row) for row in rows]

    def find_oldest(self, since: float) -> float | None:
        """When the first request since ``since`` came in."""
        found: tuple[float | None] = self._database.execute(
            "SELECT min(at) FROM requests WHERE at >= ?", (since,)
        ).fetchone()
        return found[0]


def is_damage(error: sqlite3.Error) -> bool:
    """Whether ``error`` means that the file is damaged or not one of codexd's databases."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, _ForeignError)


class _ForeignError(sqlite3.DatabaseError):
    """A database, but not one that codexd can write to."""


def _open(path: Path) -> sqlite3.Connection:
    # SQLite would create the file with the umask's mode; the -wal and -shm files get the database's mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    database = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    with ExitStack() as undo:
        undo.callback(database.close)
        _prepare(database)
        undo.pop_all()
    return database


def _prepare(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, 1, VERSION):
        raise _ForeignError(f"its version is {version}, but this codexd writes version {VERSION}")
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _ForeignError(verdict)
    is_empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if not is_empty and _list_columns(database) != (_COLUMNS[:-1] if version == 1 else _COLUMNS):
        raise _ForeignError("its requests table has other columns")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # a crash loses nothing; a power cut may lose the last second
    if version == 1:
        database.executescript(
            f"BEGIN; ALTER TABLE requests ADD COLUMN {_PURPOSE_COLUMN}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
    if is_empty:
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")


def _list_columns(database: sqlite3.Connection) -> list[str]:
    return [name for _, name, *_ in database.execute("PRAGMA table_info(requests)")]


def _keep_aside(path: Path) -> Path:
    """Move the file and its log away: SQLite would replay the old log into the new database."""
    aside = keep_aside(path)
    for suffix in ("-wal", "-shm"):
        own = path.with_name(path.name + suffix)
        if own.exists():
            own.rename(aside.with_name(aside.name + suffix))
    return aside
