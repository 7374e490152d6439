"""Asking the backend what is left of an account's limits: on demand, while an account cools down, and now and then."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import trio
from attrs import Factory, define

from codexd.accounts.asking import ask_backend
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.windows import Limits, parse_usage
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, UpstreamError, UpstreamFailed

log = logging.getLogger("codexd.limits")

START_DELAY_S = 5.0
"""After the first refreshes."""

CADENCE_S = 15 * 60.0
COOLDOWN_CADENCE_S = 45.0
"""For an account that is waited for: with its limit lifted, it serves again within a minute."""

WANTED_S = 15 * 60.0
"""So long after it was last asked for, an account counts as waited for."""

RECHECK_S = 30.0
SHORTEST_SLEEP_S, LONGEST_SLEEP_S = 1.0, 15.0
"""A refusal, a switch or a jump of the wall clock is noticed at least this often."""


class Endpoint(Protocol):
    """What answers: ``upstream.account.AccountEndpoint``."""

    async def fetch_usage(self, account: Account, token: str) -> dict[str, Any]: ...


Document = dict[str, Any]


@define(eq=False)
class _Flight:
    """A question under way; without an outcome at the end, its asker was cancelled."""

    done: trio.Event = Factory(trio.Event)
    outcome: Document | AccountError | UpstreamError | None = None

    def result(self) -> Document:
        """Each waiter gets an exception of its own: a shared one would collect their tracebacks."""
        if isinstance(self.outcome, Exception):
            raise copy.copy(self.outcome)
        assert self.outcome is not None  # noqa: S101 - for mypy; askers look first
        return self.outcome


class UsagePoller:
    """Keeps the tracker true. ``clock`` is the wall clock, in seconds since the epoch."""

    def __init__(
        self,
        store: AccountStore,
        refresher: Refresher,
        tracker: LimitTracker,
        endpoint: Endpoint,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._tracker = tracker
        self._endpoint = endpoint
        self._clock = clock
        self._flights: dict[str, _Flight] = {}
        self._asked_at: dict[str, float] = {}
        self._wanted_at: dict[str, float] = {}

    async def check(self, account_id: str) -> Limits:
        """The account's limits, asked for now; the tracker knows them too when this returns.

        Raises:
            AccountError: there is no such account, or no token for it.
            UpstreamError: the backend refused, or gave no usable answer.
        """
        await self.fetch(account_id)
        return self._tracker.limits(account_id)

    async def fetch(self, account_id: str) -> Document:
        """The usage endpoint's own document; otherwise like ``check``. However many ask, one question is under way."""
        while flight := self._flights.get(account_id):
            await flight.done.wait()
            if flight.outcome is not None:
                return flight.result()
        return await self._fly(account_id)

    async def recheck(self, account_id: str) -> None:
        """Look whether the account's cooldown still holds, unless that was asked a moment ago. Never raises for it."""
        cooldowns, now = self._tracker.cooldowns(account_id), self._clock()
        if not cooldowns:
            return
        checked_at = max(cooldown.checked_at for cooldown in cooldowns)
        if account_id in self._flights or abs(now - checked_at) > RECHECK_S:  # abs: a wall clock may be set back
            await self._try_check(account_id)

    def note_wanted(self, account_id: str) -> None:
        """A request would have used this account."""
        self._wanted_at[account_id] = self._clock()

    async def run(self) -> None:
        """Ask for what grows old, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    if self._seconds_until_due(account) == 0:
                        nursery.start_soon(self._try_check, account.id)
            pause_s = min([LONGEST_SLEEP_S, *map(self._seconds_until_due, self._store.accounts)])
            await trio.sleep(max(SHORTEST_SLEEP_S, pause_s))

    async def _fly(self, account_id: str) -> Document:
        flight = self._flights[account_id] = _Flight()
        try:
            flight.outcome = await self._fetch(account_id)
        except (AccountError, UpstreamError) as error:
            flight.outcome = error
        finally:
            del self._flights[account_id]
            flight.done.set()
        return flight.result()

    async def _fetch(self, account_id: str) -> Document:
        self._asked_at[account_id] = self._clock()
        self._tracker.note_checked(account_id)
        document = await ask_backend(self._store, self._refresher, account_id, self._endpoint.fetch_usage)
        observation = parse_usage(document, self._clock())
        if observation is None:
            raise UpstreamFailed("the backend's usage document says nothing of the limits", status=200)
        self._tracker.fold(account_id, observation)
        return document

    async def _try_check(self, account_id: str) -> None:
        try:
            await self.check(account_id)
        except (AccountError, UpstreamError) as error:
            log.info("no figures from the usage endpoint: %s", error, extra={"fields": {"account": account_id}})

    def _seconds_until_due(self, account: Account) -> float:
        """How long until the account is to be asked about; 0.0 when it is now."""
        if account.disabled or account.needs_login is not None:
            return LONGEST_SLEEP_S
        now = self._clock()
        if cooldowns := self._tracker.cooldowns(account.id):
            wanted_at = max([self._wanted_at.get(account.id, 0.0), *(cooldown.since for cooldown in cooldowns)])
            cadence_s = COOLDOWN_CADENCE_S if abs(now - wanted_at) <= WANTED_S else CADENCE_S
            return _seconds_left(cadence_s, [cooldown.checked_at for cooldown in cooldowns], now)
        active = self._store.active
        if active is None or active.id != account.id:
            return LONGEST_SLEEP_S
        known_at = self._tracker.fetched_at(account.id) or 0.0
        return _seconds_left(CADENCE_S, [known_at, self._asked_at.get(account.id, 0.0)], now)


def _seconds_left(cadence_s: float, known_at: Iterable[float], now: float) -> float:
    """How long until the cadence asks again. A moment ahead of ``now`` does not count: the wall clock was set back."""
    latest = max((at for at in known_at if at <= now), default=0.0)
    return max(0.0, latest + cadence_s - now)
