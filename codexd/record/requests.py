"""Requests: those in flight, the last thousand that ended, who follows them, and one log line for each."""

from __future__ import annotations

import logging
import math
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import trio

from codexd.api.records import RequestEvent
from codexd.errors import RequestCancelled, RequestNotFound, ShuttingDown
from codexd.record.follow import Follower
from codexd.record.info import to_info
from codexd.record.timeline import SESSION_CHARS, RequestRecord, StepName
from codexd.translation.reading.losses import LossKind

log = logging.getLogger("codexd.request")
loss_log = logging.getLogger("codexd.losses")

KEPT_REQUESTS = 1000
KEPT_KINDS = 1000
"""How many kinds of loss are remembered as told."""

FOLLOWER_REQUESTS = 2000
"""Of so many requests a follower may have news unread before it misses the oldest: twice what is kept."""

PROGRESS_S = 1.0
"""A running request is told again this often, if its answer has grown."""

REPEATED_S = 15.0
"""Claude Code answers an error inside a stream with a second request for the same, at once."""

CANCELLED = "This request was cancelled with `codexctl`"

_INDEX = re.compile(r"\[\d+\]")


class RequestLog:
    """``clock`` is monotonic, ``wall_clock`` the time since the epoch, both in seconds.

    ``on_end`` is given each request once it has ended.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        on_end: Callable[[RequestRecord], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_end = on_end
        self._live: dict[str, RequestRecord] = {}
        self._ended: deque[RequestRecord] = deque(maxlen=KEPT_REQUESTS)
        self._followers: set[RequestFollower] = set()
        self._cancelled_at: dict[str, float] = {}
        """By session."""
        self._told: dict[tuple[str, str], None] = {}

    @property
    def in_flight(self) -> int:
        return len(self._live)

    @property
    def live(self) -> Iterable[RequestRecord]:
        return self._live.values()

    @property
    def records(self) -> list[RequestRecord]:
        """The oldest first, the running ones last."""
        return [*self._ended, *self._live.values()]

    def now(self) -> float:
        return self._clock()

    @contextmanager
    def record(self, request_id: str, method: str, path: str, client: str) -> Iterator[RequestRecord]:
        """A record of a request that runs as long as the context; it is logged at its end."""
        wall_clock, clock = self._wall_clock, self._clock
        record = RequestRecord(request_id, method, path, client, wall_clock(), clock(), clock, self._tell)
        self._live[request_id] = record
        record.note(StepName.RECEIVED)
        try:
            yield record
        finally:
            _note_outcome(record)
            del self._live[request_id]
            self._ended.append(record)
            record.finish()
            _write(record)
            self._tell_losses(record)
            self._on_end(record)

    # -- finding ----------------------------------------------------------------------------------

    def find(self, name: str) -> RequestRecord:
        """The request of that id, or of a unique beginning of it, with or without its ``req_``.

        Raises:
            RequestNotFound
        """
        records = self.records
        found = [record for record in records if record.id == name] or [
            record for record in records if record.id.startswith((name, f"req_{name}"))
        ]
        if not found:
            raise RequestNotFound(
                f"There is no request {name[:80]!r} among those that run and the last {KEPT_REQUESTS} that ended; "
                "`codexctl requests` lists them."
            )
        if len(found) > 1:
            some = ", ".join(record.id for record in found[-3:])
            raise RequestNotFound(f"{len(found)} requests begin with {name!r}, such as {some}: give more of the id.")
        return found[0]

    def find_last_failed(self) -> RequestRecord:
        """The last one that failed; one that its own user ended only if there is no other.

        Raises:
            RequestNotFound: none has failed.
        """
        failed = [record for record in self._ended if record.error is not None]
        if not failed:
            raise RequestNotFound(
                "No request has failed since codexd started. Name one: `codexctl requests` lists them."
            )
        own = [record for record in failed if not record.was_ended_by_user]
        return (own or failed)[-1]

    # -- ending early -----------------------------------------------------------------------------

    def cancel(self, name: str) -> RequestRecord:
        """End a running request: its client gets an error that says so.

        Raises:
            RequestNotFound: no request of that name runs.
        """
        record = self.find(name)
        if record.ended is not None:
            raise RequestNotFound(f"The request {record.id} has ended already.")
        if record.end_early is None:
            raise RequestNotFound(f"The request {record.id} is still being received; try again in a moment.")
        if record.session is not None:
            self._cancelled_at[record.session] = self._clock()
        record.end_early(RequestCancelled(f"{CANCELLED}."))
        return record

    def is_repeated(self, session: str) -> bool:
        """Whether a request of that session was cancelled a moment ago, and this is its client's next try; once."""
        cancelled_at = self._cancelled_at.pop(session[:SESSION_CHARS], None)
        return cancelled_at is not None and self._clock() - cancelled_at < REPEATED_S

    # -- following --------------------------------------------------------------------------------

    def subscribe(self, limit: int = 0, *, capacity: int = FOLLOWER_REQUESTS) -> RequestFollower:
        """A follower: the newest ``limit`` that ended and all that run first, then whatever is new."""
        ended = list(self._ended)[-limit:] if limit else []
        follower = RequestFollower(self, [*ended, *self._live.values()], capacity=capacity)
        self._followers.add(follower)
        return follower

    def forget(self, follower: RequestFollower) -> None:
        self._followers.discard(follower)

    def _tell(self, record: RequestRecord) -> None:
        for follower in self._followers:
            follower.offer(record.id, record)

    # -- logging ----------------------------------------------------------------------------------

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


class RequestFollower(Follower[RequestRecord, RequestEvent]):
    """Gives requests as they stand: a reader that falls behind gets fewer events, each as new as can be.

    The growth of an answer is looked at from here, so that it costs the answer nothing.
    """

    def __init__(self, requests: RequestLog, first: Iterable[RequestRecord], *, capacity: int) -> None:
        waiting = {record.id: record for record in first}
        super().__init__(waiting, _make_event, requests.forget, capacity=capacity)
        self._requests = requests
        self._told_tokens: dict[str, int | None] = {}
        self._look_at = trio.current_time() + PROGRESS_S

    def _next_event(self) -> RequestEvent | None:
        self._offer_grown()
        return super()._next_event()

    async def _wait(self) -> None:
        with trio.move_on_at(self._look_at if any(self._requests.live) else math.inf):
            await super()._wait()

    def _offer_grown(self) -> None:
        """Offer those whose answer has grown, every now and then."""
        now = trio.current_time()
        if now < self._look_at:
            return
        self._look_at = now + PROGRESS_S
        tokens = {record.id: record.output_tokens for record in self._requests.live}
        for record in self._requests.live:
            if tokens[record.id] != self._told_tokens.get(record.id):
                self.offer(record.id, record)
        self._told_tokens = tokens


def _make_event(record: RequestRecord | None, missed: int | None) -> RequestEvent:
    return RequestEvent(None if record is None else to_info(record), missed)


def _note_outcome(record: RequestRecord) -> None:
    """What a request that ended with nothing said of it ended with."""
    failure = sys.exception()
    if isinstance(failure, Exception):  # the web server answers for it
        record.status, record.error, record.error_kind = 500, f"a bug in codexd: {type(failure).__name__}", "internal"
    elif record.status is None and failure is not None:
        record.fail(ShuttingDown("codexd stopped before there was an answer"))
    elif record.status is None and record.error is None:
        record.note_client_left()


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
        "losses": record.losses.reported or None,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    level = logging.INFO if record.error is None else logging.WARNING
    log.log(level, "%s %s", record.method, record.path, extra={"request": record.id, "fields": known})
