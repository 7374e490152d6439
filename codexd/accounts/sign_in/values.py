"""The values of a sign-in, and what a browser brings back from one. Pure.

Source: section 1.2 and 1.5 of the backend's contract as public clients use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen

from codexd.errors import LoginFailed, RequestInvalid

CALLBACK_PATH = "/auth/callback"
CALLBACK_PORTS = (1455, 1457)
"""The ports to which the sign-in server sends a browser back; it refuses all others."""

LONGEST_INPUT_CHARS = 8192
LONGEST_REASON_CHARS = 200


class LoginMethod(Enum):
    """How a user signs in: a browser on this machine, one elsewhere and a paste, or a code typed on any device."""

    BROWSER = "browser"
    MANUAL = "manual"
    DEVICE = "device"


@frozen
class LoginFlow:
    """One sign-in under way. ``url`` is the page to open; ``user_code`` is what to type there, for a device flow.

    ``expires_at``: when codexd gives up, seconds since the epoch.
    """

    id: str
    method: LoginMethod
    url: str = field(repr=False)
    user_code: str | None = field(repr=False)
    expires_at: float


@frozen
class DeviceCode:
    """What the sign-in server gave for one device. ``expires_at``: seconds since the epoch, where it says so."""

    device_auth_id: str = field(repr=False)
    user_code: str = field(repr=False)
    interval_s: float
    expires_at: float | None
    url: str


@frozen
class Grant:
    """A device was approved: the code to trade in, and the PKCE verifier that the server made for it."""

    authorization_code: str = field(repr=False)
    verifier: str = field(repr=False)


@frozen
class Callback:
    """What came back from the sign-in page: a code, or an error. A code pasted alone has no state."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    error: str | None = None
    description: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Callback:
        """The callback URL's query; empty values count as missing."""
        names = {"code": "code", "state": "state", "error": "error", "description": "error_description"}
        return cls(**{field_: query.get(name) or None for field_, name in names.items()})


def redirect_uri(port: int) -> str:
    """Where the browser is sent back to; the server takes no other host than ``localhost``."""
    return f"http://localhost:{port}{CALLBACK_PATH}"


def parse_query(query: str) -> dict[str, str]:
    """The first value of each name."""
    return dict(reversed(parse_qsl(query)))


def parse_pasted(text: str) -> Callback:
    """What a user pasted: the callback URL, its query, ``code#state``, or the code alone.

    Line breaks come from terminals that wrap long lines; quotes from shells.

    Raises:
        RequestInvalid: neither a code nor an error is in it.
    """
    joined = "".join(text.split()).strip("'\"<>`")
    if not joined or len(joined) > LONGEST_INPUT_CHARS:
        raise RequestInvalid("input", f"paste the address at which the browser ended{_LOOKS_LIKE}")
    if "://" in joined or joined.startswith(("localhost", "127.0.0.1")):
        callback = Callback.of(parse_query(_query_of(joined)))
    elif "=" in joined.partition("#")[0]:
        callback = Callback.of(parse_query(joined.lstrip("?")))
    else:
        code, _, state = joined.partition("#")
        callback = Callback(code=code or None, state=state or None)
    if callback.code is None and callback.error is None:
        raise RequestInvalid("input", f"no code is in it; paste the address at which the browser ended{_LOOKS_LIKE}")
    return callback


_LOOKS_LIKE = f", which begins with {redirect_uri(CALLBACK_PORTS[0])}?code="


def _query_of(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").query
    except ValueError:
        return ""


def refusal_of(callback: Callback) -> LoginFailed:
    """What a callback with an error means for the user."""
    said = f"{callback.error} {callback.description}"
    if "missing_codex_entitlement" in said:
        return LoginFailed(
            "This workspace has no access to Codex. Sign in with another workspace, or ask its administrator for it."
        )
    reason = _printable(callback.description or "")
    if callback.error == "access_denied":
        said = f" (it says: {reason})" if reason else ""
        return LoginFailed(f"The sign-in was denied on the sign-in page{said}. Start it again if that was a mistake.")
    shown = ": ".join(part for part in (_printable(callback.error or ""), reason) if part)
    return LoginFailed(f"The sign-in page ended with an error ({shown}). Start the sign-in again.")


def _printable(text: str) -> str:
    """In one line of bounded length: it goes to terminals and logs."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:LONGEST_REASON_CHARS].rstrip(".")
