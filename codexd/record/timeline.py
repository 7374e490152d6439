"""One model request: the record that is written while it runs, and the frozen snapshot of it that others read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from attrs import define, field, frozen

from codexd.api.records import RequestInfo, TokenCounts, Told
from codexd.errors import CodexdError, InternalError, RequestCancelled, ShuttingDown, UpstreamError
from codexd.record.redaction import redact
from codexd.translation.backend import Usage
from codexd.translation.client_api import Client, Purpose
from codexd.translation.reading.losses import Losses
from codexd.translation.wire_errors import without_countdown

CLIENT_LEFT = 499
"""The status of a request whose client disconnected before it was answered; nginx uses the same number."""

CLIENT_LEFT_KIND = "client_left"
"""The error kind of such a request."""

STOPPED, CANCELLED = "stopped", "cancelled"
"""The states of requests that did not fail but were ended: by their client, who hung up, and with ``codexctl``."""

_ENDED_EARLY = {CLIENT_LEFT_KIND: STOPPED, RequestCancelled.kind: CANCELLED}
"""Error kind -> state."""

SILENT_S = 60.0
"""After this much silence of the backend, a running request is marked."""

SESSION_CHARS = 8
MAX_ID_CHARS = 100
MAX_MODEL_CHARS = 200
"""A client may send any text as a model name."""


class StepName(Enum):
    RECEIVED = "received"
    CHOSEN = "account chosen"
    WAITED = "waited for a limit"
    TOKEN = "waited for a token"  # noqa: S105 - a step's name
    ASKED = "asked"
    CONNECTED = "connected"
    SENT = "sent"
    HEADERS = "headers"
    SILENT = "silent"
    FIRST_EVENT = "first event"
    FIRST_TOKEN = "first token"  # noqa: S105 - a step's name
    RETRY = "retry"
    END = "end"


@frozen
class Step:
    """A step, ``at_ms`` after the request came in. ``note`` completes the step's sentence (``why.py``)."""

    at_ms: int
    name: StepName
    note: str = ""


@frozen
class Snapshot:
    """A request at one moment, or as it ended.

    ``elapsed_ms`` counts from the request's arrival, ``silent_ms`` from the backend's last bytes, or from when it was
    asked (None before that). ``third_party`` is the host that was asked instead of the backend. ``resets_at`` is when
    the limit that the request hit ends, in seconds since the epoch. ``losses_reported`` counts the dropped and
    approximated fields.
    """

    info: RequestInfo
    method: str
    account_id: str | None
    third_party: str | None
    resets_at: float | None
    losses_reported: int
    caller: Client
    elapsed_ms: int
    silent_ms: int | None
    steps: tuple[Step, ...]

    @property
    def counted(self) -> TokenCounts | None:
        """The tokens as counted by the backend; None while there is only an estimate."""
        tokens = self.info.tokens
        return None if tokens is None or tokens.estimated else tokens

    @property
    def ended_at(self) -> float:
        """In seconds since the epoch; for a running request, the moment of the snapshot."""
        return self.info.started_at + self.elapsed_ms / 1000

    @property
    def is_probe(self) -> bool:
        """Whether it asked for something that clients ask for just in case, such as ChatGPT's plugins."""
        return self.info.model is None and (self.method != "POST" or self.info.path.startswith("/backend-api/"))

    @property
    def was_ended_by_user(self) -> bool:
        return self.info.state in (STOPPED, CANCELLED)

    @property
    def has_failed(self) -> bool:
        return self.info.state == "failed"


@frozen
class _Account:
    id: str
    label: str = field(eq=False)
    reason: str
    """A short reason for choosing this account."""


@frozen
class _Failure:
    message: str
    kind: str
    resets_at: float | None = None


@define(eq=False)
class RequestRecord:
    """The write side of one request: one method records each fact, and a :class:`Snapshot` is for reading them.

    ``started_at`` is in seconds since the epoch; all other times are in seconds of ``clock``, which is monotonic.
    ``on_step`` is called after each step.
    """

    id: str
    method: str
    path: str
    client: str
    started_at: float
    started: float
    clock: Callable[[], float] = field(repr=False)
    on_step: Callable[[RequestRecord], None] = field(repr=False)

    has_first_event: bool = False
    """Whether the current attempt has had an event. A plain attribute, like the next one: read for each chunk."""
    has_first_token: bool = False
    """Whether a part of the answer has gone to the client."""

    _steps: list[Step] = field(factory=list)
    _losses: Losses = field(factory=Losses)
    _purpose: Purpose = Purpose.TURN
    _caller: Client = Client.OTHER
    _model: str | None = None
    _model_used: str | None = None
    _third_party: str | None = None
    _session: str | None = None
    _account: _Account | None = None
    _retries: int = 0
    _was_asked: bool = False
    _upstream_status: int | None = None
    _upstream_request_id: str | None = None
    _heard_at: float = 0.0
    """When the backend last sent something, or was asked. Meaningful only once it has been asked."""
    _longest_silence_s: float = 0.0
    _first_token_at: float | None = None
    _usage: Usage | None = None
    _stop_reason: str | None = None
    _status: int | None = None
    _failure: _Failure | None = None
    _reported: Told | None = None
    _count_output: Callable[[], int] | None = field(default=None, repr=False)
    _end_early: Callable[[CodexdError], None] | None = field(default=None, repr=False)
    _final: Snapshot | None = None

    # -- reading ----------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The request in its current state, or as it ended."""
        return self._final or self._take_snapshot("running", self.clock())

    @property
    def info(self) -> RequestInfo:
        return self.snapshot().info

    @property
    def output_tokens(self) -> int | None:
        """The tokens of the answer so far: the backend's own count if it has sent one, else an estimate."""
        if self._usage is not None:
            return self._usage.output_tokens
        return self._count_output() if self._count_output else None

    @property
    def silent_s(self) -> float:
        """How long the backend has sent nothing since it was asked; 0.0 before that and after the end."""
        return self.clock() - self._heard_at if self._was_asked and self._final is None else 0.0

    @property
    def end_early(self) -> Callable[[CodexdError], None] | None:
        """Ends the answer with an error; None before the answer starts and after it has ended."""
        return self._end_early

    # -- the request and its route ----------------------------------------------------------------

    def note_received(self) -> None:
        self._add_step(self.started, StepName.RECEIVED)

    def note_caller(self, caller: Client) -> None:
        self._caller = caller

    def note_model(self, asked: str | None) -> None:
        self._model = None if asked is None else _shorten(asked)

    def note_purpose(self, purpose: Purpose) -> None:
        self._purpose = purpose

    def note_losses(self, losses: Losses) -> None:
        """``losses`` is the request's own ledger, which grows until the request ends."""
        self._losses = losses

    def note_session(self, key: str) -> None:
        self._session = key[:SESSION_CHARS]

    def note_running(self, end_early: Callable[[CodexdError], None]) -> None:
        """The answer starts; ``end_early`` ends it with an error."""
        self._end_early = end_early

    def note_account(self, account_id: str, label: str, reason: str) -> None:
        """Only a new account or a new reason is a step."""
        chosen = _Account(account_id, label, reason)
        if chosen != self._account:
            self._account = chosen
            self._add_step(self.clock(), StepName.CHOSEN, f"{label}: {reason}")

    def note_waited(self, seconds: float, label: str) -> None:
        """The request waited until a limit of the account ``label`` ended."""
        self._add_step(self.clock(), StepName.WAITED, f"{seconds:.1f} s for {label}")

    def note_token_wait(self, seconds: float) -> None:
        """The request waited for a fresh access token."""
        self._add_step(self.clock(), StepName.TOKEN, f"{seconds:.1f} s")

    def note_model_used(self, model: str) -> None:
        self._model_used = _shorten(model)

    def note_third_party(self, host: str) -> None:
        """The request goes to ``host`` instead of the backend."""
        self._third_party = host

    # -- one attempt ------------------------------------------------------------------------------

    def note_asked(self, model: str, count_output: Callable[[], int]) -> None:
        """An attempt starts. ``count_output`` estimates the tokens of its answer so far."""
        self._count_output = count_output
        self._was_asked, self._heard_at = True, self.clock()
        self._add_step(self._heard_at, StepName.ASKED, _shorten(model))

    def note_connected(self) -> None:
        self._add_step(self.clock(), StepName.CONNECTED)

    def note_sent(self) -> None:
        self.has_first_event = False
        self._add_step(self.clock(), StepName.SENT)

    def note_headers(self, status: int, headers: Mapping[str, str]) -> None:
        self._upstream_status = status
        self._upstream_request_id = headers.get("x-request-id", "")[:MAX_ID_CHARS] or None
        self._heard_at = self.clock()
        self._add_step(self._heard_at, StepName.HEADERS, str(status))

    def note_chunk(self, now: float) -> None:
        """The backend sent something. On the hot path: allocates nothing."""
        silence_s = now - self._heard_at
        if silence_s > self._longest_silence_s:  # noqa: PLR1730 - max() is a call, and a store for each chunk
            self._longest_silence_s = silence_s
        self._heard_at = now

    def note_silence(self) -> None:
        """The backend has sent nothing for some time, which followers can't see by themselves."""
        self._add_step(self.clock(), StepName.SILENT, f"{self.silent_s:.0f} s")

    def note_client_waited(self, now: float) -> None:
        """The silence until ``now`` was due to the client, which did not read."""
        self._heard_at = now

    def note_first_event(self, now: float) -> None:
        self.has_first_event = True
        self._add_step(now, StepName.FIRST_EVENT)

    def note_first_token(self, now: float) -> None:
        """Only the first call counts."""
        if not self.has_first_token:
            self.has_first_token, self._first_token_at = True, now
            self._add_step(now, StepName.FIRST_TOKEN)

    def note_answer(self, usage: Usage | None, stop_reason: str | None) -> None:
        self._usage, self._stop_reason = usage, stop_reason

    def note_retry(self, error: CodexdError, how: str) -> None:
        """Another attempt follows ``error``; ``how`` says how, for example ``at once``."""
        self._retries += 1
        self._add_step(self.clock(), StepName.RETRY, f"{how} after this error: {_say(error)}")

    def _add_step(self, now: float, name: StepName, note: str = "") -> None:
        self._steps.append(Step(self._ms_until(now), name, note))
        self.on_step(self)

    # -- the end ----------------------------------------------------------------------------------

    def note_status(self, status: int) -> None:
        """The HTTP status that the client gets."""
        self._status = status

    def note_failure(self, error: CodexdError) -> None:
        resets_at = error.resets_at if isinstance(error, UpstreamError) else None
        self._failure = _Failure(_say(error), error.kind, resets_at)

    def note_reported(self, status: int, type_: str, message: str) -> None:
        """How the error was reported to the client; ``status`` is 200 if the answer had already started."""
        self._reported = Told(status, type_, redact(without_countdown(message)))

    def note_client_left(self) -> None:
        """The client disconnected, which stops the request unless it has its answer or an error already."""
        was_answered = self._status == 200 and self._stop_reason is not None
        if not was_answered and self._reported is None:
            self._failure = _Failure("the client hung up", CLIENT_LEFT_KIND)

    def finish(self, failure: BaseException | None = None) -> Snapshot:
        """End the record; nothing changes after that. ``failure`` is the exception that ended the request, if any."""
        self._note_outcome(failure)
        if self._status is None:
            self._status = CLIENT_LEFT
        ended = self.clock()
        self._steps.append(Step(self._ms_until(ended), StepName.END))
        self._final = self._take_snapshot(_name_outcome(self._failure), ended)
        self._count_output = self._end_early = None  # they keep the whole answer alive
        self.on_step(self)
        return self._final

    def _note_outcome(self, failure: BaseException | None) -> None:
        """Note the outcome of a request that ended without one."""
        if isinstance(failure, Exception):  # the web server sends the response
            self.note_status(500)
            self.note_failure(InternalError(f"a bug in codexd: {type(failure).__name__}"))
        elif self._status is None and failure is not None:
            self.note_failure(ShuttingDown("codexd stopped before it answered"))
        elif self._status is None and self._failure is None:
            self.note_client_left()

    # -- taking a snapshot ------------------------------------------------------------------------

    def _ms_until(self, moment: float) -> int:
        return round((moment - self.started) * 1000)

    def _take_snapshot(self, state: str, now: float) -> Snapshot:
        account, failure = self._account, self._failure
        elapsed_ms = self._ms_until(now)
        has_answered = self._upstream_status is not None
        is_waited_for = self._was_asked or has_answered
        silent_s = now - self._heard_at if is_waited_for else 0.0
        is_silent = state == "running" and silent_s >= SILENT_S
        info = RequestInfo(
            id=self.id,
            client=self.client,
            model=self._model,
            model_used=self._model_used,
            account=account.label if account else None,
            state=state,
            started_at=self.started_at,
            ttft_ms=None if self._first_token_at is None else self._ms_until(self._first_token_at),
            duration_ms=None if state == "running" else elapsed_ms,
            tokens=self._count_tokens(),
            status=self._status,
            error=failure.message if failure else None,
            losses=tuple(self._losses),
            path=self.path,
            session=self._session,
            account_reason=account.reason if account else None,
            retries=self._retries,
            stop_reason=self._stop_reason,
            upstream_status=self._upstream_status,
            upstream_request_id=self._upstream_request_id,
            longest_silence_ms=round(self._longest_silence_s * 1000) if has_answered else None,
            error_kind=failure.kind if failure else None,
            told=self._reported,
            purpose=self._purpose.value,
            silent_since=self.started_at + self._heard_at - self.started if is_silent else None,
        )
        return Snapshot(
            info,
            method=self.method,
            account_id=account.id if account else None,
            third_party=self._third_party,
            resets_at=failure.resets_at if failure else None,
            losses_reported=self._losses.reported,
            caller=self._caller,
            elapsed_ms=elapsed_ms,
            silent_ms=round(silent_s * 1000) if is_waited_for else None,
            steps=tuple(self._steps),
        )

    def _count_tokens(self) -> TokenCounts | None:
        usage, output = self._usage, self.output_tokens
        if usage is not None:
            return TokenCounts(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
        return TokenCounts(0, 0, output, 0, estimated=True) if output else None


def _name_outcome(failure: _Failure | None) -> str:
    if failure is None:
        return "done"
    return _ENDED_EARLY.get(failure.kind, "failed")


def _say(error: CodexdError) -> str:
    return redact(without_countdown(str(error)))


def _shorten(model: str) -> str:
    return redact(model[:MAX_MODEL_CHARS])
