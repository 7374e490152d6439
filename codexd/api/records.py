"""``logs.*``, ``requests.*`` and ``subscription.cancel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from codexd.api.params import between, one_of

LEVELS = ("debug", "info", "warning", "error", "critical")


@frozen
class RequestsList:
    """``limit``: at most so many requests, the newest."""

    limit: int = field(default=100, validator=between(0, 1_000_000))


@frozen
class LossInfo:
    """What translation did to a field: ``kind`` is renamed, approximated, dropped or cosmetic."""

    kind: str
    path: str
    note: str


@frozen
class TokenCounts:
    """``input`` includes ``cached``, ``output`` includes ``reasoning``."""

    input: int
    cached: int
    output: int
    reasoning: int


@frozen
class RequestInfo:
    """One model request. ``state``: running, done or failed; ``error`` is what the client was told."""

    id: str
    client: str
    model: str | None
    model_used: str | None
    account: str | None
    state: str
    started_at: float
    ttft_ms: int | None
    duration_ms: int | None
    tokens: TokenCounts | None
    status: int | None
    error: str | None
    losses: tuple[LossInfo, ...]


@frozen
class RequestList:
    """``requests``: the oldest first, the running ones last."""

    requests: tuple[RequestInfo, ...]


@frozen(kw_only=True)
class LogFilter:
    """Which log entries: each part that is set must match.

    ``level`` is the least level, ``since`` a time, ``contains`` a text looked for in the logger's name, the
    request id, the message and the fields without regard to case, ``request`` a request id.
    """

    level: str | None = field(default=None, validator=one_of(LEVELS))
    since: float | None = None
    contains: str | None = None
    request: str | None = None


@frozen(kw_only=True)
class LogsHistory(LogFilter):
    """``limit``: at most so many entries, the newest."""

    limit: int = field(default=100, validator=between(0, 1_000_000))


@frozen(kw_only=True)
class LogsFollow(LogFilter):
    """``limit``: so many entries of the past come first, without a gap before the new ones."""

    limit: int = field(default=0, validator=between(0, 1_000_000))


@frozen
class LogEntry:
    """One log entry, free of secrets. ``id`` counts up from 1 in one run of the daemon.

    ``fields`` holds plain JSON values; ``fields["traceback"]`` is the text of an exception.
    """

    id: int
    at: float
    level: str
    logger: str
    message: str
    request: str | None
    fields: Mapping[str, Any]


@frozen
class LogEntries:
    """``entries``: the oldest first."""

    entries: tuple[LogEntry, ...]


@frozen
class LogEvent:
    """Either an entry, or the number of entries that this follower was too slow for."""

    entry: LogEntry | None = None
    missed: int | None = None


@frozen
class Subscription:
    """A follow of this connection; its notifications carry the same ``subscription``."""

    subscription: int
