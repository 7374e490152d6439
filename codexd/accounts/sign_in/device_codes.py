"""Device codes, for sign-ins on machines without a browser.

This is not the flow of RFC 8628: the sign-in server makes the PKCE pair itself, and answers 403 or 404 until the user
has typed the code.
"""

from __future__ import annotations

import logging
from datetime import datetime

from attrs import field, frozen

from codexd.accounts.login import read_seconds
from codexd.accounts.sign_in.server import CLIENT_ID, SignInServer, read_object
from codexd.errors import LoginFailed

log = logging.getLogger("codexd.sign_in")

DEFAULT_INTERVAL_S, MIN_INTERVAL_S, MAX_INTERVAL_S = 5.0, 1.0, 60.0

NO_DEVICE_CODES = (
    "The sign-in server does not offer device codes (404). Enable device code login in ChatGPT's security settings "
    "(for a workspace, ask its administrator), or sign in with a browser: `codexctl accounts add`."
)
OTHER_WAY = "Start the sign-in again, or sign in with a browser: `codexctl accounts add`."


@frozen
class DeviceCode:
    """A code for one device. ``expires_at``: seconds since the epoch, if the server reports it."""

    device_auth_id: str = field(repr=False)
    user_code: str = field(repr=False)
    interval_s: float
    expires_at: float | None
    url: str


@frozen
class Grant:
    """The approval of a device: the code to exchange, and the PKCE verifier that the server made for it."""

    authorization_code: str = field(repr=False)
    verifier: str = field(repr=False)


class DeviceEndpoint:
    """Sign-ins on machines without a browser."""

    def __init__(self, server: SignInServer) -> None:
        self._server = server

    async def request_code(self) -> DeviceCode:
        """Request a new code for the user to type.

        Raises:
            LoginFailed: says what happened and what to do.
        """
        path, body = "/api/accounts/deviceauth/usercode", {"client_id": CLIENT_ID}
        response = await self._server.post(path, LoginFailed, json=body)
        if response.status_code == 404:
            raise LoginFailed(NO_DEVICE_CODES)
        reply = read_object(response) if response.is_success else {}
        device_auth_id, user_code = reply.get("device_auth_id"), reply.get("user_code") or reply.get("usercode")
        if not (isinstance(device_auth_id, str) and isinstance(user_code, str)):
            raise LoginFailed(
                f"{self._server.name} returned no device code (it answered {response.status_code}). {OTHER_WAY}"
            )
        return DeviceCode(
            device_auth_id,
            user_code,
            _read_interval(reply.get("interval")),
            _read_time(reply.get("expires_at")),
            self._server.url("/codex/device"),
        )

    async def poll(self, code: DeviceCode) -> Grant | None:
        """The grant once the user has approved; until then, and while the server fails, None: ask again later.

        Raises:
            LoginFailed: the code can't be approved anymore.
        """
        if self._server.is_backing_off():
            return None
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
            raise LoginFailed(f"{self._server.name} ended the sign-in (it answered {status}). {OTHER_WAY}")
        return Grant(authorization_code, verifier)


def _read_interval(value: object) -> float:
    """The interval in seconds, which the server sends as a string."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return DEFAULT_INTERVAL_S
    seconds = read_seconds(value)
    return DEFAULT_INTERVAL_S if seconds is None else min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, seconds))


def _read_time(value: object) -> float | None:
    """A number or an RFC 3339 time, in seconds since the epoch."""
    if not isinstance(value, str):
        return read_seconds(value)
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None
