"""The sign-in server: accounts, their tokens, and the refreshing of them.

Refresh tokens serve once. A second use of one is refused and, by default, kills every token that came of
the same sign-in. Source: codex-backend.md, sections 1.3 to 1.8.
"""

from __future__ import annotations

import base64
import itertools
import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from attrs import define, frozen

from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error
from codexd.translation.jsontext import dumps

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
ISSUER = "https://auth.openai.com"
ID_TOKEN_LIFETIME_S = 3_600


@frozen
class SimulatedAccount:
    """A person's workspace; everything else follows from the email and the plan."""

    email: str
    plan: str

    @property
    def account_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated-account:{self.email}"))

    @property
    def user_id(self) -> str:
        return f"user-{uuid.uuid5(uuid.NAMESPACE_URL, f'simulated-user:{self.email}').hex[:24]}"


class TokenState(Enum):
    LIVE = "live"
    SPENT = "spent"
    REVOKED = "revoked"


@define
class _Token:
    """What the server knows of one token that it gave out. Access tokens have an expiry."""

    account: SimulatedAccount
    family: int
    state: TokenState = TokenState.LIVE
    expires_at: float | None = None


class SignIn:
    """Gives out tokens and checks them."""

    def __init__(self, *, clock: Callable[[], float], options: Options) -> None:
        self._clock = clock
        self._options = options
        self._accounts: dict[str, SimulatedAccount] = {}
        self._deactivated: set[str] = set()
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, _Token] = {}
        self._families = itertools.count(1)

    def sign_in(self, email: str, plan: str, access_expires_in_s: float) -> dict[str, Any]:
        """The ``auth.json`` of a fresh sign-in."""
        account = SimulatedAccount(email, plan)
        self._accounts[email] = account
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

    def find(self, email: str) -> SimulatedAccount:
        return self._accounts[email]

    def deactivate(self, email: str) -> None:
        """From now on the workspace answers 402."""
        self._deactivated.add(self._accounts[email].account_id)

    def revoke(self, email: str) -> None:
        """Sign the account out everywhere: its access and refresh tokens are invalid from now on."""
        for token in (*self._access.values(), *self._refresh.values()):
            if token.account.email == email:
                token.state = TokenState.REVOKED

    def revoke_access(self, email: str) -> None:
        """Invalidate the access tokens only; a refresh mends it."""
        for token in self._access.values():
            if token.account.email == email:
                token.state = TokenState.REVOKED

    def expire_access(self, email: str) -> None:
        """Let the access tokens be expired, whatever their ``exp`` says."""
        for token in self._access.values():
            if token.account.email == email:
                token.expires_at = self._clock()

    def check(self, headers: Mapping[str, str]) -> SimulatedAccount | Refusal:
        """Whose request it is, by its ``authorization`` and ``chatgpt-account-id`` headers."""
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
        account = self._accounts[token.account.email]
        if headers.get("chatgpt-account-id") != account.account_id:
            return Refusal(403, {"detail": {"code": "invalid_workspace_selected"}})
        if account.account_id in self._deactivated:
            return Refusal(402, {"detail": {"code": "deactivated_workspace"}})
        return account

    def name_bearer(self, authorization: str) -> str:
        """The email that an ``authorization`` header stands for, so that a record can do without the token."""
        token = self._access.get(authorization.partition(" ")[2])
        return token.account.email if token else "unknown"

    def refresh(
        self, form: Mapping[str, Any], *, omit: tuple[str, ...] = (), access_expires_in_s: float | None = None
    ) -> dict[str, Any] | Refusal:
        """A refresh: the new tokens, less those in ``omit``. The presented token is spent with it.

        ``omit`` with ``refresh_token`` leaves the presented one alive, as a server does that does not rotate.
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
        if not isinstance(presented, str) or presented not in self._refresh:
            return refuse_refresh("refresh_token_invalidated")
        token = self._refresh[presented]
        if token.state is TokenState.SPENT:
            self._punish_reuse(token.family)
            return refuse_refresh("refresh_token_reused")
        if token.state is TokenState.REVOKED:
            return refuse_refresh("refresh_token_invalidated")
        if "refresh_token" not in omit:
            token.state = TokenState.SPENT
        lifetime_s = self._options.access_token_lifetime_s if access_expires_in_s is None else access_expires_in_s
        reply = self._issue(self._accounts[token.account.email], token.family, lifetime_s)
        return {key: value for key, value in reply.items() if key not in omit}

    def revoke_token(self, presented: Any) -> None:
        """Log out: ends the family of a refresh token, or one access token. Unknown tokens are no error."""
        if presented in self._refresh:
            self._end_family(self._refresh[presented].family)
        elif presented in self._access:
            self._access[presented].state = TokenState.REVOKED

    def _punish_reuse(self, family: int) -> None:
        if self._options.kill_family_on_reuse:
            self._end_family(family)

    def _end_family(self, family: int) -> None:
        """A spent token stays spent: presenting it again is still reuse."""
        for token in (*self._access.values(), *self._refresh.values()):
            if token.family == family and token.state is TokenState.LIVE:
                token.state = TokenState.REVOKED

    def _issue(self, account: SimulatedAccount, family: int, access_lifetime_s: float) -> dict[str, Any]:
        now = self._clock()
        access_token = _make_jwt(_make_access_claims(account, now, now + access_lifetime_s))
        refresh_token = f"rt_simulated_{secrets.token_hex(16)}"
        self._access[access_token] = _Token(account, family, expires_at=now + access_lifetime_s)
        self._refresh[refresh_token] = _Token(account, family)
        return {
            "id_token": _make_jwt(_make_id_claims(account, now)),
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
    """The 401 of a refresh token that can't be used, with one of the three codes of section 1.4 or any other."""
    message = _REFRESH_MESSAGES.get(code, "Could not refresh your session. Please try signing in again.")
    return error(message, code=code, status=401)


def _refuse_token(message: str, code: str | None) -> Refusal:
    body = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {"x-openai-authorization-error": code} if code else {}
    return Refusal(401, {"error": body, "status": 401}, headers)


def _make_id_claims(account: SimulatedAccount, now: float) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": [CLIENT_ID],
        "sub": f"auth0|{account.user_id}",
        "email": account.email,
        "email_verified": True,
        "auth_provider": "password",
        "auth_time": int(now),
        "iat": int(now),
        "exp": int(now) + ID_TOKEN_LIFETIME_S,
        "jti": secrets.token_hex(8),
        "https://api.openai.com/auth": {
            **_make_auth_block(account),
            "chatgpt_subscription_active_start": "2026-01-01T00:00:00+00:00",
            "chatgpt_subscription_active_until": "2027-01-01T00:00:00+00:00",
            "organizations": [{"id": "org-simulated", "is_default": True, "role": "owner", "title": "Personal"}],
            "groups": [],
            "completed_platform_onboarding": True,
            "is_org_owner": True,
            "chatgpt_account_is_fedramp": False,
        },
    }


def _make_access_claims(account: SimulatedAccount, now: float, expires_at: float) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": ["https://api.openai.com/v1"],
        "sub": f"auth0|{account.user_id}",
        "iat": int(now),
        "exp": int(expires_at),
        "jti": secrets.token_hex(8),
        "scp": ["openid", "profile", "email", "offline_access"],
        "https://api.openai.com/auth": _make_auth_block(account),
        "https://api.openai.com/profile": {"email": account.email, "email_verified": True},
    }


def _make_auth_block(account: SimulatedAccount) -> dict[str, Any]:
    return {
        "chatgpt_account_id": account.account_id,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
    }


def _make_jwt(claims: Mapping[str, Any]) -> str:
    """An unsigned token: no client of this route verifies the signature, and a fake must not look signed."""
    header = {"alg": "none", "typ": "JWT"}
    return f"{_encode_part(header)}.{_encode_part(claims)}."


def _encode_part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(dumps(value)).rstrip(b"=").decode()
