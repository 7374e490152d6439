"""Fresh access tokens: one refresh at a time for each account, however many requests wait for it.

A refresh retires the refresh token that it presents, so the new one must reach the disk whatever becomes of the
request that began it: a refresh is shielded from cancellation, and bounded by the token endpoint's own time limit.
A followed login is never refreshed here, only read again (``followed.py``).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Protocol

import trio
from attrs import Factory, define, frozen

from codexd.accounts.choosing.choose import needs_login
from codexd.accounts.followed import read_followed_token
from codexd.accounts.login import SIGN_IN
from codexd.accounts.model import Account, RefreshReply, Tokens
from codexd.accounts.store.entries import find_stranger
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, AccountNeedsLogin, AccountNotFound, RefreshUnavailable

log = logging.getLogger("codexd.refresh")

MARGIN_S = 300.0
"""An access token with no more than this left is refreshed; the Codex CLI does the same."""

JITTER_S = 60.0
"""Each token is due up to this much earlier: the accounts of one start are not refreshed in one moment for ever."""

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
    async def revoke(self, refresh_token: str) -> bool: ...


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
    """Hands out access tokens and keeps them fresh, those of disabled accounts too: they may be enabled any time.

    ``clock`` is the wall clock, in seconds since the epoch; ``jitter`` gives seconds, from 0 to ``JITTER_S``.
    """

    def __init__(
        self,
        store: AccountStore,
        endpoint: Endpoint,
        clock: Callable[[], float],
        jitter: Callable[[], float] = lambda: random.uniform(0, JITTER_S),  # noqa: S311 - no secret
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._jitter = jitter
        self._drawn: dict[str, tuple[str, float]] = {}
        """By account, its access token and the jitter drawn for it."""
        self._flights: dict[str, _Flight] = {}
        self._outages: dict[str, _Outage] = {}
        self._unsaved: dict[str, RefreshReply] = {}
        """Replies that the disk would not take, by the refresh token that each of them retired."""

    async def fresh_token(self, account_id: str, *, rejected: str | None = None) -> str:
        """An access token that is good for a request; ``rejected`` is one that the backend has just refused.

        Raises:
            AccountNotFound
            AccountNeedsLogin: only the user can mend it.
            FollowedLoginStale: only the program that owns the login can.
            RefreshUnavailable: not now; the login is intact.
        """
        tokens = self._held_tokens(account_id)
        if tokens is not None and self._is_fresh(account_id, tokens, rejected):
            return tokens.access_token
        if tokens is not None and self._is_backing_off(account_id) and self._is_last_resort(tokens, rejected):
            return tokens.access_token
        try:
            return await self._refreshed(account_id, rejected)
        except RefreshUnavailable:
            tokens = self._store.tokens(account_id)
            if not self._is_last_resort(tokens, rejected):
                raise
            return tokens.access_token

    async def refresh_now(self, account_id: str) -> None:
        """Refresh the account's token, however long it still has; the file of a followed login is read again.

        A refresh under way counts as this one.

        Raises:
            As ``fresh_token``.
        """
        tokens = self._held_tokens(account_id)
        if flight := self._flights.get(account_id):
            await flight.done.wait()
            flight.result()
        elif tokens is None or self._store.get(account_id).followed is not None:
            await self._fly(account_id, None)
        else:
            await self._fly(account_id, tokens.access_token)

    async def run(self) -> None:
        """Refresh every account's token before it ends, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    nursery.start_soon(self._refresh_if_due, account)
            await trio.sleep(self._pause_s())

    def _held_tokens(self, account_id: str) -> Tokens | None:
        """The account's tokens as last read; None for a followed login that has yet to be read.

        A dead account's file is looked at again, and the server is not asked.
        """
        account = self._store.get(account_id)
        if account.followed is not None:
            return self._last_read(account_id)
        if account.needs_login is None:
            return self._store.tokens(account_id)
        tokens = self._store.reload(account_id)
        account = self._store.get(account_id)
        if account.needs_login is not None:
            raise needs_login(account, account.needs_login)
        return tokens

    def _last_read(self, account_id: str) -> Tokens | None:
        try:
            return self._store.tokens(account_id)
        except AccountNeedsLogin:
            return None

    def _is_fresh(self, account_id: str, tokens: Tokens, rejected: str | None) -> bool:
        return tokens.access_token != rejected and self._seconds_until_due(account_id, tokens) > 0

    def _seconds_until_due(self, account_id: str, tokens: Tokens) -> float:
        token, jitter_s = self._drawn.get(account_id, (None, 0.0))
        if token != tokens.access_token:
            jitter_s = self._jitter()
            self._drawn[account_id] = tokens.access_token, jitter_s
        return seconds_until_refresh(tokens.expires_at - jitter_s, self._clock())

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
            flight.outcome = error
        finally:
            del self._flights[account_id]
            flight.done.set()
        return flight.result()

    async def _refresh(self, account_id: str, rejected: str | None) -> str:
        """A fresh token out of the file, where another program may have put one, or from the server."""
        if self._store.get(account_id).followed is not None:
            return await read_followed_token(self._store, account_id, rejected=rejected, clock=self._clock)
        tokens = self._store.reload(account_id)
        if self._is_fresh(account_id, tokens, rejected):
            return tokens.access_token
        used = tokens.refresh_token
        try:
            reply = self._unsaved.get(used) or await self._ask(account_id, used)
        except AccountNeedsLogin as error:
            if self._store.reload(account_id).refresh_token == used:
                log.warning("the login is dead: %s", error, extra={"fields": {"account": self._label(account_id)}})
                self._store.mark_needs_login(account_id, str(error))
                raise needs_login(self._store.get(account_id), str(error)) from None
        else:
            saved = self._save(account_id, used, reply)
            if reply.access_token in (None, saved.access_token):
                return self._check(account_id, saved)
        return await self._refresh(account_id, rejected)  # meanwhile another program, or a sign-in, put other tokens

    async def _ask(self, account_id: str, used: str) -> RefreshReply:
        """New tokens of this account, and of no other.

        Those of an account that was removed meanwhile are revoked: its removal could end only the ones before.
        """
        reply = await self._endpoint.refresh(used)
        try:
            account = self._store.get(account_id)
        except AccountNotFound:
            if reply.refresh_token is not None:
                await self._endpoint.revoke(reply.refresh_token)
            raise
        stranger = find_stranger(account, reply)
        if stranger is not None:
            raise AccountNeedsLogin(
                f"The sign-in server answered with the login of another account ({stranger}), which was not kept. "
                f"{SIGN_IN}"
            )
        return reply

    def _save(self, account_id: str, used: str, reply: RefreshReply) -> Tokens:
        """Write before use. A reply that could not be written is kept, as its like is not to be had again."""
        try:
            saved = self._store.save_tokens(account_id, reply, now=self._clock(), retired=used)
        except OSError as error:
            self._unsaved[used] = reply
            raise RefreshUnavailable(f"The new tokens could not be written to disk: {error.strerror}.") from None
        self._unsaved.pop(used, None)
        return saved

    def _check(self, account_id: str, saved: Tokens) -> str:
        if saved.expires_at <= self._clock():
            raise RefreshUnavailable("The sign-in server gave no access token that is still good; try again later.")
        log.info("refreshed the access token", extra={"fields": {"account": self._label(account_id)}})
        return saved.access_token

    def _note_outage(self, account_id: str, error: RefreshUnavailable) -> RefreshUnavailable:
        """Back off, and tell which account it is about."""
        known = self._outages.get(account_id)
        failures = known.failures + 1 if known else 1
        self._outages[account_id] = _Outage(failures, self._clock() + back_off_s(failures))
        label = self._label(account_id)
        log.warning("refresh failed: %s", error, extra={"fields": {"account": label, "failures": failures}})
        return RefreshUnavailable(f"The login of {label} could not be refreshed. {error}")

    def _label(self, account_id: str) -> str:
        return self._store.get(account_id).label

    async def _refresh_if_due(self, account: Account) -> None:
        """What goes wrong is logged where it happens, and the next round tries again.

        A followed file is read every time, due or not: its owner says nothing when it rotates the tokens.
        """
        if self._is_backing_off(account.id):
            return
        try:
            if account.followed is not None:
                await self.refresh_now(account.id)
            else:
                await self.fresh_token(account.id)
        except AccountError as error:
            log.debug("not refreshed: %s", error, extra={"fields": {"account": account.label}})

    def _pause_s(self) -> float:
        """Until the first account is due, within bounds."""
        due = [
            self._seconds_until_due(account.id, self._store.tokens(account.id))
            for account in self._store.accounts
            if account.needs_login is None and not self._is_backing_off(account.id)
        ]
        now = self._clock()
        due += [outage.retry_at - now for outage in self._outages.values() if outage.retry_at > now]
        return max(SHORTEST_SLEEP_S, min([LONGEST_SLEEP_S, *due]))
