"""The log: takes records from standard logging, keeps them in a ring in memory, and writes them to stderr.

Code logs with ``log.info("text", extra={"request": id, "fields": {"account": ...}})``. Everything passes through
:mod:`codexd.record.redaction` before it is kept or written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO, TypeAlias

from attrs import evolve

from codexd import bounds
from codexd.api.records import LEVELS, LogEntry, LogEvent, LogFilter
from codexd.errors import describe
from codexd.output import Output
from codexd.record.follow import Follower
from codexd.record.redaction import redact, redact_value

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends, and marks that change the text direction."""
_NEEDS_QUOTES = re.compile(r"[\s\"=\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

LogFollower: TypeAlias = Follower[LogEntry, LogEvent]


class LogRing:
    """The newest ``capacity`` entries and their followers. Thread-safe.

    ``output`` is where the entries are written as well, if it can fall behind.
    """

    def __init__(self, capacity: int, output: Output | None = None) -> None:
        self.output = output
        self._entries: deque[LogEntry] = deque(maxlen=capacity)
        self._followers: dict[LogFollower, LogFilter] = {}
        self._last_id = 0
        # Reentrant, because a destructor may log while this thread holds the lock.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def problem(self) -> str | None:
        """What is wrong with writing the entries to stderr, in sentences."""
        missing = self.output.missing if self.output is not None else 0
        return f"{_describe_missing(missing)} Read the log with `codexctl logs`." if missing else None

    def append(self, entry: LogEntry) -> LogEntry:
        """Keep ``entry`` under the next id and offer it to the followers, without waiting for them."""
        with self._lock:
            self._last_id += 1
            entry = evolve(entry, id=self._last_id)
            self._entries.append(entry)
            for follower, filters in tuple(self._followers.items()):
                if matches(filters, entry):
                    follower.offer(entry.id, entry)
        return entry

    def history(self, filters: LogFilter, limit: int | None = None) -> list[LogEntry]:
        """The newest ``limit`` entries that match, oldest first."""
        with self._lock:
            entries = list(self._entries)
        found: deque[LogEntry] = deque((entry for entry in entries if matches(filters, entry)), maxlen=limit)
        return list(found)

    def resize(self, capacity: int) -> None:
        """Keep ``capacity`` entries from now on."""
        with self._lock:
            self._entries = deque(self._entries, maxlen=capacity)

    def subscribe(self, filters: LogFilter, limit: int = 0, *, capacity: int = bounds.FOLLOWED_ENTRIES) -> LogFollower:
        """A follower: first the newest ``limit`` entries that match, then each new one. Call it inside trio."""
        with self._lock:
            past = {entry.id: entry for entry in self.history(filters, limit)}
            follower = LogFollower(past, LogEvent, self.forget, capacity=capacity)
            self._followers[follower] = filters
        return follower

    def forget(self, follower: LogFollower) -> None:
        with self._lock:
            self._followers.pop(follower, None)


def matches(filters: LogFilter, entry: LogEntry) -> bool:
    """Whether ``entry`` passes ``filters``."""
    if filters.level is not None and LEVELS.index(entry.level) < LEVELS.index(filters.level):
        return False
    if filters.since is not None and entry.at < filters.since:
        return False
    if filters.request is not None and not _is_of(entry, filters.request):
        return False
    return filters.contains is None or filters.contains.casefold() in _searchable(entry)


def _is_of(entry: LogEntry, request: str) -> bool:
    """Whether the entry is about a request whose id starts with ``request``, with or without ``req_``."""
    return entry.request is not None and entry.request.startswith((request, f"req_{request}"))


def _searchable(entry: LogEntry) -> str:
    fields = "\n".join(f"{key}={value}" for key, value in entry.fields.items())
    return f"{entry.logger}\n{entry.request or ''}\n{entry.message}\n{fields}".casefold()


class RingHandler(logging.Handler):
    """Keeps each log record in a ring."""

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        self._ring.append(read_record(record))


class StderrHandler(logging.StreamHandler[Any]):
    """Writes each log record to stderr, as text for people or as one JSON object per line."""

    def __init__(self, log_format: str, stream: TextIO | Output) -> None:
        super().__init__(stream)
        self._write_entry = format_json if log_format == "json" else format_text

    def format(self, record: logging.LogRecord) -> str:
        return self._write_entry(read_record(record))


def configure(level: str, log_format: str, ring: LogRing, stream: TextIO | Output | None = None) -> None:
    """Send codexd's log records from ``level`` up, and libraries' from warning up, to ``ring`` and stderr.

    ``log_format`` is ``text`` or ``json``. Another call replaces the previous configuration.
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
    """The entry for a log record, without secrets. Its id is 0 until a ring assigns one."""
    fields = getattr(record, "fields", None)
    fields = redact_value(fields) if isinstance(fields, Mapping) else {}
    if record.exc_info and record.exc_info[1]:
        fields["traceback"] = _shorten(redact("".join(_format_error(record.exc_info[1]))))
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


def _format_error(error: BaseException, indent: str = "") -> Iterator[str]:
    """The traceback of ``error``, of its causes and of the errors in a group, with the words of safe errors only."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _format_error(before, indent)
        yield f"{indent}-- and then:\n"
    for line in [*traceback.format_tb(error.__traceback__), f"{describe(error)}\n"]:
        yield textwrap.indent(line, indent)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _format_error(inner, f"{indent}  ")


def make_missing_note(log_format: str) -> Callable[[int], str]:
    """Makes the line that says how many lines are missing from the output."""
    write = format_json if log_format == "json" else format_text

    def note(missing: int) -> str:
        return write(LogEntry(0, time.time(), "warning", "codexd.daemon", _describe_missing(missing), None, {})) + "\n"

    return note


def _describe_missing(missing: int) -> str:
    lines = "1 log line was" if missing == 1 else f"{missing} log lines were"
    return f"{lines} not written to stderr, because nobody read it or its disk is full."


def format_text(entry: LogEntry) -> str:
    """``entry`` as a line for people, followed by its traceback, indented."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    request = f" [{entry.request}]" if entry.request else ""
    fields = "".join(f" {key}={_field(value)}" for key, value in entry.fields.items() if key != "traceback")
    line = f"{at} {entry.level.upper():7} {entry.logger}{request} {escape(entry.message)}{fields}"
    below = str(entry.fields.get("traceback", "")).splitlines()
    return "\n".join([line, *(f"    {escape(text)}" for text in below)])


def format_json(entry: LogEntry) -> str:
    """``entry`` as one JSON object, with its time in UTC."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.at)) + f".{int(entry.at % 1 * 1000):03}Z"
    head = {"at": at, "level": entry.level, "logger": entry.logger, "request": entry.request}
    return json.dumps(head | {"message": entry.message, "fields": entry.fields})


def escape(text: str) -> str:
    """``text`` on one line and without terminal control sequences, since it may come from a client."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _field(value: Any) -> str:
    if isinstance(value, str) and value and not _NEEDS_QUOTES.search(value):
        return value
    return escape(json.dumps(value, ensure_ascii=False))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # the message and its arguments don't match; log them anyway
        return f"{record.msg} {record.args}"


def _level(number: int) -> str:
    return LEVELS[max(1, min(number // 10, len(LEVELS))) - 1]


def _shorten(text: str) -> str:
    cut = len(text) - bounds.LOG_TEXT_CHARS
    return text if cut <= 0 else f"{text[: bounds.LOG_TEXT_CHARS]}... ({cut} more characters)"
