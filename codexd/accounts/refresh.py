"""Fresh access tokens: one refresh at a time for each account, however many requests wait for it.

A refresh retires the refresh token that it presents, so the new one must reach the disk whatever becomes of the
request that began it: a refresh is shielded from cancellation, and bounded by the token endpoint's own time limit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import trio
from attrs import Factory, define, frozen

from codexd.accounts.choose import needs_login
from codexd.accounts.model import Account, RefreshReply, Tokens
from codexd.accounts.store import AccountStore
from codexd.errors import AccountError, AccountNeedsLogin, RefreshUnavailable

log = logging.getLogger("codexd.refresh")

MARGIN_S = 300.0
"""An access token with no more than this left is refreshed; the Codex CLI does the same."""

LAST_RESORT_S = 30.0
"""With more than this left, an access token still serves when it can't be refreshed."""

START_DELAY_S = 2.0
LONGEST_SLEEP_S = 60.0
"""The monotonic clock stands still while a laptop sleeps, so look at the wall clock at least this often."""

SHORTEST_SLEEP_S = 10.0
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 5.0, 300.0


class Endpoint(Protocol):
    """What refreshes a token: ``oauth.TokenEndpoint``."""

    async def refresh(self, refresh_token: str) -> RefreshReply: ...


def seconds_until_refresh(expires_at: float, now: float) -> float:
    """How long until a token that ends at ``expires_at`` is due; 0.0 when it is."""
    return max(0.0, expires_at - MARGIN_S - now)


def back_off_s(failures: int) -> float:
    """How long to wait after the ``failures``-th failure in a row."""
    return min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 10))


@define(eq=False)
class _Flight:
    """A refresh under way, and what came of it."""

    done: trio.Event = Factory(trio.Event)
    outcome: str | AccountError = Factory(lambda: RefreshUnavailable("The refresh broke off; try again."))

    def result(self) -> str:
        """The access token. Each waiter gets an exception of its own: a shared one would collect their tracebacks."""
        if isinstance(self.outcome, str):
            return self.outcome
        raise type(self.outcome)(str(self.outcome))


@frozen
class _Outage:
    """Failures in a row, and when to try again on our own account."""

    failures: int
    retry_at: float


class Refresher:
    """Hands out access tokens and keeps them fresh. ``clock`` is the wall clock, in seconds since the epoch."""

    def __init__(self, store: AccountStore, endpoint: Endpoint, clock: Callable[[], float]) -> None:
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._flights: dict[str, _Flight] = {}
        self._outages: dict[str, _Outage] = {}
        self._unsaved: dict[str, RefreshReply] = {}
        """Replies that the disk would not take, by the refresh token that each of them retired."""

    async def fresh_token(self, account_id: str, *, rejected: str | None = None) -> str:
        """An access token that is good for a request; ``rejected`` is one that the backend has just refused.

        Raises:
            AccountNotFound
            AccountNeedsLogin: only the user can mend it.
            RefreshUnavailable: not now; the login is intact.
        """
        tokens = self._living_tokens(account_id)
        if self._is_fresh(tokens, rejected):
            return tokens.access_token
        if self._is_backing_off(account_id) and self._is_last_resort(tokens, rejected):
            return tokens.access_token
        try:
            return await self._refreshed(account_id, rejected)
        except RefreshUnavailable:
            tokens = self._store.tokens(account_id)
            if not self._is_last_resort(tokens, rejected):
                raise
            return tokens.access_token

    async def run(self) -> None:
        """Refresh every account's token before it ends, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    nursery.start_soon(self._refresh_if_due, account)
            await trio.sleep(self._pause_s())

    def _living_tokens(self, account_id: str) -> Tokens:
        """The account's tokens; a dead account's file is looked at again, and the server is not asked."""
        if self._store.get(account_id).needs_login is None:
            return self._store.tokens(account_id)
        tokens = self._store.reload(account_id)
        account = self._store.get(account_id)
        if account.needs_login is not None:
            raise needs_login(account, account.needs_login)
        return tokens

    def _is_fresh(self, tokens: Tokens, rejected: str | None) -> bool:
        return tokens.access_token != rejected and seconds_until_refresh(tokens.expires_at, self._clock()) > 0

    def _is_last_resort(self, tokens: Tokens, rejected: str | None) -> bool:
        return tokens.access_token != rejected and tokens.expires_at - self._clock() > LAST_RESORT_S

    def _is_backing_off(self, account_id: str) -> bool:
        outage = self._outages.get(account_id)
        return outage is not None and self._clock() < outage.retry_at

    async def _refreshed(self, account_id: str, rejected: str | None) -> str:
        """The outcome of the refresh under way, or of one that begins here."""
        while flight := self._flights.get(account_id):
            await flight.done.wait()
            if (token := flight.result()) != rejected:
                return token
        token = await self._fly(account_id, rejected)
        if token == rejected:
            raise RefreshUnavailable("The sign-in server gave the refused access token again; try again later.")
        return token

    async def _fly(self, account_id: str, rejected: str | None) -> str:
        flight = self._flights[account_id] = _Flight()
        try:
            with trio.CancelScope(shield=True):
                flight.outcome = await self._refresh(account_id, rejected)
            self._outages.pop(account_id, None)
        except RefreshUnavailable as error:
            flight.outcome = self._note_outage(account_id, error)
        except AccountError as error:
            log.warning("the login is dead: %s", error)
            flight.outcome = error
        finally:
            del self._flights[account_id]
            flight.done.set()
        return flight.result()

    async def _refresh(self, account_id: str, rejected: str | None) -> str:
        """A fresh token out of the file, where another program may have put one, or from the server."""
        tokens = self._store.reload(account_id)
        while not self._is_fresh(tokens, rejected):
            try:
                return await self._exchange(account_id, tokens)
            except AccountNeedsLogin as error:
                latest = self._store.reload(account_id)
                if latest == tokens:
                    self._store.mark_needs_login(account_id, str(error))
                    raise needs_login(self._store.get(account_id), str(error)) from None
                tokens = latest  # another program refreshed at the same moment and won
        return tokens.access_token

    async def _exchange(self, account_id: str, tokens: Tokens) -> str:
        """Trade the refresh token in. A reply that could not be written is kept, as its like is not to be had again."""
        used = tokens.refresh_token
        reply = self._unsaved.get(used) or await self._endpoint.refresh(used)
        try:
            saved = self._store.save_tokens(account_id, reply, now=self._clock())
        except OSError as error:
            self._unsaved[used] = reply
            raise RefreshUnavailable(f"The new tokens could not be written to disk: {error.strerror}.") from None
        self._unsaved.pop(used, None)
        if saved.expires_at <= self._clock():
            raise RefreshUnavailable("The sign-in server gave no access token that is still good; try again later.")
        log.info("refreshed the access token", extra={"fields": {"account": self._store.get(account_id).label}})
        return saved.access_token

    def _note_outage(self, account_id: str, error: RefreshUnavailable) -> RefreshUnavailable:
        """Back off, and tell which account it is about."""
        known = self._outages.get(account_id)
        failures = known.failures + 1 if known else 1
        self._outages[account_id] = _Outage(failures, self._clock() + back_off_s(failures))
        label = self._store.get(account_id).label
        log.warning("refresh failed: %s", error, extra={"fields": {"account": label, "failures": failures}})
        return RefreshUnavailable(f"The login of {label} could not be refreshed. {error}")

    async def _refresh_if_due(self, account: Account) -> None:
        """What goes wrong is logged where it happens, and the next round tries again."""
        if self._is_backing_off(account.id):
            return
        try:
            await self.fresh_token(account.id)
        except AccountError as error:
            log.debug("no fresh token: %s", error, extra={"fields": {"account": account.label}})

    def _pause_s(self) -> float:
        """Until the first account is due, within bounds."""
        now = self._clock()
        due = [
            seconds_until_refresh(self._store.tokens(account.id).expires_at, now)
            for account in self._store.accounts
            if account.needs_login is None and not self._is_backing_off(account.id)
        ]
        due += [outage.retry_at - now for outage in self._outages.values() if outage.retry_at > now]
        return max(SHORTEST_SLEEP_S, min([LONGEST_SLEEP_S, *due]))
