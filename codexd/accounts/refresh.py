"""Fresh access tokens: one refresh at a time for each account, however many requests wait for it.

A refresh retires the refresh token that it presents, so the new one must reach the disk whatever happens to the
request that started it: a refresh is shielded from cancellation, and bounded by the token endpoint's own timeout.

A followed login belongs to another program, which alone refreshes it: if two did, it would die for both. codexd only
reads the file again. The Codex CLI rewrites its file in place, so for a moment it holds half a login.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio
from attrs import frozen

from codexd.accounts.login import SIGN_IN, find_other_owner, needs_login
from codexd.accounts.model import Account, RefreshReason, RefreshReply, Tokens
from codexd.accounts.single_flight import SingleFlight
from codexd.accounts.store.store import AccountStore
from codexd.errors import (
    AccountError,
    AccountNeedsLogin,
    AccountNotFound,
    FollowedLoginStale,
    RefreshUnavailable,
    TokenRejected,
)
from codexd.translation.wire_errors import say_duration, say_until

log = logging.getLogger("codexd.refresh")

MARGIN_S = 300.0
"""An access token is refreshed when it has no more than this left, as in the Codex CLI."""

JITTER_S = 60.0
"""Each token is due up to this much earlier, so that accounts added together don't stay in step."""

LAST_RESORT_S = 30.0
"""An access token that can't be refreshed is still used if it has more than this left."""

START_DELAY_S, MIN_SLEEP_S = 2.0, 10.0
MAX_SLEEP_S = 60.0
"""The monotonic clock stops while a laptop sleeps, so the wall clock is checked at least this often."""

FIRST_BACK_OFF_S, MAX_BACK_OFF_S = 5.0, 300.0

FOLLOWED_RETRY_FOR_S = 1.0
"""For how long an unreadable followed file is retried: it may be half written."""

FOLLOWED_RETRY_EVERY_S = 0.01
STALE_ADVICE = "Run any `codex` command there, which refreshes it, or sign in here with `codexctl accounts add`."

T = TypeVar("T")


class RefreshEndpoint(Protocol):
    """``sign_in.server.TokenEndpoint``."""

    async def refresh(self, refresh_token: str, reason: RefreshReason) -> RefreshReply: ...
    async def revoke(self, refresh_token: str) -> bool: ...


def seconds_until_refresh(expires_at: float, now: float) -> float:
    """Seconds until a token that expires at ``expires_at`` is due for a refresh; 0.0 if it is due now."""
    return max(0.0, expires_at - MARGIN_S - now)


def back_off_s(failures: int) -> float:
    """How long to wait after this number of failures in a row."""
    return min(MAX_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 10))


@frozen
class Outage:
    """Refreshes that failed: how many in a row, when the scheduler tries again, and why the last one failed."""

    failures: int
    retry_at: float
    problem: str


class Refresher:
    """Hands out access tokens and keeps them fresh, also for disabled accounts: they may be enabled at any time.

    ``clock`` returns seconds since the epoch, ``jitter`` seconds from 0 to ``JITTER_S``.
    """

    def __init__(
        self,
        store: AccountStore,
        endpoint: RefreshEndpoint,
        clock: Callable[[], float],
        jitter: Callable[[], float] = lambda: random.uniform(0, JITTER_S),  # noqa: S311 - no secret
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._jitter = jitter
        self._drawn: dict[str, tuple[str, float]] = {}
        """By account id, the access token and the jitter drawn for it."""
        self._refreshes: SingleFlight[str] = SingleFlight()
        """The refreshes under way; each returns the access token."""
        self._outages: dict[str, Outage] = {}
        self._unsaved: dict[str, RefreshReply] = {}
        """Replies that could not be written to disk, by the refresh token that each one retired."""

    async def ask(self, account_id: str, request: Callable[[Account, str], Awaitable[T]]) -> T:
        """Ask the backend about an account: ``request`` gets the account and its access token.

        If the backend refuses the token, it is refreshed and the request sent once more.

        Raises:
            AccountError: the account does not exist or was removed in the meantime, or there is no token for it.
            UpstreamError: the backend refused, or its answer is not usable.
        """
        token = await self.fresh_token(account_id)
        try:
            answer = await request(self._store.get(account_id), token)
        except TokenRejected:
            token = await self.fresh_token(account_id, rejected=token)
            answer = await request(self._store.get(account_id), token)
        self._store.get(account_id)  # raises if the account was removed in the meantime
        return answer

    async def fresh_token(self, account_id: str, *, rejected: str | None = None) -> str:
        """An access token that can be used for a request. ``rejected`` is a token that the backend has just refused.

        Raises:
            AccountNotFound
            AccountNeedsLogin: only the user can fix it.
            FollowedLoginStale: only the program that owns the login can fix it.
            RefreshUnavailable: it can't be refreshed now; the login is intact.
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
        """Refresh the account's token even if it is not due, or wait for the refresh under way.

        For a followed login, read its file again.

        Raises:
            As ``fresh_token``.
        """
        tokens = self._held_tokens(account_id)
        if self._refreshes.is_under_way(account_id):
            await self._join(account_id)
        else:
            is_own = tokens is not None and self._store.get(account_id).followed is None
            await self._begin(account_id, tokens.access_token if tokens and is_own else None, RefreshReason.PROACTIVE)
        if explained := self.explain_withdrawn(account_id):
            raise AccountNeedsLogin(explained)

    async def run(self) -> None:
        """Refresh every account's token before it expires, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    nursery.start_soon(self._refresh_if_due, account)
            await trio.sleep(self._pause_s())

    def outage(self, account_id: str) -> Outage | None:
        """What is known if the account's last refresh failed."""
        return self._outages.get(account_id)

    def explain_withdrawn(self, account_id: str) -> str | None:
        """If the account's refresh token was withdrawn: until when the login works, and why, in full sentences."""
        account = self._store.get(account_id)
        if account.withdrawn is None:
            return None
        until = say_until(self._store.tokens(account_id).expires_at, self._clock())
        return f"The login of {account.label} can't be renewed; it ends {until}. {account.withdrawn}"

    def _held_tokens(self, account_id: str) -> Tokens | None:
        """The account's tokens as last read; None for a followed login that has not been read yet.

        If the login is dead, only its file is read again; the server is not asked.
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
        """The token from the refresh under way, or from a new one."""
        while self._refreshes.is_under_way(account_id):
            if (token := await self._join(account_id)) != rejected:
                return token
        reason = RefreshReason.PROACTIVE if rejected is None else RefreshReason.UNAUTHORIZED
        token = await self._begin(account_id, rejected, reason)
        if token == rejected:
            raise RefreshUnavailable("The sign-in server returned the same refused access token. Try again later.")
        return token

    async def _join(self, account_id: str) -> str:
        token = await self._refreshes.join(account_id)
        if token is None:
            raise RefreshUnavailable("The refresh was interrupted. Try again.")
        return token

    async def _begin(self, account_id: str, rejected: str | None, reason: RefreshReason) -> str:
        return await self._refreshes.run(account_id, self._attempt(account_id, rejected, reason))

    async def _attempt(self, account_id: str, rejected: str | None, reason: RefreshReason) -> str:
        """One refresh, which is completed even if the request that needs it is cancelled."""
        try:
            with trio.CancelScope(shield=True):
                token = await self._refresh(account_id, rejected, reason)
        except RefreshUnavailable as error:
            raise self._note_outage(account_id, error) from None
        self._outages.pop(account_id, None)
        return token

    async def _refresh(self, account_id: str, rejected: str | None, reason: RefreshReason) -> str:
        """A fresh token from the file, where another program may have put one, or from the server."""
        if self._store.get(account_id).followed is not None:
            return await self._read_followed(account_id, rejected)
        tokens = self._store.reload(account_id)
        if self._is_fresh(account_id, tokens, rejected):
            return tokens.access_token
        used, withdrawn = tokens.refresh_token, self._store.get(account_id).withdrawn
        if withdrawn is not None:
            return self._use_to_its_end(account_id, withdrawn, reason)
        try:
            reply = self._unsaved.get(used) or await self._request_tokens(account_id, used, reason)
        except AccountNeedsLogin as error:
            if self._store.reload(account_id).refresh_token == used:
                return self._use_to_its_end(account_id, str(error), reason)
        else:
            saved = self._save(account_id, used, reply)
            if reply.access_token in (None, saved.access_token):
                return self._check(account_id, saved)
        # Another program or a sign-in has changed the tokens in the meantime.
        return await self._refresh(account_id, rejected, reason)

    def _use_to_its_end(self, account_id: str, why: str, reason: RefreshReason) -> str:
        """The access token of a login whose refresh token no longer works, as long as the backend accepts it.

        Raises:
            AccountNeedsLogin: it has expired, or the backend has refused it.
        """
        account, tokens = self._store.get(account_id), self._store.tokens(account_id)
        is_usable = reason is RefreshReason.PROACTIVE and self._is_last_resort(tokens, None)
        if not is_usable or account.withdrawn is None:
            self._store.mark_needs_login(account_id, why, at_expiry=is_usable)
            text = self.explain_withdrawn(account_id) or f"the login is dead: {why}"
            log.warning("%s", text, extra={"fields": {"account": account.label}})
        if not is_usable:
            raise needs_login(account, why)
        return tokens.access_token

    async def _request_tokens(self, account_id: str, used: str, reason: RefreshReason) -> RefreshReply:
        """New tokens from the server, checked to belong to this account.

        If the account was removed in the meantime, they are revoked: its removal could only revoke the old ones.
        """
        reply = await self._endpoint.refresh(used, reason)
        try:
            account = self._store.get(account_id)
        except AccountNotFound:
            if reply.refresh_token is not None:
                await self._endpoint.revoke(reply.refresh_token)
            raise
        other_owner = find_other_owner(account, reply)
        if other_owner is not None:
            raise AccountNeedsLogin(
                f"The sign-in server returned the login of another account ({other_owner}), which was discarded. "
                f"{SIGN_IN}"
            )
        return reply

    def _save(self, account_id: str, used: str, reply: RefreshReply) -> Tokens:
        """Write the tokens before they are used. An unwritable reply stays in memory: it comes only once."""
        try:
            saved = self._store.save_tokens(account_id, reply, now=self._clock(), retired=used)
        except OSError as error:
            self._unsaved[used] = reply
            raise RefreshUnavailable(f"The new tokens could not be written to disk: {error.strerror}.") from None
        self._unsaved.pop(used, None)
        return saved

    def _check(self, account_id: str, saved: Tokens) -> str:
        if saved.expires_at <= self._clock():
            raise RefreshUnavailable("The sign-in server returned no valid access token. Try again later.")
        log.info("refreshed the access token", extra={"fields": {"account": self._label(account_id)}})
        return saved.access_token

    def _note_outage(self, account_id: str, error: RefreshUnavailable) -> RefreshUnavailable:
        """Back off; return the error with the account's name added."""
        known = self._outages.get(account_id)
        failures = known.failures + 1 if known else 1
        self._outages[account_id] = Outage(failures, self._clock() + back_off_s(failures), str(error))
        label = self._label(account_id)
        log.warning("refresh failed: %s", error, extra={"fields": {"account": label, "failures": failures}})
        return RefreshUnavailable(f"The login of {label} could not be refreshed. {error}")

    def _label(self, account_id: str) -> str:
        return self._store.get(account_id).label

    async def _refresh_if_due(self, account: Account) -> None:
        """Failures are logged where they happen, and the next round tries again.

        A followed file is read every time, due or not: its owner may rotate the tokens at any time.
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
        """How long to sleep: until the next account is due, between ``MIN_SLEEP_S`` and ``MAX_SLEEP_S``."""
        due = [
            self._seconds_until_due(account.id, self._store.tokens(account.id))
            for account in self._store.accounts
            if account.needs_login is None and not self._is_backing_off(account.id)
        ]
        now = self._clock()
        due += [outage.retry_at - now for outage in self._outages.values() if outage.retry_at > now]
        return max(MIN_SLEEP_S, min([MAX_SLEEP_S, *due]))

    async def _read_followed(self, account_id: str, rejected: str | None) -> str:
        """The access token in the followed file, if it can be used.

        Raises:
            AccountNotFound
            FollowedLoginStale: its owner has to refresh it; the login itself may be fine.
            AccountNeedsLogin: the file can't be read, or holds another account.
        """
        account = self._store.get(account_id)
        tokens = await self._reload_patiently(account_id, rejected)
        owner = f"codexd only reads this login from {account.followed}. {STALE_ADVICE}"
        if tokens.access_token == rejected:
            raise FollowedLoginStale(f"The backend refused the access token of {account.label}. {owner}")
        expired_for_s = self._clock() - tokens.expires_at
        if expired_for_s >= 0:
            raise FollowedLoginStale(
                f"The access token of {account.label} expired {say_duration(expired_for_s)} ago. {owner}"
            )
        return tokens.access_token

    async def _reload_patiently(self, account_id: str, rejected: str | None) -> Tokens:
        """The tokens in the file. If it stays unreadable, the tokens last read, as long as they are usable."""
        with trio.move_on_after(FOLLOWED_RETRY_FOR_S):
            while True:
                try:
                    return self._store.reload(account_id)
                except AccountNeedsLogin:
                    await trio.sleep(FOLLOWED_RETRY_EVERY_S)
        tokens = self._store.tokens(account_id)
        is_usable = tokens.access_token != rejected and tokens.expires_at > self._clock()
        return tokens if is_usable else self._store.reload(account_id)
