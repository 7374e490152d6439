"""The credentials of a sign-in: accounts and the unsigned tokens that name them, authorization codes, device codes.

Authorization codes follow RFC 6749, section 4.1, and RFC 7636, section 4. It is not known how the real server answers a
device code that was denied, has expired or is used twice: here it is a 400, as 403 and 404 mean "still pending".
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from attrs import define, frozen

from codexd.jsontext import dumps
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
ISSUER = "https://auth.openai.com"
PERSONAL = "personal"
"""The workspace that every user has."""
ID_TOKEN_LIFETIME_S = 3_600


@frozen
class SimulatedAccount:
    """A person in a workspace. Ids are derived from the email and the name of the workspace."""

    email: str
    plan: str
    workspace: str = PERSONAL

    @property
    def account_id(self) -> str:
        name = self.email if self.workspace == PERSONAL else f"{self.email}:{self.workspace}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated-account:{name}"))

    @property
    def user_id(self) -> str:
        return f"user-{uuid.uuid5(uuid.NAMESPACE_URL, f'simulated-user:{self.email}').hex[:24]}"

    @property
    def label(self) -> str:
        """Its name in a record: the email, and the workspace unless it is the personal one."""
        return self.email if self.workspace == PERSONAL else f"{self.email} ({self.workspace})"


def make_id_claims(account: SimulatedAccount, now: float) -> dict[str, Any]:
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


def make_access_claims(account: SimulatedAccount, now: float, expires_at: float) -> dict[str, Any]:
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


_NO_SIGNATURE = base64.urlsafe_b64encode(b"simulated").decode()


def make_jwt(claims: Mapping[str, Any]) -> str:
    """An unsigned token: a fake must not look signed. The Codex CLI rejects a token with an empty third part."""
    header = {"alg": "none", "typ": "JWT"}
    return f"{_encode_part(header)}.{_encode_part(claims)}.{_NO_SIGNATURE}"


def _encode_part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(dumps(value)).rstrip(b"=").decode()


CODE_LIFETIME_S = 600
SCOPES = ("openid", "profile", "email", "offline_access")
REDIRECT_URIS = tuple(
    f"http://{host}:{port}/auth/callback" for host in ("localhost", "127.0.0.1") for port in (1455, 1457)
)
"""The complete allow-list: any other host, port or path is refused."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@frozen
class AuthorizeRequest:
    """A valid request for the sign-in page."""

    redirect_uri: str
    state: str
    challenge: str

    def make_callback(self, **answer: str) -> str:
        """The URL that the browser is redirected to."""
        return f"{self.redirect_uri}?{urlencode({**answer, 'state': self.state}, quote_via=quote)}"


@define
class Grant:
    """What an authorization code stands for. ``family`` is the family of the tokens issued for it."""

    account: SimulatedAccount
    challenge: str
    redirect_uri: str
    expires_at: float
    spent: bool = False
    family: int | None = None


def parse_authorize(query: str) -> AuthorizeRequest:
    """The request in the query string of an authorize URL.

    Raises:
        ValueError: the request is not valid; the text is a sentence that names the fault.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    fault = next(_find_faults(query, parameters, repeated), None)
    if fault is not None:
        raise ValueError(fault)
    return AuthorizeRequest(parameters["redirect_uri"], parameters["state"], parameters["code_challenge"])


def _find_faults(query: str, parameters: Mapping[str, str], repeated: list[str]) -> Iterator[str]:
    if "+" in query:
        yield "A space in the query must be written as %20, not as +."
    for name in repeated:
        yield f"The parameter {name} is given more than once."
    if parameters.get("client_id") != CLIENT_ID:
        yield "The client_id is missing or unknown."
    if parameters.get("response_type") != "code":
        yield "The response_type must be code."
    if parameters.get("redirect_uri") not in REDIRECT_URIS:
        yield f"The redirect_uri must be one of {' and '.join(REDIRECT_URIS)}."
    absent = [scope for scope in SCOPES if scope not in parameters.get("scope", "").split()]
    if absent:
        yield f"The scope lacks {' '.join(absent)}."
    if parameters.get("code_challenge_method") != "S256":
        yield "The code_challenge_method must be S256."
    if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
        yield "The code_challenge must be 43 characters of base64url without padding."
    if not parameters.get("state"):
        yield "The state is missing or empty."


def find_exchange_fault(grant: Grant, form: Mapping[str, object], now: float) -> str | None:
    """Why ``form`` can't be exchanged for the tokens of ``grant``; None if it can."""
    verifier = form.get("code_verifier")
    if now >= grant.expires_at:
        return "The authorization code has expired."
    if form.get("client_id") != CLIENT_ID:
        return "The authorization code was issued to another client."
    if form.get("redirect_uri") != grant.redirect_uri:
        return "The redirect_uri does not match the one of the authorization request."
    if not isinstance(verifier, str) or not _VERIFIER.fullmatch(verifier):
        return "The code_verifier is missing or malformed."
    if make_challenge(verifier) != grant.challenge:
        return "The code_verifier does not match the code_challenge."
    return None


def refuse_grant(description: str) -> Refusal:
    return Refusal(400, {"error": "invalid_grant", "error_description": description})


def make_challenge(verifier: str) -> str:
    """PKCE's S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


DEVICE_CODE_LIFETIME_S = 900
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_DIGITS = "0123456789"


class DeviceState(Enum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    FINISHED = "finished"
    """Its authorization code was issued."""


@define
class _Device:
    user_code: str
    expires_at: float
    state: DeviceState = DeviceState.PENDING
    account: SimulatedAccount | None = None


class DeviceBook:
    """The device codes issued so far."""

    def __init__(self, *, clock: Callable[[], float], options: Options) -> None:
        self._clock = clock
        self._options = options
        self._devices: dict[str, _Device] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Every ``device_auth_id`` ever issued."""
        return tuple(self._devices)

    def request_code(self, form: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """Issue a new code, or refuse with a 404 if device sign-in is switched off."""
        if not self._options.device_login:
            return detail("Not Found", status=404)
        if form.get("client_id") != CLIENT_ID:
            return Refusal(401, {"error": "invalid_client", "error_description": "Unknown client."})
        device_auth_id = f"deviceauth_simulated_{secrets.token_hex(16)}"
        user_code = f"{_draw(_LETTERS, 4)}-{_draw(_DIGITS, 5)}"
        expires_at = self._clock() + DEVICE_CODE_LIFETIME_S
        self._devices[device_auth_id] = _Device(user_code, expires_at)
        return {
            "device_auth_id": device_auth_id,
            "user_code": user_code,
            "interval": f"{self._options.device_interval_s:g}",  # the real server sends a string, too
            "expires_at": datetime.fromtimestamp(expires_at, UTC).isoformat(),
        }

    def is_pending(self, user_code: str) -> bool:
        return self._find_pending(user_code) is not None

    def approve(self, user_code: str, account: SimulatedAccount) -> None:
        """Sign ``account`` in on the device.

        Raises:
            ValueError: no such code waits for an approval.
        """
        device = self._expect_pending(user_code)
        device.state, device.account = DeviceState.APPROVED, account

    def deny(self, user_code: str) -> None:
        """Refuse the device. Raises ValueError as ``approve`` does."""
        self._expect_pending(user_code).state = DeviceState.DENIED

    def take(self, form: Mapping[str, Any]) -> SimulatedAccount | Refusal:
        """The account that approved the polling device. Each approval is returned once."""
        device = self._devices.get(str(form.get("device_auth_id")))
        if device is None or device.user_code != form.get("user_code"):
            return error("Device authorization is unknown.", code="deviceauth_authorization_unknown")
        if device.state is DeviceState.FINISHED:
            return error("Device authorization has already been used.", code="deviceauth_authorization_used")
        if device.state is DeviceState.DENIED:
            return error("Device authorization was denied.", code="access_denied")
        if self._clock() >= device.expires_at:
            return error("Device authorization has expired.", code="deviceauth_authorization_expired")
        if device.account is None:
            status = self._options.device_pending_status
            return error("Device authorization is pending.", code="deviceauth_authorization_pending", status=status)
        device.state = DeviceState.FINISHED
        return device.account

    def _expect_pending(self, user_code: str) -> _Device:
        device = self._find_pending(user_code)
        if device is None:
            raise ValueError(f"No device waits with the code {user_code!r}.")
        return device

    def _find_pending(self, user_code: str) -> _Device | None:
        wanted, now = user_code.strip().upper(), self._clock()
        pending = (
            device
            for device in self._devices.values()
            if device.user_code == wanted and device.state is DeviceState.PENDING and now < device.expires_at
        )
        return next(pending, None)


def _draw(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))
