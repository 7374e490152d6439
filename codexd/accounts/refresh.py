"""Fresh access tokens: one refresh at a time for each account, however many requests wait for it.

A refresh retires the refresh token that it presents, so the new one must reach the disk whatever happens to the
request that started it: a refresh is shielded from cancellation, and bounded by the token endpoint's own timeout. For
the same reason the server is not asked before there is room on the disk for its answer.

While the server fails, nobody asks it before ``outages`` allows it: a valid token serves, and a request that needs a
new one is refused at once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import trio

from codexd.accounts.followed import read_followed_token
from codexd.accounts.login import SIGN_IN, find_other_owner, needs_login
from codexd.accounts.model import Account, RefreshReason, RefreshReply, Tokens
from codexd.accounts.outages import BackOff, RefreshOutages
from codexd.accounts.single_flight import SingleFlight
from codexd.accounts.store.store import AccountStore
from codexd.errors import (
    AccountError,
    AccountNeedsLogin,
    AccountNotFound,
    AlreadyRunning,
    LoginNotSavable,
    RefreshUnavailable,
    TokenRejected,
)
from codexd.files import ReservedSpace, explain
from codexd.translation.wire_errors import say_until

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

T = TypeVar("T")


class RefreshEndpoint(Protocol):
    """``sign_in.server.TokenEndpoint``. It updates ``back_off``."""

    @property
    def back_off(self) -> BackOff: ...

    async def refresh(self, refresh_token: str, reason: RefreshReason) -> RefreshReply: ...
    async def revoke(self, refresh_token: str) -> bool: ...


def seconds_until_refresh(expires_at: float, now: float) -> float:
    """Seconds until a token that expires at ``expires_at`` is due for a refresh; 0.0 if it is due now."""
    return max(0.0, expires_at - MARGIN_S - now)


def make_back_off() -> BackOff:
    return BackOff(lambda: random.uniform(-1, 1))  # noqa: S311 - no secret


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
        make_back_off: Callable[[], BackOff] = make_back_off,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._jitter = jitter
        self._drawn: dict[str, tuple[str, float]] = {}
        """By account id, the access token and the jitter drawn for it."""
        self._refreshes: SingleFlight[str] = SingleFlight()
        """The refreshes under way; each returns the access token."""
        self._outages = RefreshOutages(endpoint.back_off, make_back_off)
        self._saving = make_back_off()
        """When the scheduler tries again to write what could not be written."""
        self._woken = trio.Event()

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

        A user asked for it, so a server that failed is asked again earlier. For a followed login, read its file again.

        Raises:
            As ``fresh_token``.
        """
        tokens = self._held_tokens(account_id)
        if self._refreshes.is_under_way(account_id):
            await self._join(account_id)
        else:
            is_own = tokens is not None and self._store.get(account_id).followed is None
            rejected = tokens.access_token if tokens and is_own else None
            await self._begin(account_id, rejected, RefreshReason.PROACTIVE, by_hand=True)
        if explained := self.explain_withdrawn(account_id):
            raise AccountNeedsLogin(explained)

    async def run(self) -> None:
        """Refresh every account's token before it expires, and save what could not be saved, until cancelled."""
        await trio.sleep(START_DELAY_S)
        while True:
            self._save_pending()
            async with trio.open_nursery() as nursery:
                for account in self._store.accounts:
                    nursery.start_soon(self._refresh_if_due, account)
            with trio.move_on_after(self._pause_s()):
                await self._woken.wait()
            self._woken = trio.Event()

    def outage(self, account_id: str) -> BackOff | None:
        """Why the account's token can't be refreshed, and when that is tried again; None if it did not fail."""
        return self._outages.find(account_id)

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
        return self._outages.retry_at(account_id, self._clock()) is not None

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

    async def _begin(
        self, account_id: str, rejected: str | None, reason: RefreshReason, *, by_hand: bool = False
    ) -> str:
        return await self._refreshes.run(account_id, self._attempt(account_id, rejected, reason, by_hand=by_hand))

    async def _attempt(self, account_id: str, rejected: str | None, reason: RefreshReason, *, by_hand: bool) -> str:
        """One refresh, which is completed even if the request that needs it is cancelled."""
        try:
            with trio.CancelScope(shield=True):
                token = await self._refresh(account_id, rejected, reason, by_hand=by_hand)
        except RefreshUnavailable as error:
            raise type(error)(f"The login of {self._label(account_id)} could not be refreshed. {error}") from None
        self._outages.note_success(account_id)
        return token

    async def _refresh(self, account_id: str, rejected: str | None, reason: RefreshReason, *, by_hand: bool) -> str:
        """A fresh token from the file, where another program may have put one, or from the server."""
        if self._store.get(account_id).followed is not None:
            return await read_followed_token(self._store, account_id, rejected, self._clock)
        tokens = self._store.reload(account_id)
        if self._is_fresh(account_id, tokens, rejected):
            return tokens.access_token
        used, withdrawn = tokens.refresh_token, self._store.get(account_id).withdrawn
        if withdrawn is not None:
            return self._use_to_its_end(account_id, withdrawn, reason)
        self._store.lock.check_refreshable()
        self._outages.begin(account_id, self._clock(), by_hand=by_hand)
        try:
            saved = await self._trade_in(account_id, used, reason)
        except AccountNeedsLogin as error:
            self._outages.note_success(account_id)
            if self._store.reload(account_id).refresh_token == used:
                return self._use_to_its_end(account_id, str(error), reason)
            saved = None
        except RefreshUnavailable as error:
            raise self._note_failure(account_id, error) from None
        if saved is not None:
            return saved.access_token
        # Another program or a sign-in has changed the tokens in the meantime.
        return await self._refresh(account_id, rejected, reason, by_hand=by_hand)

    async def _trade_in(self, account_id: str, used: str, reason: RefreshReason) -> Tokens | None:
        """Exchange a refresh token for new tokens, and save them; None if the account has others by now.

        Raises:
            AccountNotFound
            AccountNeedsLogin: the login is dead.
            RefreshUnavailable: the server gave no tokens, or was not asked.
        """
        with self._reserve(account_id) as space:
            reply = await self._request_tokens(account_id, used, reason)
            saved = self._store.save_tokens(account_id, reply, now=self._clock(), retired=used, space=space)
        if not self._store.is_saved:
            self._woken.set()
        if reply.access_token not in (None, saved.access_token):
            return None
        if saved.expires_at <= self._clock():
            raise RefreshUnavailable("The sign-in server returned no valid access token.")
        log.info("refreshed the access token", extra={"fields": {"account": self._label(account_id)}})
        return saved

    def _reserve(self, account_id: str) -> AbstractContextManager[ReservedSpace | None]:
        """Room for the new tokens. The server retires the old ones, so without room they are kept."""
        try:
            return self._store.reserve(account_id)
        except OSError as error:
            reason = explain(error)
        except AlreadyRunning as error:
            reason = str(error)
        raise LoginNotSavable(f"codexd does not ask for new tokens while it can't save them. {reason}")

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

    def _note_failure(self, account_id: str, error: RefreshUnavailable) -> RefreshUnavailable:
        """Back off, and log the first of several failures; return the error with the time of the next attempt added."""
        is_known = self._outages.find(account_id) is not None
        level = logging.DEBUG if is_known and isinstance(error, LoginNotSavable) else logging.WARNING
        log.log(level, "refresh failed: %s", error, extra={"fields": {"account": self._label(account_id)}})
        return self._outages.note_failure(account_id, error, self._clock())

    def _save_pending(self) -> None:
        now = self._clock()
        if self._store.is_saved or self._saving.refuses(now):
            return
        self._store.save()
        if self._store.is_saved:
            self._saving.note_success()
        else:
            self._saving.note_failure("", now)

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
        now, waits = self._clock(), [MAX_SLEEP_S]
        for account in self._store.accounts:
            retry_at = self._outages.retry_at(account.id, now)
            if retry_at is not None:
                waits.append(retry_at - now)
            elif account.needs_login is None:
                waits.append(self._seconds_until_due(account.id, self._store.tokens(account.id)))
        if not self._store.is_saved:
            waits.append(self._saving.retry_at - now)
        return max(MIN_SLEEP_S, min(waits))
