"""Requests: the running ones, the last thousand that ended, their followers, and a log line for each."""

from __future__ import annotations

import logging
import math
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import trio

from codexd import bounds
from codexd.api.records import RequestEvent, Told
from codexd.errors import CodexdError, RequestCancelled, RequestNotFound
from codexd.record.follow import Follower
from codexd.record.snapshot import CANCELLED, Snapshot
from codexd.record.timeline import SESSION_CHARS, RequestRecord
from codexd.translation.client_api import Purpose
from codexd.translation.reading.losses import LossKind

log = logging.getLogger("codexd.request")
loss_log = logging.getLogger("codexd.losses")


LOGGED_LOSSES = (LossKind.DROPPED, LossKind.APPROXIMATED)


PROGRESS_S = 1.0
"""How often followers see the growing answer of a running request."""

REPEATED_S = 15.0
"""After an error inside a stream, Claude Code immediately sends the same request again."""

CANCELLED_WITH = "This request was cancelled with `codexctl`"

_INDEX = re.compile(r"\[\d+\]")


class RequestLog:
    """``clock`` is monotonic, ``wall_clock`` returns the time since the epoch, both in seconds.

    ``on_end`` is called with each request that has ended.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        on_end: Callable[[Snapshot], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_end = on_end
        self._running: dict[str, RequestRecord] = {}
        self._ended: deque[Snapshot] = deque(maxlen=bounds.REQUESTS)
        self._refused: deque[Snapshot] = deque(maxlen=bounds.REFUSALS)
        self._followers: set[RequestFollower] = set()
        self._cancelled_at: dict[str, float] = {}
        """By session."""
        self._logged_losses: dict[tuple[str, str], None] = {}
        """By client and path; an ordered set, so that the oldest is forgotten first."""

    @property
    def in_flight(self) -> int:
        return len(self._running)

    @property
    def kept(self) -> int:
        """How many that have ended are kept, without those that reached no model."""
        return len(self._ended)

    @property
    def kept_refusals(self) -> int:
        return len(self._refused)

    @property
    def running(self) -> Iterable[RequestRecord]:
        return self._running.values()

    @property
    def snapshots(self) -> list[Snapshot]:
        """Every request in its current state: the oldest first, the running ones last."""
        return [*self._past, *(record.snapshot() for record in self.running)]

    @property
    def _past(self) -> list[Snapshot]:
        """What has ended, in that order."""
        return sorted((*self._ended, *self._refused), key=lambda request: request.ended_at)

    def now(self) -> float:
        return self._clock()

    @contextmanager
    def record(self, request_id: str, method: str, path: str, client: str) -> Iterator[RequestRecord]:
        """The record of a request that runs as long as the context, and is logged at its end."""
        record = RequestRecord(
            request_id, method, path, client, self._wall_clock(), self._clock(), self._clock, self._offer
        )
        self._running[request_id] = record
        record.note_received()
        try:
            yield record
        finally:
            del self._running[request_id]
            ended = record.finish(sys.exception())
            self._ended.append(ended)
            _write(ended)
            self._log_losses(ended)
            self._on_end(ended)

    def note_refused(
        self, request_id: str, method: str, path: str, client: str, error: CodexdError, told: Told
    ) -> None:
        """Record a request that was refused before it got to a model, unless it has a record. Usage leaves it out."""
        if any(ended.info.id == request_id for ended in self._ended):
            return
        now, wall_now = self._clock(), self._wall_clock()
        record = RequestRecord(request_id, method, path, client, wall_now, now, self._clock, self._offer)
        record.note_received()
        record.note_failure(error)
        record.note_status(told.status)
        record.note_reported(told.status, told.type, told.message)
        self._refused.append(record.finish())

    # -- finding ----------------------------------------------------------------------------------

    def find(self, name: str) -> Snapshot:
        """The request with this id or a unique prefix of it, with or without ``req_``.

        Raises:
            RequestNotFound
        """
        found = _choose(self.snapshots, name)
        if found is None:
            raise RequestNotFound(
                f"No request {name[:80]!r} is running or among the last {bounds.REQUESTS} that ended; "
                "`codexctl requests` lists them."
            )
        return found

    def find_last_failed(self) -> Snapshot:
        """The last request that failed, probes excepted; else the last that was cancelled, or a probe.

        Raises:
            RequestNotFound: none has failed.
        """
        failed = [request for request in self._past if request.has_failed]
        by_itself = [request for request in failed if not request.is_probe]
        cancelled = [request for request in self._past if request.info.state == CANCELLED]
        found = by_itself or cancelled or failed
        if not found:
            raise RequestNotFound(
                "No request has failed since codexd started. To look at another request, give its id: "
                "`codexctl requests` lists them."
            )
        return found[-1]

    # -- ending early -----------------------------------------------------------------------------

    def cancel(self, name: str) -> Snapshot:
        """Cancel a running request: its client gets an error that says so.

        Raises:
            RequestNotFound: no running request has this id.
        """
        running = [record.snapshot() for record in self._running.values()]
        found = _choose(running, name) or self.find(name)
        record = self._running.get(found.info.id)
        if record is None:
            raise RequestNotFound(f"The request {found.info.id} has already ended.")
        if record.end_early is None:
            raise RequestNotFound(f"The request {found.info.id} is still being received. Try again in a moment.")
        if found.info.session is not None:
            self._cancelled_at[found.info.session] = self._clock()
        record.end_early(RequestCancelled(f"{CANCELLED_WITH}."))
        return record.snapshot()

    def is_repeated(self, session: str) -> bool:
        """Whether this repeats a request of ``session`` that was cancelled a moment ago; True only once."""
        cancelled_at = self._cancelled_at.pop(session[:SESSION_CHARS], None)
        return cancelled_at is not None and self._clock() - cancelled_at < REPEATED_S

    # -- following --------------------------------------------------------------------------------

    def subscribe(self, limit: int = 0, *, capacity: int = bounds.FOLLOWED_REQUESTS) -> RequestFollower:
        """A follower: first the newest ``limit`` ended requests and all running ones, then whatever is new."""
        ended = self._past[-limit:] if limit else []
        first: dict[str, RequestRecord | Snapshot] = {request.info.id: request for request in ended}
        first.update(self._running)
        follower = RequestFollower(self, first, capacity=capacity)
        self._followers.add(follower)
        return follower

    def forget(self, follower: RequestFollower) -> None:
        self._followers.discard(follower)

    def _offer(self, record: RequestRecord) -> None:
        for follower in self._followers:
            follower.offer(record.id, record)

    # -- logging ----------------------------------------------------------------------------------

    def _log_losses(self, request: Snapshot) -> None:
        """Log each loss once per client version, since the next request will probably have it again."""
        client = request.info.client
        for loss in request.info.losses:
            key = (client, _INDEX.sub("[]", loss.path))
            if loss.kind in LOGGED_LOSSES and key not in self._logged_losses:
                self._logged_losses[key] = None
                if len(self._logged_losses) > bounds.LOGGED_LOSSES:
                    del self._logged_losses[next(iter(self._logged_losses))]
                extra = {"request": request.info.id, "fields": {"client": client}}
                loss_log.info("%s %s: %s", loss.kind, loss.path, loss.note, extra=extra)


class RequestFollower(Follower[RequestRecord | Snapshot, RequestEvent]):
    """Yields requests in their current state: a slow reader gets fewer events, each of them up to date.

    The follower checks by itself whether answers have grown, so that followers don't slow down an answer.
    """

    def __init__(self, requests: RequestLog, first: Mapping[str, RequestRecord | Snapshot], *, capacity: int) -> None:
        super().__init__(first, _make_event, requests.forget, capacity=capacity)
        self._requests = requests
        self._seen_tokens: dict[str, int | None] = {}
        self._look_at = trio.current_time() + PROGRESS_S

    def _next_event(self) -> RequestEvent | None:
        self._offer_grown()
        return super()._next_event()

    async def _wait(self) -> None:
        with trio.move_on_at(self._look_at if self._requests.in_flight else math.inf):
            await super()._wait()

    def _offer_grown(self) -> None:
        """Offer the requests whose answer has grown, at most once every ``PROGRESS_S``."""
        now = trio.current_time()
        if now < self._look_at:
            return
        self._look_at = now + PROGRESS_S
        tokens = {record.id: record.output_tokens for record in self._requests.running}
        for record in self._requests.running:
            if tokens[record.id] != self._seen_tokens.get(record.id):
                self.offer(record.id, record)
        self._seen_tokens = tokens


def _make_event(request: RequestRecord | Snapshot | None, missed: int | None) -> RequestEvent:
    return RequestEvent(None if request is None else request.info, missed)


def _write(request: Snapshot) -> None:
    info, counted = request.info, request.counted
    fields = {
        "client": info.client,
        "account": info.account,
        "account_reason": info.account_reason,
        "model": info.model,
        "model_used": info.model_used,
        "purpose": None if info.purpose == Purpose.TURN.value else info.purpose,
        "status": info.status,
        "error": info.error,
        "ttft_ms": info.ttft_ms,
        "duration_ms": info.duration_ms,
        "input_tokens": counted.input if counted else None,
        "cached_tokens": counted.cached if counted else None,
        "output_tokens": counted.output if counted else None,
        "reasoning_tokens": counted.reasoning or None if counted else None,
        "losses": request.losses_reported or None,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    level = logging.WARNING if request.has_failed or info.state == CANCELLED else logging.INFO
    log.log(level, "%s %s", request.method, info.path, extra={"request": info.id, "fields": known})


def _choose(requests: Sequence[Snapshot], name: str) -> Snapshot | None:
    """The only one of the requests whose id is ``name`` or begins with it; None without one.

    Raises:
        RequestNotFound: it could be several.
    """
    found = [request for request in requests if request.info.id == name] or [
        request for request in requests if request.info.id.startswith((name, f"req_{name}"))
    ]
    if len(found) > 1:
        some = ", ".join(request.info.id for request in found[-3:])
        raise RequestNotFound(f"{len(found)} request ids start with {name!r}, such as {some}. Use more of the id.")
    return found[0] if found else None
