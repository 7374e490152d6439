"""``logs.*``, ``requests.*``, ``usage.*`` and ``subscription.cancel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from codexd.api.rules import between, filled, one_of

REQUEST_STATES = ("running", "done", "failed", "stopped", "cancelled")
USAGE_GROUPS = ("model", "account", "day")
LEVELS = ("debug", "info", "warning", "error", "critical")


@frozen
class RequestsList:
    """``limit``: at most so many requests, the newest; ``state``: only those in it."""

    limit: int = field(default=100, validator=between(0, 1_000_000))
    state: str | None = field(default=None, validator=one_of(REQUEST_STATES))


@frozen
class RequestsFollow:
    """``limit``: so many of the requests that ended come first; those that run always do."""

    limit: int = field(default=0, validator=between(0, 1_000_000))


@frozen
class RequestChoice:
    """``id``, or the beginning of one, with or without its ``req_``."""

    id: str = field(validator=filled)


@frozen
class RequestMaybe:
    """As ``RequestChoice``; without an id the last request that failed."""

    id: str | None = None


@frozen
class LossInfo:
    """What translation did to a field: ``kind`` is renamed, approximated, dropped or cosmetic."""

    kind: str
    path: str
    note: str


@frozen
class TokenCounts:
    """``input`` includes ``cached``, ``output`` includes ``reasoning``.

    ``estimated``: the backend has not said its numbers (yet); ``output`` is from the length of the answer so far,
    the others are 0.
    """

    input: int
    cached: int
    output: int
    reasoning: int
    estimated: bool = False


@frozen
class Told:
    """The error that the client was sent: in the status line, or as an event inside an answer of status 200.

    ``message`` says when a limit ends, where the client was also told how long that would take.
    """

    status: int
    type: str
    message: str


@frozen
class RequestInfo:
    """One model request.

    ``state``: running, done, failed, stopped (the client hung up) or cancelled (by ``requests.cancel``).

    ``account_reason`` says why that account. ``error`` is what went wrong and ``error_kind`` its stable word;
    ``told`` is how the client was told of it, None when it had hung up. ``upstream_status`` and
    ``upstream_request_id`` are of the last answer of the backend, ``longest_silence_ms`` of its longest pause.
    ``session`` is a short hash that the requests of one conversation share. ``purpose`` is ``turn`` or
    ``auto mode check`` (Claude Code asked whether an action is safe). ``silent_since`` is when the backend fell silent,
    if a running request has waited for it for a minute.
    """

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
    path: str = ""
    session: str | None = None
    account_reason: str | None = None
    retries: int = 0
    stop_reason: str | None = None
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    longest_silence_ms: int | None = None
    error_kind: str | None = None
    told: Told | None = None
    purpose: str = "turn"
    silent_since: float | None = None


@frozen
class RequestList:
    """``requests``: the oldest first, the running ones last."""

    requests: tuple[RequestInfo, ...]


@frozen
class RequestEvent:
    """Either a request as it stands, or the number of requests whose news this follower was too slow for.

    Comes when a request starts, at each step that it takes, every second while its answer grows, and at its end.
    What a reader has not taken yet is replaced by what is newer of the same request.
    """

    request: RequestInfo | None = None
    missed: int | None = None


@frozen
class TimelineStep:
    """``at_ms`` after the request came in; ``what`` is a sentence."""

    at_ms: int
    what: str


@frozen
class Explanation:
    """A request in plain words: ``advice`` has what happens next by itself, and what the user can do."""

    request: RequestInfo
    timeline: tuple[TimelineStep, ...]
    summary: str
    advice: tuple[str, ...]


@frozen(kw_only=True)
class LogFilter:
    """Which log entries: each part that is set must match.

    ``level`` is the least level, ``since`` a time, ``contains`` a text looked for in the logger's name, the
    request id, the message and the fields without regard to case, ``request`` a request id or the beginning of one.
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
class UsageOf:
    """``since``: only requests from that time on, in seconds since the epoch; ``by``: what a row is about."""

    since: float | None = None
    by: str = field(default="model", validator=one_of(USAGE_GROUPS))


@frozen
class UsageRow:
    """The sums of some requests.

    ``name``: the model that was used (with the purpose, unless that is ``turn``), the account's email (the id of one
    that was removed), or the day in the daemon's time zone (``2026-11-18``); ``none`` for requests that got to no
    model or account. ``failed`` of the ``requests`` ended in an error; one that its user stopped or cancelled did not.
    ``input_tokens`` includes the cached ones, ``output_tokens`` the reasoning. ``losses`` counts the fields that were
    dropped or approximated, ``ttft_ms`` is the mean time to the first token, None when there never was one.
    """

    name: str
    requests: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    losses: int
    ttft_ms: int | None


@frozen
class UsageReport:
    """``rows``: days in their order, else the most tokens first; ``total`` sums them up, under the name ``total``.

    ``since`` is the time of the oldest request counted, None when there is none. ``problem`` says why the figures may
    be incomplete.
    """

    by: str
    since: float | None
    rows: tuple[UsageRow, ...]
    total: UsageRow
    problem: str | None = None


@frozen
class Subscription:
    """A follow of this connection; its notifications carry the same ``subscription``."""

    subscription: int
