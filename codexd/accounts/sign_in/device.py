"""The sign-in server's device codes: a sign-in for machines without a browser.

Source: section 1.5 of the backend's contract as public clients use it. It is not RFC 8628: the server makes the
PKCE pair itself, and says 403 or 404 while the user has not yet typed the code.
"""

from __future__ import annotations

import logging
from datetime import datetime

import httpx

from codexd.accounts.login import read_seconds
from codexd.accounts.sign_in.oauth import CLIENT_ID, SignInServer, read_object
from codexd.accounts.sign_in.values import DeviceCode, Grant
from codexd.errors import LoginFailed

log = logging.getLogger("codexd.sign_in")

DEFAULT_INTERVAL_S, SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 5.0, 1.0, 60.0

NOT_ENABLED = (
    "The sign-in server gives out no device codes (404). Enable device code login in the security settings of ChatGPT "
    "(for a workspace, its administrator does), or sign in with a browser: `codexctl accounts add`."
)


class DeviceEndpoint:
    """``auth_url`` is the issuer, such as ``https://auth.openai.com``. ``http`` stays the caller's to close."""

    def __init__(self, http: httpx.AsyncClient, auth_url: str) -> None:
        self._server = SignInServer(http, auth_url)

    async def request_code(self) -> DeviceCode:
        """A new code for the user to type.

        Raises:
            LoginFailed: says what happened and what to do.
        """
        path, body = "/api/accounts/deviceauth/usercode", {"client_id": CLIENT_ID}
        response = await self._server.post(path, LoginFailed, json=body)
        if response.status_code == 404:
            raise LoginFailed(NOT_ENABLED)
        reply = read_object(response) if response.is_success else {}
        device_auth_id, user_code = reply.get("device_auth_id"), reply.get("user_code") or reply.get("usercode")
        if not (isinstance(device_auth_id, str) and isinstance(user_code, str)):
            raise LoginFailed(f"{self._server.name} gave no device code (it answered {response.status_code}). {_OTHER}")
        return DeviceCode(
            device_auth_id,
            user_code,
            _read_interval(reply.get("interval")),
            _read_time(reply.get("expires_at")),
            self._server.url("/codex/device"),
        )

    async def poll(self, code: DeviceCode) -> Grant | None:
        """What the user's approval gave; None while there is none, or no answer now: ask again after the interval.

        Raises:
            LoginFailed: the code will not be approved any more.
        """
        body = {"device_auth_id": code.device_auth_id, "user_code": code.user_code}
        try:
            response = await self._server.post("/api/accounts/deviceauth/token", LoginFailed, json=body)
        except LoginFailed as error:
            log.debug("%s", error)
            return None
        status = response.status_code
        if status in (403, 404, 429) or status >= 500:
            return None
        reply = read_object(response) if response.is_success else {}
        authorization_code, verifier = reply.get("authorization_code"), reply.get("code_verifier")
        if not (isinstance(authorization_code, str) and isinstance(verifier, str)):
            raise LoginFailed(f"{self._server.name} ended the sign-in (it answered {status}). {_OTHER}")
        return Grant(authorization_code, verifier)


_OTHER = "Start the sign-in again, or sign in with a browser: `codexctl accounts add`."


def _read_interval(value: object) -> float:
    """Seconds; the server sends them as a string."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return DEFAULT_INTERVAL_S
    seconds = read_seconds(value)
    return DEFAULT_INTERVAL_S if seconds is None else min(LONGEST_INTERVAL_S, max(SHORTEST_INTERVAL_S, seconds))


def _read_time(value: object) -> float | None:
    """Seconds since the epoch, of a number or an RFC 3339 time."""
    if not isinstance(value, str):
        return read_seconds(value)
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None
