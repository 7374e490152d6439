"""Requests: those in flight, the last thousand that ended, and one log line for each."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from codexd.translation.losses import Losses, LossKind
from codexd.translation.responses import Usage

log = logging.getLogger("codexd.request")
loss_log = logging.getLogger("codexd.losses")

KEPT_REQUESTS = 1000
KEPT_KINDS = 1000
"""How many kinds of loss are remembered as told."""

CLIENT_LEFT = 499
"""The status of a request whose client hung up first (nginx's number for it)."""

_INDEX = re.compile(r"\[\d+\]")


@define
class RequestRecord:
    """One model request. ``started_at`` is seconds since the epoch; the other times are monotonic seconds."""

    id: str
    method: str
    path: str
    client: str
    started_at: float
    started: float
    model: str | None = None
    model_used: str | None = None
    account: str | None = None
    account_reason: str | None = None
    """Why that account, in short words."""
    status: int | None = None
    error: str | None = None
    first_token: float | None = None
    ended: float | None = None
    usage: Usage | None = None
    losses: Losses = field(factory=Losses)

    def note_first_token(self, now: float) -> None:
        if self.first_token is None:
            self.first_token = now

    @property
    def ttft_ms(self) -> int | None:
        return _ms(self.started, self.first_token)

    @property
    def duration_ms(self) -> int | None:
        return _ms(self.started, self.ended)


class RequestLog:
    """``clock`` is monotonic, ``wall_clock`` the time since the epoch, both in seconds."""

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._live: dict[str, RequestRecord] = {}
        self._ended: deque[RequestRecord] = deque(maxlen=KEPT_REQUESTS)
        self._told: dict[tuple[str, str], None] = {}

    @property
    def in_flight(self) -> int:
        return len(self._live)

    @property
    def records(self) -> list[RequestRecord]:
        """The oldest first, the running ones last."""
        return [*self._ended, *self._live.values()]

    def now(self) -> float:
        return self._clock()

    @contextmanager
    def record(self, request_id: str, method: str, path: str, client: str) -> Iterator[RequestRecord]:
        """A record of a request that runs as long as the context; it is logged at its end."""
        record = RequestRecord(request_id, method, path, client, self._wall_clock(), self._clock())
        self._live[request_id] = record
        try:
            yield record
        finally:
            record.ended = self._clock()
            record.status = record.status or CLIENT_LEFT
            del self._live[request_id]
            self._ended.append(record)
            _write(record)
            self._tell_losses(record)

    def _tell_losses(self, record: RequestRecord) -> None:
        """Log each kind of loss once for a client and its version; the next request has it again."""
        for loss in record.losses:
            key = (record.client, _INDEX.sub("[]", loss.path))
            if loss.kind in (LossKind.DROPPED, LossKind.APPROXIMATED) and key not in self._told:
                self._told[key] = None
                if len(self._told) > KEPT_KINDS:
                    del self._told[next(iter(self._told))]
                extra = {"request": record.id, "fields": {"client": record.client}}
                loss_log.info("%s %s: %s", loss.kind.value, loss.path, loss.note, extra=extra)


def _write(record: RequestRecord) -> None:
    usage = record.usage
    fields = {
        "client": record.client,
        "account": record.account,
        "account_reason": record.account_reason,
        "model": record.model,
        "model_used": record.model_used,
        "status": record.status,
        "error": record.error,
        "ttft_ms": record.ttft_ms,
        "duration_ms": record.duration_ms,
        "input_tokens": usage.input_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens or None if usage else None,
        "losses": record.losses.told or None,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    level = logging.INFO if record.error is None else logging.WARNING
    log.log(level, "%s %s", record.method, record.path, extra={"request": record.id, "fields": known})


def _ms(start: float, end: float | None) -> int | None:
    return None if end is None else round((end - start) * 1000)
