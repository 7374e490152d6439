"""The sign-in server: accounts, their tokens, and the grants that lead to tokens.

Refresh tokens and authorization codes can be used once. A second use is refused and, by default, revokes every token
of the same sign-in.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from codexd.simulator.credentials import (
    CLIENT_ID,
    CODE_LIFETIME_S,
    PERSONAL,
    AuthorizeRequest,
    DeviceBook,
    Grant,
    SimulatedAccount,
    find_exchange_fault,
    make_access_claims,
    make_challenge,
    make_id_claims,
    make_jwt,
    parse_authorize,
    refuse_grant,
)
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error

NEW_PLAN = "plus"
"""The plan of an account that signs in for the first time."""

REFRESH_REASONS = ("proactive_expiry", "unauthorized_recovery")


class TokenState(Enum):
    LIVE = "live"
    SPENT = "spent"
    REVOKED = "revoked"


@define
class _Token:
    """What the server knows about one token that it issued. Only access tokens expire."""

    account: SimulatedAccount
    family: int
    state: TokenState = TokenState.LIVE
    expires_at: float | None = None


class SignIn:
    """Issues tokens and checks them."""

    def __init__(self, *, clock: Callable[[], float], options: Options) -> None:
        self._clock = clock
        self._options = options
        self.devices = DeviceBook(clock=clock, options=options)
        self._accounts: dict[tuple[str, str], SimulatedAccount] = {}
        self._deactivated: set[str] = set()
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, _Token] = {}
        self._grants: dict[str, Grant] = {}
        self._other_secrets: list[str] = []
        self._families = itertools.count(1)

    def sign_in(self, email: str, plan: str, access_expires_in_s: float, workspace: str = PERSONAL) -> dict[str, Any]:
        """The ``auth.json`` of a fresh sign-in."""
        account = SimulatedAccount(email, plan, workspace)
        self._accounts[email, workspace] = account
        family = next(self._families)
        tokens = self._issue(account, family, access_expires_in_s)
        return {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {
                "id_token": tokens["id_token"],
                "access_token": tokens["access_token"],
                "refresh_token": tokens["refresh_token"],
                "account_id": account.account_id,
            },
            "last_refresh": datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z"),
        }

    def knows(self, email: str, workspace: str = PERSONAL) -> bool:
        return (email, workspace) in self._accounts

    def find(self, email: str, workspace: str = PERSONAL) -> SimulatedAccount:
        """An account that has signed in before. Raises KeyError if it has not."""
        return self._accounts[email, workspace]

    def all_tokens(self) -> tuple[str, ...]:
        """Every token, authorization code and other secret ever issued, for tests that look for leaks."""
        return (*self._access, *self._refresh, *self._grants, *self._other_secrets, *self.devices.ids)

    def is_live(self, refresh_token: str) -> bool:
        """Whether a refresh with it would succeed."""
        token = self._refresh.get(refresh_token)
        return token is not None and token.state is TokenState.LIVE

    def deactivate(self, email: str, workspace: str = PERSONAL) -> None:
        """Answer 402 for the workspace from now on."""
        self._deactivated.add(self._accounts[email, workspace].account_id)

    def revoke(self, email: str) -> None:
        """Sign a person out everywhere: revoke all access and refresh tokens."""
        for token in (*self._access.values(), *self._refresh.values()):
            if token.account.email == email:
                token.state = TokenState.REVOKED

    def revoke_access(self, email: str) -> None:
        """Revoke a person's access tokens; a refresh gets new ones."""
        for token in self._access.values():
            if token.account.email == email:
                token.state = TokenState.REVOKED

    def expire_access(self, email: str) -> None:
        """Treat a person's access tokens as expired, whatever their ``exp`` says."""
        for token in self._access.values():
            if token.account.email == email:
                token.expires_at = self._clock()

    def check(self, headers: Mapping[str, str]) -> SimulatedAccount | Refusal:
        """The account that sent a request, by its ``authorization`` and ``chatgpt-account-id`` headers."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            return detail("Unauthorized", status=401)
        token = self._access.get(bearer)
        if token is None:
            return _refuse_token("Could not parse your authentication token. Please try signing in again.", None)
        if token.state is TokenState.REVOKED:
            message = "Your authentication token has been invalidated. Please try signing in again."
            return _refuse_token(message, "token_invalidated")
        if token.expires_at is not None and token.expires_at <= self._clock():
            message = "Provided authentication token is expired. Please try signing in again."
            return _refuse_token(message, "token_expired")
        account = self._look_up(token.account)
        if headers.get("chatgpt-account-id") != account.account_id:
            return Refusal(403, {"detail": {"code": "invalid_workspace_selected"}})
        if account.account_id in self._deactivated:
            return Refusal(402, {"detail": {"code": "deactivated_workspace"}})
        return account

    def name_bearer(self, authorization: str) -> str:
        """The account behind an ``authorization`` header, for a record that must not hold the token."""
        token = self._access.get(authorization.partition(" ")[2])
        return token.account.label if token else "unknown"

    def refresh(
        self, form: Mapping[str, Any], *, omit: tuple[str, ...] = (), access_expires_in_s: float | None = None
    ) -> dict[str, Any] | Refusal:
        """Spend the presented refresh token and return the new tokens, without those in ``omit``.

        If ``omit`` names ``refresh_token``, the presented one stays live, as with a server that does not rotate.
        """
        presented = form.get("refresh_token")
        if presented == "":
            message = (
                "Invalid 'refresh_token': empty string. Expected a string with minimum length 1, "
                "but got an empty string instead."
            )
            return error(message, param="refresh_token", code="empty_string")
        if form.get("client_id") != CLIENT_ID:
            return Refusal(401, {"error": "invalid_client", "error_description": "Unknown client."})
        if form.get("refresh_reason") not in (None, *REFRESH_REASONS):
            return error("Invalid 'refresh_reason'.", param="refresh_reason", code="invalid_value")
        if not isinstance(presented, str) or presented not in self._refresh:
            return refuse_refresh("refresh_token_invalidated")
        token = self._refresh[presented]
        if token.state is TokenState.SPENT:
            self._end_reused_family(token.family)
            return refuse_refresh("refresh_token_reused")
        if token.state is TokenState.REVOKED:
            return refuse_refresh("refresh_token_invalidated")
        if "refresh_token" not in omit:
            token.state = TokenState.SPENT
        return self._make_reply(token.account, token.family, omit, access_expires_in_s)

    def allow(self, wanted: AuthorizeRequest, email: str, workspace: str = PERSONAL) -> str:
        """Allow a sign-in. Returns the callback URL."""
        if self._options.missing_codex_entitlement:
            return wanted.make_callback(error="access_denied", error_description="missing_codex_entitlement")
        code = self._make_code(self._find_or_add(email, workspace), wanted.challenge, wanted.redirect_uri)
        return wanted.make_callback(code=code)

    def deny(self, wanted: AuthorizeRequest) -> str:
        """Deny a sign-in. Returns the callback URL."""
        return wanted.make_callback(error="access_denied", error_description="The user denied the request.")

    def allow_url(self, url: str, email: str, workspace: str = PERSONAL) -> str:
        """Open an authorize URL and allow the sign-in, as a browser does. Returns the callback URL.

        Raises:
            ValueError: the authorize URL is not valid.
        """
        return self.allow(parse_authorize(urlsplit(url).query), email, workspace)

    def exchange(
        self, form: Mapping[str, Any], *, omit: tuple[str, ...] = (), access_expires_in_s: float | None = None
    ) -> dict[str, Any] | Refusal:
        """Exchange an authorization code for tokens. Presenting the code spends it, even if the request is wrong."""
        grant = self._grants.get(str(form.get("code")))
        if grant is None:
            return refuse_grant("The authorization code is unknown.")
        if grant.spent:
            if grant.family is not None:
                self._end_reused_family(grant.family)
            return refuse_grant("The authorization code has already been used.")
        grant.spent = True
        fault = find_exchange_fault(grant, form, self._clock())
        if fault is not None:
            return refuse_grant(fault)
        grant.family = next(self._families)
        return self._make_reply(grant.account, grant.family, omit, access_expires_in_s)

    def approve_device(self, user_code: str, email: str, workspace: str = PERSONAL) -> None:
        """Approve a device as at ``/codex/device``. Raises ValueError if no device waits with this code."""
        self.devices.approve(user_code, self._find_or_add(email, workspace))

    def poll_device(self, form: Mapping[str, Any], issuer: str) -> dict[str, Any] | Refusal:
        """Answer a waiting device. Once approved, it gets a code and both halves of a PKCE pair made here."""
        account = self.devices.take(form)
        if isinstance(account, Refusal):
            return account
        verifier = secrets.token_urlsafe(64)
        self._other_secrets.append(verifier)
        challenge = make_challenge(verifier)
        code = self._make_code(account, challenge, f"{issuer}/deviceauth/callback")
        return {"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier}

    def revoke_token(self, presented: Any) -> None:
        """Log out: revoke the family of a refresh token, or one access token. An unknown token is not an error."""
        if presented in self._refresh:
            self._end_family(self._refresh[presented].family)
        elif presented in self._access:
            self._access[presented].state = TokenState.REVOKED

    def _find_or_add(self, email: str, workspace: str) -> SimulatedAccount:
        """The account that signs in. A new account gets ``NEW_PLAN``."""
        return self._accounts.setdefault((email, workspace), SimulatedAccount(email, NEW_PLAN, workspace))

    def _look_up(self, account: SimulatedAccount) -> SimulatedAccount:
        """The account as it is now. Its plan may have changed since the token was issued."""
        return self._accounts[account.email, account.workspace]

    def _make_code(self, account: SimulatedAccount, challenge: str, redirect_uri: str) -> str:
        code = f"ac_simulated_{secrets.token_hex(16)}"
        self._grants[code] = Grant(account, challenge, redirect_uri, self._clock() + CODE_LIFETIME_S)
        return code

    def _end_reused_family(self, family: int) -> None:
        if self._options.kill_family_on_reuse:
            self._end_family(family)

    def _end_family(self, family: int) -> None:
        """Revoke the tokens of a sign-in. A spent token stays spent: presenting it again is still reuse."""
        for token in (*self._access.values(), *self._refresh.values()):
            if token.family == family and token.state is TokenState.LIVE:
                token.state = TokenState.REVOKED

    def _make_reply(
        self, account: SimulatedAccount, family: int, omit: tuple[str, ...], access_expires_in_s: float | None
    ) -> dict[str, Any]:
        lifetime_s = self._options.access_token_lifetime_s if access_expires_in_s is None else access_expires_in_s
        reply = self._issue(self._look_up(account), family, lifetime_s)
        return {key: value for key, value in reply.items() if key not in omit}

    def _issue(self, account: SimulatedAccount, family: int, access_lifetime_s: float) -> dict[str, Any]:
        now = self._clock()
        access_token = make_jwt(make_access_claims(account, now, now + access_lifetime_s))
        refresh_token = f"rt_simulated_{secrets.token_hex(16)}"
        id_token = make_jwt(make_id_claims(account, now))
        self._other_secrets.append(id_token)
        self._access[access_token] = _Token(account, family, expires_at=now + access_lifetime_s)
        self._refresh[refresh_token] = _Token(account, family)
        return {
            "id_token": id_token,
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": int(access_lifetime_s),
            "scope": "openid profile email offline_access",
        }


_REFRESH_MESSAGES: Mapping[str, str] = {
    "refresh_token_reused": (
        "Your refresh token has already been used to generate a new access token. Please try signing in again."
    ),
    "refresh_token_expired": "Your refresh token has expired. Please try signing in again.",
    "refresh_token_invalidated": "Your refresh token has been invalidated. Please try signing in again.",
}


def refuse_refresh(code: str) -> Refusal:
    """The 401 for a refresh token that can't be used. ``code``: one in ``_REFRESH_MESSAGES``, or any other."""
    message = _REFRESH_MESSAGES.get(code, "Could not refresh your session. Please try signing in again.")
    return error(message, code=code, status=401)


def _refuse_token(message: str, code: str | None) -> Refusal:
    body = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {"x-openai-authorization-error": code} if code else {}
    return Refusal(401, {"error": body, "status": 401}, headers)
