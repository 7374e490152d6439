"""Sign-ins with a device code: one program shows the code, a browser anywhere approves it.

Source: codex-backend.md, section 1.5. What the server says to a code that is denied, expired or used twice
is not on record: here it is a 400, which is neither of the two statuses that mean "still pending".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from attrs import define

from codexd.simulator.identity import CLIENT_ID, SimulatedAccount
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error

DEVICE_CODE_LIFETIME_S = 900
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_DIGITS = "0123456789"


class DeviceState(Enum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    FINISHED = "finished"
    """Its authorization code was handed out."""


@define
class _Device:
    user_code: str
    expires_at: float
    state: DeviceState = DeviceState.PENDING
    account: SimulatedAccount | None = None


class DeviceBook:
    """The device codes given out so far."""

    def __init__(self, *, clock: Callable[[], float], options: Options) -> None:
        self._clock = clock
        self._options = options
        self._devices: dict[str, _Device] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Every ``device_auth_id`` ever given out."""
        return tuple(self._devices)

    def request_code(self, form: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        """A new code; 404 where device sign-in is switched off."""
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
        """Who approved the device that asks; each approval is handed out once."""
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
