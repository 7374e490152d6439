"""Asks the backend what is left of an account's limits: on demand, during a cooldown, and every 15 minutes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import trio

from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.windows import Limits, parse_usage
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.single_flight import SingleFlight
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, UpstreamError, UpstreamFailed

log = logging.getLogger("codexd.limits")

START_DELAY_S = 5.0
"""Late enough to come after the first token refreshes."""

CADENCE_S = 15 * 60.0
COOLDOWN_CADENCE_S = 45.0
"""For an account that requests want to use: once its limit is lifted, it serves again within a minute."""

WANTED_S = 15 * 60.0
"""How long after the last request that would have used it an account counts as wanted."""

RECHECK_S = 30.0
MIN_SLEEP_S, MAX_SLEEP_S = 1.0, 15.0
"""A refusal, a switch or a jump of the wall clock is noticed within ``MAX_SLEEP_S``."""


class UsageEndpoint(Protocol):
    """``upstream.account.AccountEndpoint``."""

    async def fetch_usage(self, account: Account, token: str) -> dict[str, Any]: ...


UsageDocument = dict[str, Any]


class UsagePoller:
    """Keeps the tracker up to date. ``clock`` returns seconds since the epoch."""

    def __init__(
        self,
        store: AccountStore,
        refresher: Refresher,
        tracker: LimitTracker,
        endpoint: UsageEndpoint,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._tracker = tracker
        self._endpoint = endpoint
        self._clock = clock
        self._fetches: SingleFlight[UsageDocument] = SingleFlight()
        self._asked_at: dict[str, float] = {}
        self._wanted_at: dict[str, float] = {}

    async def check(self, account_id: str) -> Limits:
        """Fetch the account's limits now; when this returns, the tracker has them too.

        Raises:
            AccountError: there is no such account, or no token for it.
            UpstreamError: the backend refused, or its answer is not usable.
        """
        await self.fetch(account_id)
        return self._tracker.limits(account_id)

    async def fetch(self, account_id: str) -> UsageDocument:
        """Like ``check``, but returns the usage endpoint's own document. Concurrent callers share one request."""
        while self._fetches.is_under_way(account_id):
            document = await self._fetches.join(account_id)
            if document is not None:
                return document
        return await self._fetches.run(account_id, self._fetch(account_id))

    async def recheck(self, account_id: str) -> None:
        """Check whether the account's cooldown still applies, unless it was checked recently. Failures are logged."""
        cooldowns, now = self._tracker.cooldowns(account_id), self._clock()
        if not cooldowns:
            return
        checked_at = max(cooldown.checked_at for cooldown in cooldowns)
        is_old = abs(now - checked_at) > RECHECK_S  # abs: a wall clock may be set back
        if is_old or self._fetches.is_under_way(account_id):
            await self._try_check(account_id)

    def note_wanted(self, account_id: str) -> None:
        """Note that a request would have used this account."""
        self._wanted_at[account_id] = self._clock()

    async def run(self) -> None:
        """Refresh figures that have become old, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    if self._seconds_until_due(account) == 0:
                        nursery.start_soon(self._try_check, account.id)
            pause_s = min([MAX_SLEEP_S, *map(self._seconds_until_due, self._store.accounts)])
            await trio.sleep(max(MIN_SLEEP_S, pause_s))

    async def _fetch(self, account_id: str) -> UsageDocument:
        self._asked_at[account_id] = self._clock()
        self._tracker.note_checked(account_id)
        document = await self._refresher.ask(account_id, self._endpoint.fetch_usage)
        observation = parse_usage(document, self._clock())
        if observation is None:
            raise UpstreamFailed("the backend's usage document does not mention any limits", status=200)
        self._tracker.fold(account_id, observation)
        return document

    async def _try_check(self, account_id: str) -> None:
        try:
            await self.check(account_id)
        except (AccountError, UpstreamError) as error:
            log.info(
                "could not fetch the usage: %s", error, extra={"fields": {"account": self._tracker.name_of(account_id)}}
            )

    def _seconds_until_due(self, account: Account) -> float:
        """Seconds until the account is due for a check; 0.0 if it is due now."""
        if account.disabled or account.needs_login is not None:
            return MAX_SLEEP_S
        now = self._clock()
        if cooldowns := self._tracker.cooldowns(account.id):
            wanted_at = max([self._wanted_at.get(account.id, 0.0), *(cooldown.since for cooldown in cooldowns)])
            cadence_s = COOLDOWN_CADENCE_S if abs(now - wanted_at) <= WANTED_S else CADENCE_S
            return _seconds_left(cadence_s, [cooldown.checked_at for cooldown in cooldowns], now)
        active = self._store.active
        if active is None or active.id != account.id:
            return MAX_SLEEP_S
        known_at = self._tracker.fetched_at(account.id) or 0.0
        return _seconds_left(CADENCE_S, [known_at, self._asked_at.get(account.id, 0.0)], now)


def _seconds_left(cadence_s: float, known_at: Iterable[float], now: float) -> float:
    """Seconds until ``cadence_s`` has passed. A time after ``now`` does not count: the wall clock was set back."""
    latest = max((at for at in known_at if at <= now), default=0.0)
    return max(0.0, latest + cadence_s - now)
