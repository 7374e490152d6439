"""One turn with the backend: account, token, translation, and another attempt where one may help.

An attempt is repeated only while nothing of its answer has gone to the client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
from attrs import define, field, frozen

from codexd.accounts.choose import choose_account
from codexd.accounts.limits import Observation, parse_event, parse_headers
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store import AccountStore
from codexd.accounts.tracker import LimitTracker
from codexd.errors import AccountNeedsLogin, EmptyAnswer, ModelRefused, RequestInvalid, StaleReasoning, TokenRejected
from codexd.record.requests import RequestLog, RequestRecord
from codexd.settings import Settings
from codexd.translation.messages.blocks import Event
from codexd.translation.messages.reasoning import tag_account
from codexd.translation.messages.request import MessagesRequest, to_responses
from codexd.translation.messages.stream import MessagesStream, State
from codexd.translation.messages.tokens import count_body
from codexd.translation.models import Route, route, without_refused
from codexd.upstream.codex import CodexBackend

log = logging.getLogger("codexd.turn")


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

    request: MessagesRequest
    request_id: str
    record: RequestRecord
    tells_refusals: bool
    sink: Sink
    keep_reasoning: bool = True
    token: str = field(default="", repr=False)
    rejected_token: str | None = field(default=None, repr=False)
    saw_empty_answer: bool = False
    stream: MessagesStream | None = None

    @property
    def unanswered(self) -> bool:
        return self.stream is None or self.stream.state is State.WAITING


@frozen
class TurnRunner:
    """Runs turns. ``clock`` gives seconds since the epoch."""

    settings: Settings
    store: AccountStore
    refresher: Refresher
    tracker: LimitTracker
    backend: CodexBackend
    requests: RequestLog
    clock: Callable[[], float]
    _names: Mapping[str, tuple[str, ...]] = field(init=False)
    _refused: set[tuple[str, str]] = field(factory=set)
    """(account id, model) that the backend said it does not serve, until the daemon restarts."""

    @_names.default
    def _read_names(self) -> Mapping[str, tuple[str, ...]]:
        names = attrs.asdict(self.settings.models)
        del names["aliases"]
        return names

    async def run(self, turn: Turn) -> None:
        """Answer ``turn`` through its sink.

        Raises:
            CodexdError: nothing more can be tried.
        """
        while True:
            account = choose_account(self.store.active, self.store.accounts)
            turn.record.account = account.label
            model = self.choose_model(turn.request, account)
            try:
                await self._attempt(turn, account, model)
            except TokenRejected as error:
                self._check_repeat(turn, turn.rejected_token is None, error, account)
                turn.rejected_token = turn.token  # not the stored one, which another request may have refreshed
                log.info("the backend refused the access token; refreshing it", extra=_about(turn, account))
            except StaleReasoning as error:
                self._check_repeat(turn, turn.keep_reasoning, error, account)
                turn.keep_reasoning = False
                log.info("the backend refused earlier reasoning; sending without it", extra=_about(turn, account))
            except ModelRefused as error:
                self._refused.add((account.id, model))
                self._check_repeat(turn, self.choose_model(turn.request, account) != model, error, account)
                log.warning("the backend does not serve %s; trying the next", model, extra=_about(turn, account))
            except EmptyAnswer as error:
                if turn.saw_empty_answer:
                    raise
                turn.saw_empty_answer = True
                log.info("%s; asking once more", error, extra=_about(turn, account))
            else:
                return

    def find_route(self, request: MessagesRequest) -> Route:
        return route(request.model, self._names, self.settings.models.aliases)

    def choose_model(self, request: MessagesRequest, account: Account | None) -> str:
        """The first model of the request's route that the backend has not refused to ``account``."""
        refused = {model for account_id, model in self._refused if account and account_id == account.id}
        return without_refused(self.find_route(request).candidates, refused)[0]

    def default_effort(self, request: MessagesRequest) -> str | None:
        effort: str | None = getattr(self.settings.reasoning, self.find_route(request).family or "", None)
        return effort

    async def _attempt(self, turn: Turn, account: Account, model: str) -> None:
        turn.record.model_used = model
        turn.token = await self.refresher.fresh_token(account.id, rejected=turn.rejected_token)
        tag = tag_account(account.chatgpt_account_id)
        body = to_responses(
            turn.request,
            model=model,
            account_tag=tag,
            default_effort=self.default_effort(turn.request),
            keep_reasoning=turn.keep_reasoning,
        )
        if self.settings.translation.strict:
            _refuse_drops(turn.request)
        turn.stream = MessagesStream(
            message_id=to_message_id(turn.request_id),
            model=turn.request.model,
            upstream_model=model,
            account_tag=tag,
            tool_names=turn.request.tool_names,
            thinking=turn.request.thinking,
            tells_refusals=turn.tells_refusals,
            stop_sequences=turn.request.stop_sequences,
            max_tokens=turn.request.max_tokens,
            web_search_only=turn.request.web_search_only,
            blocked_domains=turn.request.blocked_domains,
            speed="fast" if "service_tier" in body else None,
            count_input=lambda: count_body(body),
        )
        self.store.touch(account.id, self.clock())
        async with self.backend.respond(
            body, account=account, token=turn.token, session_id=body["prompt_cache_key"]
        ) as source:
            self._observe(account, parse_headers(source.headers, self.clock()))
            with source.watched():
                while not source.terminated and turn.stream.state is not State.ENDED:
                    self._relay(turn, turn.stream, account, await source.receive_events())
                    if turn.sink.is_full:
                        with source.paused():
                            await turn.sink.wait_for_room()
            turn.record.usage = turn.stream.usage
            if source.terminated:
                await source.read_tail()
        if turn.stream.is_empty and not turn.request.stream:
            raise EmptyAnswer("the backend completed an empty answer", status=200)

    def _relay(self, turn: Turn, stream: MessagesStream, account: Account, events: list[Event]) -> None:
        """The events of one upstream chunk, translated, to the client in one piece."""
        made: list[Event] = []
        now = self.clock()
        try:
            for event in events:
                if event["type"] == "codex.rate_limits":
                    self._observe(account, parse_event(event, now))
                made += stream.receive_event(event, now=now)
        finally:  # what came before a failure in the same chunk goes out before it
            if made:
                turn.record.note_first_token(self.requests.now())
                turn.sink.emit(made)

    def _observe(self, account: Account, observation: Observation | None) -> None:
        if observation is not None:
            self.tracker.observe(account.id, observation)

    def _check_repeat(self, turn: Turn, worthwhile: bool, error: Exception, account: Account) -> None:
        if worthwhile and turn.unanswered:
            return
        if isinstance(error, TokenRejected):
            raise AccountNeedsLogin(
                f"the backend refuses the login of {account.label} ({error}); "
                "run `codex login`, then `codexctl accounts import`"
            ) from error
        raise error


def to_message_id(request_id: str) -> str:
    return f"msg_{request_id.removeprefix('req_')}"


def _refuse_drops(request: MessagesRequest) -> None:
    loss = request.losses.first_dropped
    if loss is not None:
        raise RequestInvalid(loss.path, f"would be dropped ({loss.note}); the setting translation.strict refuses that")


def _about(turn: Turn, account: Account) -> dict[str, object]:
    return {"request": turn.request_id, "fields": {"account": account.label}}
