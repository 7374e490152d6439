"""One request: what it remembers between attempts, and the pump that carries its answer to the client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import trio
from attrs import define, field, frozen

from codexd.accounts.choosing.choose import History
from codexd.accounts.limits.windows import Observation
from codexd.accounts.model import Account
from codexd.record.timeline import RequestRecord
from codexd.translation.client_api import AnswerStream, ClientRequest, Event, State, Target
from codexd.turns.retry import ONCE_A_REQUEST, How
from codexd.upstream.event_source import EventSource

log = logging.getLogger("codexd.turn")

LATE_S = 0.05
"""How long after the end of a limit to wake up: it ends by the wall clock, but sleeping uses the monotonic one."""


class Sink(Protocol):
    """Where the events of the answer go."""

    def emit(self, events: list[Event]) -> None: ...

    @property
    def is_full(self) -> bool:
        """Whether to ``wait_for_room`` before the next ``emit``."""

    async def wait_for_room(self) -> None: ...


@frozen
class Attempt:
    """What one attempt at a request uses, chosen once: ``target`` has the model and the default effort.

    A provider without accounts sets neither ``account`` nor ``token``.
    """

    target: Target
    account: Account | None = None
    token: str = field(default="", repr=False)

    @property
    def model(self) -> str:
        return self.target.model.slug

    @property
    def account_id(self) -> str:
        return self.account.id if self.account else ""

    @property
    def own_account(self) -> Account:
        """The account, for a provider that has accounts."""
        if self.account is None:
            raise TypeError("this attempt has no account")
        return self.account


@define
class Turn:
    """What one request remembers between its attempts."""

    request: ClientRequest
    request_id: str
    record: RequestRecord
    sink: Sink
    session: str = field(init=False)
    history: History = field(factory=History)
    retries: set[tuple[str, How]] = field(factory=set)
    """The retries so far, each with the id of the account that had failed."""
    rejected: dict[str, str] = field(factory=dict, repr=False)
    """By account id, the access token that the backend refused."""
    observation: Observation | None = None
    """What the headers of the last answer reported about the rate limits."""
    answer_headers: Mapping[str, str] = field(factory=dict)
    """The headers of the backend's last answer."""
    stream: AnswerStream | None = None

    @session.default
    def _name_session(self) -> str:
        return self.request.session_key

    @property
    def has_begun(self) -> bool:
        """Whether part of the answer has gone to the client."""
        return self.stream is not None and self.stream.state is not State.WAITING

    @property
    def is_answered(self) -> bool:
        return self.stream is not None and self.stream.state is State.ENDED

    @property
    def keeps_reasoning(self) -> bool:
        return all(how is not How.WITHOUT_REASONING for _, how in self.retries)

    def tried_on(self, account_id: str) -> frozenset[How]:
        """The retries that must not be repeated with this account."""
        tried = {how for failed_id, how in self.retries if failed_id == account_id or how in ONCE_A_REQUEST}
        if account_id in self.history.waited:  # the wait may have been before the first attempt
            tried.add(How.AFTER_WAIT)
        return frozenset(tried)


async def wait_for_limit(turn: Turn, account: Account, wait_s: float) -> None:
    """Wait until a short limit of the account has ended."""
    turn.history.waited.add(account.id)
    log.info("waiting %.1f s for a short limit", wait_s, extra={"fields": {"account": account.label}})
    await trio.sleep(wait_s + LATE_S)
    turn.record.note_waited(wait_s, account.label)


async def pump(
    turn: Turn, source: EventSource, relay_events: Callable[[list[Event]], None], now: Callable[[], float]
) -> None:
    """Carry the whole answer to the client as fast as the client reads it; ``now`` is the record's clock."""
    with source.watched():
        while not source.terminated and not turn.is_answered:
            relay_events(await source.receive_events())
            if turn.sink.is_full and not turn.is_answered:
                with source.paused():
                    await turn.sink.wait_for_room()
                turn.record.note_client_waited(now())


def relay(turn: Turn, stream: AnswerStream, events: list[Event], *, now: float, at: float) -> None:
    """Translate the events of one upstream chunk and pass them on together.

    ``now`` is in seconds since the epoch, ``at`` is the same moment on the record's clock.
    """
    made: list[Event] = []
    record = turn.record
    record.note_chunk(at)
    if not record.has_first_event and events:
        record.note_first_event(at)
    try:
        for event in events:
            made += stream.receive_event(event, now=now)
    finally:  # events that precede a failure in the same chunk are sent before it
        if made:
            if not record.has_first_token:
                record.note_first_token(at)
            turn.sink.emit(made)
