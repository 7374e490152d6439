"""One model request: what it was, what became of it, and the steps on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from attrs import define, field, frozen

from codexd.api.records import Told
from codexd.errors import CodexdError, RequestCancelled, UpstreamError
from codexd.record.redaction import redact
from codexd.translation.backend import Usage
from codexd.translation.reading.losses import Losses

CLIENT_LEFT = 499
"""The status of a request whose client hung up first (nginx's number for it)."""

CLIENT_LEFT_KIND = "client_left"
"""Stands where an error has its ``kind``."""

SESSION_CHARS = 8
MAX_ID_CHARS = 100
MAX_MODEL_CHARS = 200
"""A client may send any text as the name of a model."""


class StepName(Enum):
    RECEIVED = "received"
    CHOSEN = "account chosen"
    WAITED = "waited for a limit"
    TOKEN = "waited for a token"  # noqa: S105 - a step's name
    ASKED = "asked"
    CONNECTED = "connected"
    SENT = "sent"
    HEADERS = "headers"
    FIRST_EVENT = "first event"
    FIRST_TOKEN = "first token"  # noqa: S105 - a step's name
    RETRY = "retry"
    END = "end"


@frozen
class Step:
    """``at_ms`` after the request came in; ``note``: what ``explain.py`` puts into its sentence."""

    at_ms: int
    name: StepName
    note: str = ""


@define(eq=False)
class RequestRecord:
    """One model request. ``started_at`` is seconds since the epoch; the other times are monotonic seconds.

    ``clock`` is monotonic; ``tell`` is called after each step.
    """

    id: str
    method: str
    path: str
    client: str
    started_at: float
    started: float
    clock: Callable[[], float] = field(repr=False)
    tell: Callable[[RequestRecord], None] = field(repr=False)
    model: str | None = None
    model_used: str | None = None
    third_party: str | None = None
    """The host that is asked instead of the backend."""
    session: str | None = None
    account: str | None = None
    account_id: str | None = None
    account_reason: str | None = None
    """Why that account, in short words."""
    status: int | None = None
    error: str | None = None
    error_kind: str | None = None
    resets_at: float | None = None
    """When the limit that it ran into ends, in seconds since the epoch."""
    told: Told | None = None
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    retries: int = 0
    stop_reason: str | None = None
    first_event: float | None = None
    first_token: float | None = None
    heard_at: float = 0.0
    """When the backend last sent something."""
    longest_silence_s: float = 0.0
    ended: float | None = None
    usage: Usage | None = None
    count_output: Callable[[], int] | None = field(default=None, repr=False)
    """Estimates the tokens of the answer so far, while it runs."""
    estimated_output_tokens: int | None = None
    """The last estimate, of an answer that ended without the backend's own numbers."""
    end_early: Callable[[CodexdError], None] | None = field(default=None, repr=False)
    """Ends the answer with an error, while it runs."""
    steps: list[Step] = field(factory=list)
    losses: Losses = field(factory=Losses)

    @property
    def ttft_ms(self) -> int | None:
        return _ms(self.started, self.first_token)

    @property
    def duration_ms(self) -> int | None:
        return _ms(self.started, self.ended)

    @property
    def longest_silence_ms(self) -> int | None:
        return round(self.longest_silence_s * 1000) if self.heard_at else None

    @property
    def state(self) -> str:
        """One of ``api.records.REQUEST_STATES``."""
        return "running" if self.ended is None else "failed" if self.error else "done"

    @property
    def output_tokens(self) -> int | None:
        """Of the answer so far: what the backend said at its end, before that an estimate."""
        if self.usage is not None:
            return self.usage.output_tokens
        return self.count_output() if self.count_output else self.estimated_output_tokens

    @property
    def was_ended_by_user(self) -> bool:
        return self.error_kind in (CLIENT_LEFT_KIND, RequestCancelled.kind)

    # -- steps ------------------------------------------------------------------------------------

    def note(self, name: StepName, text: str = "") -> None:
        self.note_at(self.clock(), name, text)

    def note_at(self, now: float, name: StepName, text: str = "") -> None:
        self.steps.append(Step(round((now - self.started) * 1000), name, text))
        self.tell(self)

    def note_model(self, asked: str | None) -> None:
        self.model = None if asked is None else _show(asked)

    def note_model_used(self, model: str) -> None:
        self.model_used = _show(model)

    def note_losses(self, losses: Losses) -> None:
        self.losses = losses

    def note_session(self, key: str) -> None:
        self.session = key[:SESSION_CHARS]

    def note_waited(self, seconds: float, label: str) -> None:
        self.note(StepName.WAITED, f"{seconds:.1f} s for {label}")

    def note_token_wait(self, seconds: float) -> None:
        self.note(StepName.TOKEN, f"{seconds:.1f} s")

    def note_third_party(self, host: str) -> None:
        self.third_party = host

    def note_client_waited(self, now: float) -> None:
        self.heard_at = now

    def note_answer(self, usage: Usage | None, stop_reason: str | None) -> None:
        self.usage, self.stop_reason = usage, stop_reason

    def note_status(self, status: int) -> None:
        self.status = status

    def note_running(self, end_early: Callable[[CodexdError], None]) -> None:
        self.end_early = end_early

    def note_account(self, account_id: str, label: str, reason: str) -> None:
        if (account_id, reason) != (self.account_id, self.account_reason):
            self.account_id, self.account, self.account_reason = account_id, label, reason
            self.note(StepName.CHOSEN, f"{label}: {reason}")

    def note_retry(self, error: CodexdError, how: str) -> None:
        self.retries += 1
        self.note(StepName.RETRY, f"{how}, after this: {redact(str(error))}")

    def note_asked(self, model: str, count_output: Callable[[], int]) -> None:
        """An attempt begins, whose answer ``count_output`` measures."""
        self.count_output = count_output
        self.note(StepName.ASKED, _show(model))

    def note_connected(self) -> None:
        self.note(StepName.CONNECTED)

    def note_sent(self) -> None:
        self.first_event = None
        self.note(StepName.SENT)

    def note_headers(self, status: int, headers: Mapping[str, str]) -> None:
        self.upstream_status = status
        self.upstream_request_id = headers.get("x-request-id", "")[:MAX_ID_CHARS] or None
        self.heard_at = self.clock()
        self.note_at(self.heard_at, StepName.HEADERS, str(status))

    def note_chunk(self, now: float) -> None:
        """The backend sent something. The hot path: nothing is made here."""
        silence_s = now - self.heard_at
        if silence_s > self.longest_silence_s:  # noqa: PLR1730 - max() is a call, and a store for each chunk
            self.longest_silence_s = silence_s
        self.heard_at = now

    def note_first_event(self, now: float) -> None:
        self.first_event = now
        self.note_at(now, StepName.FIRST_EVENT)

    def note_first_token(self, now: float) -> None:
        if self.first_token is None:
            self.first_token = now
            self.note_at(now, StepName.FIRST_TOKEN)

    # -- the end ----------------------------------------------------------------------------------

    def note_failure(self, error: CodexdError) -> None:
        self.fail(error)

    def note_reported(self, status: int, type_: str, message: str) -> None:
        self.note_told(status, type_, message)

    def fail(self, error: CodexdError) -> None:
        self.error, self.error_kind = redact(str(error)), error.kind
        self.resets_at = error.resets_at if isinstance(error, UpstreamError) else None

    def note_told(self, status: int, type_: str, message: str) -> None:
        self.told = Told(status, type_, redact(message))

    def note_client_left(self) -> None:
        """Hanging up is a failure only before the end: a client may leave as soon as it has that, or its error."""
        was_answered = self.status == 200 and self.stop_reason is not None
        if was_answered or self.told is not None:
            return
        self.error, self.error_kind = "the client hung up", CLIENT_LEFT_KIND

    def finish(self) -> None:
        """The end, after which nothing changes. Lets go of the answer."""
        self.ended = self.clock()
        self.status = self.status or CLIENT_LEFT
        self.estimated_output_tokens = self.output_tokens
        self.count_output = self.end_early = None
        self.note_at(self.ended, StepName.END)


def _show(model: str) -> str:
    return redact(model[:MAX_MODEL_CHARS])


def _ms(start: float, end: float | None) -> int | None:
    return None if end is None else round((end - start) * 1000)
