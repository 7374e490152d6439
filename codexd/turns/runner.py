"""Runs a turn: one attempt after another, until the answer is complete or nothing more can be tried."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import trio
from attrs import field, frozen

from codexd.errors import (
    AccountError,
    BackendSilent,
    CodexdError,
    ContextOverflow,
    EmptyAnswer,
    RequestInvalid,
    SchemaRefused,
    StillSilent,
    UpstreamError,
    UpstreamRejected,
)
from codexd.record.requests import RequestLog
from codexd.settings.schema import Settings
from codexd.translation.backend import needs_answer, text_of
from codexd.translation.backend_errors import (
    MEDIA_PARTS,
    describe_schema,
    find_largest_image,
    find_part,
    gives_no_reason,
)
from codexd.translation.client_api import AnswerStream, ClientRequest, Event
from codexd.translation.tokens import count_body
from codexd.turns.provider import Provider
from codexd.turns.retry import GiveUp, How, Retry, Streaks, decide
from codexd.turns.turn import Attempt, Turn, pump, relay, wait_for_limit

log = logging.getLogger("codexd.turn")

SILENCE_LASTS_S = 15 * 60.0
"""A client repeats a request that got no answer within minutes; what comes later is a new question."""

SUSPECT_IMAGE_BYTES = 4_000_000
"""The backend refuses images of more than some megabytes without a reason; clients may leave such a one out."""


@frozen
class TurnRunner:
    """``settings`` returns the current settings, ``clock`` seconds since the epoch.

    The first of the ``providers`` that serves a model name gets the request; the last one serves every name.
    """

    settings: Callable[[], Settings]
    providers: tuple[Provider, ...]
    requests: RequestLog
    clock: Callable[[], float]
    silences: Streaks = field(factory=lambda: Streaks(SILENCE_LASTS_S))
    """By session, the requests that got no answer at all."""

    async def run(self, turn: Turn) -> None:
        """Answer ``turn`` through its sink.

        Raises:
            CodexdError: nothing more can be tried.
        """
        provider = self._find_provider(turn.request.model)
        turn.record.note_session(turn.session)
        while True:
            attempt = await provider.choose(turn)
            try:
                attempt = await provider.authorize(turn, attempt)
                await self._try(turn, provider, attempt)
            except (AccountError, UpstreamError) as error:
                await self._recover(turn, provider, attempt, error)
            else:
                self.silences.end(turn.session)
                return

    def count_input(self, request: ClientRequest) -> int:
        """The tokens of ``request`` in the form in which it would be sent now."""
        return count_body(request.to_backend(self._find_provider(request.model).target_for(request.model)))

    def _find_provider(self, asked: str) -> Provider:
        return next(provider for provider in self.providers if provider.serves(asked))

    async def _try(self, turn: Turn, provider: Provider, attempt: Attempt) -> None:
        request, record = turn.request, turn.record
        body = request.to_backend(attempt.target)
        adapted = provider.adapt(body, attempt, request.losses)
        if self.settings().translation.strict:
            refuse_drops(request)
        stream = turn.stream = request.open_stream(body, attempt.target, turn.request_id)
        record.note_asked(attempt.model, partial(getattr, stream, "output_tokens"))
        async with provider.send(turn, attempt, body, adapted) as source:
            await pump(turn, source, partial(self._relay, turn, stream, provider, attempt), self.requests.now)
            record.note_answer(stream.usage, stream.stop_reason)
            provider.note_answer(turn, attempt, body)
            if source.terminated:
                await source.read_tail()
        if stream.is_empty and not request.stream and needs_answer(body):
            raise EmptyAnswer(f"{source.name} completed an empty answer", status=200)

    def _relay(
        self, turn: Turn, stream: AnswerStream, provider: Provider, attempt: Attempt, events: list[Event]
    ) -> None:
        now = self.clock()
        provider.note_events(attempt, events, now)
        relay(turn, stream, events, now=now, at=self.requests.now())

    async def _recover(
        self, turn: Turn, provider: Provider, attempt: Attempt, failure: AccountError | UpstreamError
    ) -> None:
        """Prepare another attempt after ``failure``.

        Raises:
            CodexdError: the error for the client, if another attempt would not help.
        """
        error = provider.note_failure(turn, attempt, failure)
        context = provider.retry_context(turn, attempt)
        decision = GiveUp() if context is None else decide(error, context)
        if isinstance(decision, GiveUp):
            raise await _complete(self._count_silence(error, turn), turn, attempt)
        _remember(turn, attempt, error, decision)
        if decision.how is How.AFTER_WAIT and attempt.account is not None:
            await wait_for_limit(turn, attempt.account, decision.wait_s)
        else:
            await trio.sleep(decision.wait_s)
        turn.record.note_retry(error, decision.description)
        about = {"request": turn.request_id, "fields": {"account": attempt.account and attempt.account.label}}
        level = logging.WARNING if decision.changes_account else logging.INFO
        log.log(level, "%s; trying again %s (%s)", error, decision.description, error.kind, extra=about)

    def _count_silence(self, error: CodexdError, turn: Turn) -> CodexdError:
        """``error``; for a session that got no answer before either, one that its client shows instead of retrying."""
        if not isinstance(error, BackendSilent) or self.silences.add(turn.session, self.clock()).count == 1:
            return error
        final = StillSilent(str(error), status=error.status)
        final.add_hint("It is not the first time in this conversation. Try again later.")
        return final


def _remember(turn: Turn, attempt: Attempt, error: CodexdError, decision: Retry) -> None:
    turn.retries.add((attempt.account_id, decision.how))
    match decision.how:
        case How.FRESH_TOKEN:
            # Not the stored token: another request may have refreshed it in the meantime.
            turn.rejected[attempt.account_id] = attempt.token
        case How.OTHER_ACCOUNT:
            turn.history.failed[attempt.account_id] = error


async def _complete(error: CodexdError, turn: Turn, attempt: Attempt) -> CodexdError:
    """``error`` with what the request says about it.

    That is its size if it is a context overflow, which clients use to compact, and the name of a tool or the place of
    an image that was refused.
    """
    match error:
        case SchemaRefused():
            return describe_schema(error, turn.request.to_backend(attempt.target), turn.request.tool_names)
        case ContextOverflow():
            error.window_tokens = attempt.target.model.context_window
            body = turn.request.to_backend(attempt.target)
            error.prompt_tokens = await trio.to_thread.run_sync(count_body, body)
        case UpstreamRejected():
            _locate(error, turn.request, attempt)
    return error


def _locate(error: UpstreamRejected, request: ClientRequest, attempt: Attempt) -> None:
    body = request.to_backend(attempt.target)
    part = find_part(body, error.param)
    if gives_no_reason(error):
        largest, size_bytes = find_largest_image(body)
        if size_bytes:
            error.add_hint(
                f"It gave no reason. The largest image of the request has {size_bytes / 1_000_000:.1f} MB, which may "
                "be too much for it: send a smaller one."
            )
        part = largest if size_bytes > SUSPECT_IMAGE_BYTES else part
    error.medium = MEDIA_PARTS.get(text_of(part.get("type")), error.medium)
    error.path = request.locate(part) if error.medium else None


def refuse_drops(request: ClientRequest) -> None:
    """Refuse a request that lost a field in translation.

    Raises:
        RequestInvalid: names the first dropped field.
    """
    loss = request.losses.first_dropped
    if loss is not None:
        raise RequestInvalid(loss.path, f"would be dropped ({loss.note}); the setting translation.strict forbids that")
