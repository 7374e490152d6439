"""Requests: those in flight, and one log line for each that ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define

from codexd.translation.responses import Usage

log = logging.getLogger("codexd.request")

CLIENT_LEFT = 499
"""The status in the log when the client hung up first (nginx's number for it)."""


@define
class RequestRecord:
    """One model request. Times are seconds on the monotonic clock."""

    id: str
    method: str
    path: str
    client: str
    started: float
    model: str | None = None
    model_used: str | None = None
    account: str | None = None
    status: int | None = None
    error: str | None = None
    first_token: float | None = None
    usage: Usage | None = None

    def note_first_token(self, now: float) -> None:
        if self.first_token is None:
            self.first_token = now


class RequestLog:
    """``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._live: dict[str, RequestRecord] = {}

    @property
    def in_flight(self) -> int:
        return len(self._live)

    def now(self) -> float:
        return self._clock()

    @contextmanager
    def record(self, request_id: str, method: str, path: str, client: str) -> Iterator[RequestRecord]:
        """A record that lives as long as the request, and is logged at its end."""
        record = RequestRecord(request_id, method, path, client, self._clock())
        self._live[request_id] = record
        try:
            yield record
        finally:
            del self._live[request_id]
            self._write(record)

    def _write(self, record: RequestRecord) -> None:
        usage = record.usage
        fields = {
            "client": record.client,
            "account": record.account,
            "model": record.model,
            "model_used": record.model_used,
            "status": record.status or CLIENT_LEFT,
            "error": record.error,
            "ttft_ms": _ms(record.first_token, record.started),
            "duration_ms": _ms(self._clock(), record.started),
            "input_tokens": usage.input_tokens if usage else None,
            "cached_tokens": usage.cached_tokens if usage else None,
            "output_tokens": usage.output_tokens if usage else None,
            "reasoning_tokens": usage.reasoning_tokens or None if usage else None,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        level = logging.INFO if record.error is None else logging.WARNING
        extra = {"request": record.id, "fields": known}
        log.log(level, "%s %s", record.method, record.path, extra=extra)


def _ms(moment: float | None, start: float) -> int | None:
    return None if moment is None else round((moment - start) * 1000)
