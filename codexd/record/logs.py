"""The log: standard logging in, a ring of entries in memory and lines on stderr out.

Code logs with ``log.info("text", extra={"request": id, "fields": {"account": ...}})``. Everything passes
:mod:`codexd.record.redaction` before it is kept or written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self, TextIO

import trio
from attrs import evolve

from codexd.api.records import LEVELS, LogEntry, LogEvent, LogFilter
from codexd.record.redaction import redact, redact_value

__all__ = [
    "Follower",
    "LogEntry",
    "LogFilter",
    "LogRing",
    "RingHandler",
    "StderrHandler",
    "configure",
    "matches",
]

FOLLOWER_ENTRIES = 1000
"""What a follower may have unread before it misses the oldest."""

MAX_TEXT = 32_000
"""Characters of one message or traceback that are kept, so that the ring has a size."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and what turns the direction of writing."""
_NEEDS_QUOTES = re.compile(r"[\s\"=\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class LogRing:
    """The newest ``capacity`` entries, and whoever follows them. Every method may be called from any thread."""

    def __init__(self, capacity: int) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=capacity)
        self._followers: set[Follower] = set()
        self._last_id = 0
        # Reentrant: a destructor may log while this thread is in here.
        self._lock = threading.RLock()

    def append(self, entry: LogEntry) -> LogEntry:
        """Keep ``entry`` under the next id and hand it to the followers. Never waits for one."""
        with self._lock:
            self._last_id += 1
            entry = evolve(entry, id=self._last_id)
            self._entries.append(entry)
            for follower in tuple(self._followers):
                follower.offer(entry)
        return entry

    def history(self, filters: LogFilter, limit: int | None = None) -> list[LogEntry]:
        """The newest ``limit`` entries that match, the oldest first."""
        with self._lock:
            entries = list(self._entries)
        found: deque[LogEntry] = deque((entry for entry in entries if matches(filters, entry)), maxlen=limit)
        return list(found)

    def resize(self, capacity: int) -> None:
        """Keep ``capacity`` entries from now on."""
        with self._lock:
            self._entries = deque(self._entries, maxlen=capacity)

    def subscribe(self, filters: LogFilter, limit: int = 0, *, capacity: int = FOLLOWER_ENTRIES) -> Follower:
        """A follower: the newest ``limit`` entries that match first, then each new one. Call it inside trio."""
        with self._lock:
            follower = Follower(self, filters, self.history(filters, limit), capacity)
            self._followers.add(follower)
        return follower

    def forget(self, follower: Follower) -> None:
        with self._lock:
            self._followers.discard(follower)


class Follower:
    """An async iterator of entries and of how many were missed; it ends after :meth:`close`, or ``with``."""

    def __init__(self, ring: LogRing, filters: LogFilter, past: Iterable[LogEntry], capacity: int) -> None:
        self._ring = ring
        self._filters = filters
        self._past = deque(past)
        self._queue: deque[LogEntry] = deque(maxlen=capacity)
        self._missed = 0
        self._closed = False
        self._lock = threading.RLock()  # reentrant as the ring's
        self._news = trio.Event()
        self._trio = trio.lowlevel.current_trio_token()

    def offer(self, entry: LogEntry) -> None:
        """Queue ``entry`` if it matches. From any thread; a full queue drops its oldest."""
        if not matches(self._filters, entry):
            return
        with self._lock:
            self._missed += len(self._queue) == self._queue.maxlen
            self._queue.append(entry)
        with suppress(trio.RunFinishedError):
            self._trio.run_sync_soon(self._wake, idempotent=True)

    def close(self) -> None:
        """End the iteration; what is still queued is dropped. From the trio thread; may be called again."""
        self._ring.forget(self)
        self._closed = True
        self._news.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> LogEvent:
        while not self._closed:
            if (event := self._next_event()) is not None:
                return event
            await self._news.wait()
        raise StopAsyncIteration

    def _next_event(self) -> LogEvent | None:
        if self._past:
            return LogEvent(self._past.popleft())
        with self._lock:
            if self._missed:
                missed, self._missed = self._missed, 0
                return LogEvent(missed=missed)
            if self._queue:
                return LogEvent(self._queue.popleft())
            self._news = trio.Event()
            return None

    def _wake(self) -> None:
        self._news.set()


def matches(filters: LogFilter, entry: LogEntry) -> bool:
    """Whether ``entry`` is one that ``filters`` asks for."""
    if filters.level is not None and LEVELS.index(entry.level) < LEVELS.index(filters.level):
        return False
    if filters.since is not None and entry.at < filters.since:
        return False
    if filters.request is not None and entry.request != filters.request:
        return False
    return filters.contains is None or filters.contains.casefold() in _searchable(entry)


def _searchable(entry: LogEntry) -> str:
    fields = "\n".join(f"{key}={value}" for key, value in entry.fields.items())
    return f"{entry.logger}\n{entry.request or ''}\n{entry.message}\n{fields}".casefold()


class RingHandler(logging.Handler):
    """Keeps each record in a ring."""

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        self._ring.append(read_record(record))


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes each record to stderr, as text for people or as one JSON object a line."""

    def __init__(self, log_format: str, stream: TextIO) -> None:
        super().__init__(stream)
        self._write_entry = format_json if log_format == "json" else format_text

    def format(self, record: logging.LogRecord) -> str:
        return self._write_entry(read_record(record))


def configure(level: str, log_format: str, ring: LogRing, stream: TextIO | None = None) -> None:
    """Send all logging to ``ring`` and to stderr: codexd's from ``level`` up, the libraries' from warning up.

    ``log_format``: ``text`` or ``json``. Calling it again replaces what the call before set.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, RingHandler | StderrHandler):
            root.removeHandler(handler)
    root.addHandler(RingHandler(ring))
    root.addHandler(StderrHandler(log_format, stream or sys.stderr))
    root.setLevel(logging.WARNING)
    logging.getLogger("codexd").setLevel(level.upper())


def read_record(record: logging.LogRecord) -> LogEntry:
    """The entry of a logging record, without secrets and without an id (0)."""
    fields = getattr(record, "fields", None)
    fields = redact_value(fields) if isinstance(fields, Mapping) else {}
    if record.exc_info and record.exc_info[1]:
        text = "".join(traceback.format_exception(record.exc_info[1]))
        fields["traceback"] = _shorten(redact(text))
    request = getattr(record, "request", None)
    return LogEntry(
        id=0,
        at=record.created,
        level=_level(record.levelno),
        logger=record.name,
        message=_shorten(redact(_message(record))),
        request=request if isinstance(request, str) else None,
        fields=fields,
    )


def format_text(entry: LogEntry) -> str:
    """``entry`` as a line for people, a traceback indented below it."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    request = f" [{entry.request}]" if entry.request else ""
    fields = "".join(f" {key}={_field(value)}" for key, value in entry.fields.items() if key != "traceback")
    line = f"{at} {entry.level.upper():7} {entry.logger}{request} {escape(entry.message)}{fields}"
    below = str(entry.fields.get("traceback", "")).splitlines()
    return "\n".join([line, *(f"    {escape(text)}" for text in below)])


def format_json(entry: LogEntry) -> str:
    """``entry`` as one JSON object, its time in UTC."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.at)) + f".{int(entry.at % 1 * 1000):03}Z"
    head = {"at": at, "level": entry.level, "logger": entry.logger, "request": entry.request}
    return json.dumps(head | {"message": entry.message, "fields": entry.fields})


def escape(text: str) -> str:
    """``text`` on one line and without terminal control sequences: it may come from a client."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _field(value: Any) -> str:
    if isinstance(value, str) and value and not _NEEDS_QUOTES.search(value):
        return value
    return escape(json.dumps(value, ensure_ascii=False))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # the text and its arguments don't match: log it all the same
        return f"{record.msg} {record.args}"


def _level(number: int) -> str:
    return LEVELS[max(1, min(number // 10, len(LEVELS))) - 1]


def _shorten(text: str) -> str:
    cut = len(text) - MAX_TEXT
    return text if cut <= 0 else f"{text[:MAX_TEXT]}... ({cut} characters more)"
