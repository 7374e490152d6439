"""One turn with the backend: account, token, translation, and another attempt where one may help.

An attempt is repeated only while nothing of its answer has gone to the client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from attrs import define, evolve, field, frozen

from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.choose import needs_login
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.choosing.rotation import LIMIT_ERRORS, Attempts
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.windows import Observation, parse_event, parse_headers
from codexd.accounts.login import SIGN_IN
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.store import AccountStore
from codexd.errors import (
    AccountError,
    AccountNotFound,
    EmptyAnswer,
    ModelRefused,
    RequestInvalid,
    StaleReasoning,
    TokenRejected,
    UpstreamError,
)
from codexd.record.requests import RequestLog
from codexd.record.timeline import RequestRecord
from codexd.settings.schema import Settings
from codexd.translation.client_api import AnswerStream, Body, ClientRequest, Event, State, Target
from codexd.translation.models.routes import Route, route
from codexd.translation.reading.reasoning import tag_account
from codexd.translation.tokens import count_body
from codexd.upstream.codex import CodexBackend, EventSource

log = logging.getLogger("codexd.turn")

AT_ONCE_S = 0.001
"""A token that took longer was fetched; one that is held is there at once."""


class Sink(Protocol):
    """Where the events of the answer go."""

    def emit(self, events: list[Event]) -> None: ...

    @property
    def is_full(self) -> bool:
        """Whether to ``wait_for_room`` before the next ``emit``."""

    async def wait_for_room(self) -> None: ...


@define
class Turn:
    """What one request needs to remember between attempts."""

    request: ClientRequest
    request_id: str
    record: RequestRecord
    sink: Sink
    session: str = field(init=False)
    attempts: Attempts = field(factory=Attempts)
    keep_reasoning: bool = True
    token: str = field(default="", repr=False)
    rejected: dict[str, str] = field(factory=dict, repr=False)
    """By account id, the access token that the backend refused."""
    observation: Observation | None = None
    """What the headers of the last answer said of the limits."""
    saw_empty_answer: bool = False
    answer_headers: Mapping[str, str] = field(factory=dict)
    """Those of the backend's last answer."""
    stream: AnswerStream | None = None

    @session.default
    def _name_session(self) -> str:
        return self.request.session_key

    @property
    def unanswered(self) -> bool:
        return self.stream is None or self.stream.state is State.WAITING

    @property
    def answered(self) -> bool:
        return self.stream is not None and self.stream.state is State.ENDED


class ThirdParty(Protocol):
    """Answers the model names that lead to no account."""

    def serves(self, asked: str) -> bool: ...

    def aim(self) -> Target: ...

    async def run(self, turn: Turn) -> None: ...


@frozen
class TurnRunner:
    """Runs turns.

    ``settings`` gives those that hold now, ``clock`` seconds since the epoch.
    """

    settings: Callable[[], Settings]
    store: AccountStore
    picker: AccountPicker
    refresher: Refresher
    tracker: LimitTracker
    backend: CodexBackend
    requests: RequestLog
    catalogues: Catalogues
    third_party: ThirdParty
    clock: Callable[[], float]

    async def run(self, turn: Turn) -> None:
        """Answer ``turn`` through its sink.

        Raises:
            CodexdError: nothing more can be tried.
        """
        if self.third_party.serves(turn.request.model):
            await self.third_party.run(turn)
            return
        turn.record.note_session(turn.session)
        while True:
            choice = await self.picker.pick(turn.session, partial(self.choose_model, turn.request.model), turn.attempts)
            account, model = choice.account, self.choose_model(turn.request.model, choice.account)
            if choice.wait_s:
                turn.record.note_waited(choice.wait_s, account.label)
            turn.record.note_account(account.id, account.label, choice.reason)
            try:
                await self._attempt(turn, account, model)
            except (AccountError, UpstreamError) as error:
                await self._recover(turn, account, model, error)
            else:
                return

    def find_route(self, asked: str, account: Account | None) -> Route:
        models = self.settings().models
        return route(asked, models.families, models.aliases, self.catalogues.of(account))

    def choose_model(self, asked: str, account: Account | None) -> str:
        """The model of the route of ``asked`` that the account is offered and was not refused."""
        return self.catalogues.of(account).choose(self.find_route(asked, account).candidates)

    def aim(self, asked: str, account: Account | None, model: str | None = None) -> Target:
        """Where a request for the model ``asked`` goes through ``account``; to ``model`` if that is chosen."""
        if self.third_party.serves(asked):
            return self.third_party.aim()
        family = self.find_route(asked, account).family
        return Target(
            model=self.catalogues.of(account).describe(model or self.choose_model(asked, account)),
            account_tag=tag_account(account.chatgpt_account_id) if account else "",
            default_effort=getattr(self.settings().reasoning, family or "", None),
        )

    def count_input(self, request: ClientRequest) -> int:
        """The tokens of ``request`` as the active account's model would get it."""
        return count_body(request.to_responses(self.aim(request.model, self.store.active)))

    async def _attempt(self, turn: Turn, account: Account, model: str) -> None:
        turn.record.note_model_used(model)
        turn.token = await self._fetch_token(turn, account)
        target = evolve(self.aim(turn.request.model, account, model), keep_reasoning=turn.keep_reasoning)
        body = turn.request.to_responses(target)
        if self.settings().translation.strict:
            refuse_drops(turn.request)
        turn.stream = turn.request.open_stream(body, target, turn.request_id)
        turn.record.note_asked(model, partial(getattr, turn.stream, "output_tokens"))
        self.store.touch(account.id, self.clock())
        async with self.backend.respond(
            body,
            account=account,
            token=turn.token,
            headers={"session-id": body["prompt_cache_key"], **turn.request.headers},
            on_headers=partial(self._read_headers, turn, account),
            progress=turn.record,
        ) as source:
            self._observe(account, turn.observation)
            await pump(turn, source, partial(self._relay, turn, turn.stream, account), self.requests.now)
            self._note_usage(turn, turn.stream, body)
            if source.terminated:
                await source.read_tail()
        if turn.stream.is_empty and not turn.request.stream:
            raise EmptyAnswer("the backend completed an empty answer", status=200)

    async def _fetch_token(self, turn: Turn, account: Account) -> str:
        asked_at = self.requests.now()
        token = await self.refresher.fresh_token(account.id, rejected=turn.rejected.get(account.id))
        waited_s = self.requests.now() - asked_at
        if waited_s > AT_ONCE_S:
            turn.record.note_token_wait(waited_s)
        return token

    def _relay(self, turn: Turn, stream: AnswerStream, account: Account, events: list[Event]) -> None:
        now = self.clock()
        for event in events:
            if event["type"] == "codex.rate_limits":
                self._observe(account, parse_event(event, now))
        relay(turn, stream, events, now=now, at=self.requests.now())

    def _observe(self, account: Account, observation: Observation | None) -> None:
        if observation is not None:
            self.tracker.observe(account.id, observation)

    def _read_headers(self, turn: Turn, account: Account, headers: Mapping[str, str]) -> None:
        turn.answer_headers = headers
        self.catalogues.note_etag(account.id, headers.get("x-models-etag"))
        turn.observation = parse_headers(headers, self.clock())

    def _note_usage(self, turn: Turn, stream: AnswerStream, body: Body) -> None:
        turn.record.note_answer(stream.usage, stream.stop_reason)
        if stream.usage is not None:
            reasoning_items = sum(item.get("type") == "reasoning" for item in body["input"])
            self.picker.sessions.note_size(
                turn.session, input_tokens=stream.usage.input_tokens, reasoning_items=reasoning_items
            )

    # -- another attempt --------------------------------------------------------------------------

    async def _recover(self, turn: Turn, account: Account, model: str, error: AccountError | UpstreamError) -> None:
        """Make ready for another attempt after ``error``.

        Raises:
            CodexdError: what the client is to get, when none may help.
        """
        if isinstance(error, LIMIT_ERRORS):
            self.tracker.note_refusal(account.id, error, model=model, observation=turn.observation)
        elif isinstance(error, ModelRefused):
            self.catalogues.note_refused(account.id, model)
        if self._may_repeat(turn, account, error):
            log.info("%s; trying once more (%s)", error, error.kind, extra=_about(turn, account))
            turn.record.note_retry(error, "at once")
            return
        if isinstance(error, TokenRejected):
            error = needs_login(account, f"The backend refuses it ({error}). {SIGN_IN}")
        if not turn.unanswered:
            raise error
        await self._wait_or_raise(turn, account, model, error)
        turn.record.note_retry(error, "with an account that is open")
        log.warning("%s; trying again with an account that is open", error, extra=_about(turn, account))

    async def _wait_or_raise(
        self, turn: Turn, account: Account, model: str, error: AccountError | UpstreamError
    ) -> None:
        failed_at, waits = self.requests.now(), len(turn.attempts.waited)
        await self.picker.recover(account, model, error, turn.attempts)
        if len(turn.attempts.waited) > waits:
            turn.record.note_waited(self.requests.now() - failed_at, account.label)

    def _may_repeat(self, turn: Turn, account: Account, error: AccountError | UpstreamError) -> bool:
        """Whether the same account may be asked again, and if so how differently: once for each cause."""
        match error:
            case EmptyAnswer() if not turn.saw_empty_answer:
                turn.saw_empty_answer = True
            case _ if not turn.unanswered:
                return False
            case TokenRejected() if account.id not in turn.rejected:
                turn.rejected[account.id] = turn.token  # not the stored one: another request may have refreshed it
            case StaleReasoning() if turn.keep_reasoning:
                turn.keep_reasoning = False
            case ModelRefused():
                return self.choose_model(turn.request.model, account) not in self.catalogues.of(account).refused
            case AccountNotFound():  # removed a moment ago
                return all(account.id != other.id for other in self.store.accounts)
            case _:
                return False
        return True


async def pump(
    turn: Turn, source: EventSource, relay_events: Callable[[list[Event]], None], now: Callable[[], float]
) -> None:
    """The whole answer to the client, as fast as it reads; ``now`` is the record's clock."""
    with source.watched():
        while not source.terminated and not turn.answered:
            relay_events(await source.receive_events())
            if turn.sink.is_full and not turn.answered:
                with source.paused():
                    await turn.sink.wait_for_room()
                turn.record.note_client_waited(now())


def relay(turn: Turn, stream: AnswerStream, events: list[Event], *, now: float, at: float) -> None:
    """The events of one upstream chunk, translated, to the client in one piece.

    ``now`` is seconds since the epoch, ``at`` the same moment by the record's clock.
    """
    made: list[Event] = []
    record = turn.record
    record.note_chunk(at)
    if events and not record.has_first_event:
        record.note_first_event(at)
    try:
        for event in events:
            made += stream.receive_event(event, now=now)
    finally:  # what came before a failure in the same chunk goes out before it
        if made:
            if not record.has_first_token:
                record.note_first_token(at)
            turn.sink.emit(made)


def refuse_drops(request: ClientRequest) -> None:
    """Let nothing pass that lost a field.

    Raises:
        RequestInvalid: names the first that was dropped.
    """
    loss = request.losses.first_dropped
    if loss is not None:
        raise RequestInvalid(loss.path, f"would be dropped ({loss.note}); the setting translation.strict refuses that")


def _about(turn: Turn, account: Account) -> dict[str, object]:
    return {"request": turn.request_id, "fields": {"account": account.label}}
