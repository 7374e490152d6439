"""Picks the account of each request, by the rules in ``choose``.

A cooldown is a hint. Without rotation every request goes to the backend anyway, and the client gets its refusal. With
rotation the usage endpoint is asked once more before a request is refused because all accounts are in cooldown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from codexd.accounts.choosing.choose import (
    SHORT_LIMIT_S,
    Candidate,
    Choice,
    History,
    Rotation,
    Strategy,
    add_failure,
    choose_account,
)
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.model import Account
from codexd.accounts.store.store import AccountStore
from codexd.errors import AllAccountsLimited
from codexd.settings.schema import RotationSettings

RECHECK_S = 5.0
"""How long to wait for the usage endpoint before a request is refused."""

ModelOf = Callable[[Account], str]
"""Returns the upstream model that the request would use on an account."""


class Poller(Protocol):
    """``usage_poll.UsagePoller``."""

    def note_wanted(self, account_id: str) -> None: ...

    async def recheck(self, account_id: str) -> None: ...


class AccountPicker:
    """``rotation`` returns the current settings, ``clock`` seconds since the epoch."""

    def __init__(
        self,
        rotation: Callable[[], RotationSettings],
        store: AccountStore,
        tracker: LimitTracker,
        sessions: Sessions,
        poller: Poller,
        clock: Callable[[], float],
    ) -> None:
        self.sessions = sessions
        self._rotation = rotation
        self._store = store
        self._tracker = tracker
        self._poller = poller
        self._clock = clock
        self._active: str | None = None
        """The active account as last seen: when the user switches, the sessions move to the new one."""
        self._last: str | None = None
        """The account that the latest new session was given."""

    @property
    def rotates(self) -> bool:
        """Whether the user has opted in to rotation."""
        return self._strategy is not None

    @property
    def _strategy(self) -> Strategy | None:
        rotation = self._rotation()
        return Strategy(rotation.strategy) if rotation.enabled else None

    async def pick(self, session: str, model_of: ModelOf, history: History) -> Choice:
        """The account for the next attempt at a request, and how long to wait before it.

        Args:
            session: the key of the request's session.
            model_of: returns the model that the request would use on an account.
            history: what the request has been through.

        Raises:
            AccountError: no account can be used.
            AllAccountsLimited: says when each account is available again.
            CodexdError: the last account's error, if there is none left to try.
        """
        try:
            return self._choose(session, model_of, history)
        except AllAccountsLimited:
            await self._recheck(model_of)
            return self._choose(session, model_of, history)

    def available_in_s(self, account: Account, model: str) -> float:
        """Seconds until the account is available again for the model; 0.0 if it is available now."""
        cooldown = self._tracker.cooldown(account.id, model)
        return max(0.0, cooldown.until - self._clock()) if cooldown else 0.0

    def _choose(self, session: str, model_of: ModelOf, history: History) -> Choice:
        """Choose an account and note that the session uses it."""
        if self._strategy is None:
            choice = self._choose_active(model_of, history)
        else:
            choice = self._rotate(self._strategy, session, model_of, history)
        self._poller.note_wanted(choice.account.id)
        self.sessions.put(session, choice.account.id, self._clock())
        return choice

    def _choose_active(self, model_of: ModelOf, history: History) -> Choice:
        account = choose_account(self._store.active, self._store.accounts)
        wait_s = self.available_in_s(account, model_of(account))
        waits = wait_s <= SHORT_LIMIT_S and account.id not in history.waited
        return Choice(account, "active account", wait_s if waits else 0.0)

    def _rotate(self, strategy: Strategy, session: str, model_of: ModelOf, history: History) -> Choice:
        self._follow_switch()
        candidates = [self._look_at(account, model_of(account)) for account in self._store.accounts]
        for candidate in candidates:
            if candidate.available_at is not None:
                self._poller.note_wanted(candidate.account.id)
        kept = self.sessions.kept_account(session)
        choice = Rotation(strategy, kept, self._last, self._active).choose(candidates, history, self._clock())
        if choice.account.id != kept:
            self._last = choice.account.id
        return add_failure(choice, candidates, history)

    def _follow_switch(self) -> None:
        active = self._store.active
        if active is None or active.id == self._active:
            return
        if self._active is not None:
            self.sessions.release()
            self._last = None
        self._active = active.id

    def _look_at(self, account: Account, model: str) -> Candidate:
        now = self._clock()
        cooldown = self._tracker.cooldown(account.id, model)
        tightest = self._tracker.limits(account.id).tightest(now)
        return Candidate(
            account,
            available_at=cooldown.until if cooldown else None,
            limited_model=cooldown.model if cooldown else None,
            left_percent=100.0 - tightest.used_percent if tightest else 100.0,
        )

    async def _recheck(self, model_of: ModelOf) -> None:
        """Ask the usage endpoint about every account in cooldown: the quota may be back early."""
        candidates = [self._look_at(account, model_of(account)) for account in self._store.accounts]
        with trio.move_on_after(RECHECK_S):
            async with trio.open_nursery() as nursery:
                for candidate in candidates:
                    if candidate.is_usable and candidate.available_at is not None:
                        nursery.start_soon(self._poller.recheck, candidate.account.id)
