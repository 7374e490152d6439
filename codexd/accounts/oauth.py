"""The sign-in server's token endpoint.

Source: section 1.4 of the backend's contract as public clients use it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio

from codexd import __version__
from codexd.accounts.login import SIGN_IN, read_seconds
from codexd.accounts.model import RefreshReply
from codexd.errors import AccountError, AccountNeedsLogin, RefreshUnavailable
from codexd.translation import jsontext

__all__ = ["CLIENT_ID", "RefreshReply", "TokenEndpoint"]

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The Codex CLI's public client id; it has no secret."""

TIMEOUT_S = 30.0
HEADERS = {"User-Agent": f"codexd/{__version__}", "originator": "codexd"}

DEACTIVATED = "account has been deactivated"
PERMANENT = {
    "refresh_token_expired": "it has not been used for too long",
    "refresh_token_reused": "another program has already used its refresh token",
    "refresh_token_invalidated": "it was revoked, as by a logout elsewhere or a new password",
    "invalid_grant": "the sign-in server no longer accepts it",
    "invalid_token": "the sign-in server no longer accepts it",
    "access_denied": "the sign-in server denies it access",
    "app_session_terminated": "its session was ended",
    DEACTIVATED: "OpenAI has deactivated the account",
}
_CODE = re.compile(r"[a-z][a-z_-]{0,63}")


class TokenEndpoint:
    """``auth_url`` is the issuer, such as ``https://auth.openai.com``. ``http`` stays the caller's to close."""

    def __init__(self, http: httpx.AsyncClient, auth_url: str) -> None:
        self._http = http
        self._url = f"{auth_url.rstrip('/')}/oauth/token"
        self._server = f"The sign-in server {urlsplit(auth_url).netloc.rpartition('@')[2]}"

    async def refresh(self, refresh_token: str) -> RefreshReply:
        """New tokens for ``refresh_token``, which the server normally retires with this call.

        Raises:
            AccountNeedsLogin: the login is dead; asking again changes nothing.
            RefreshUnavailable: no usable answer now. The server may have used up the token all the same.
        """
        body = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh_token}
        try:
            with trio.fail_after(TIMEOUT_S):
                response = await self._http.post(self._url, json=body, headers=HEADERS, timeout=None)
        except trio.TooSlowError:
            raise RefreshUnavailable(f"{self._server} did not answer within {TIMEOUT_S:.0f} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RefreshUnavailable(
                f"{self._server} (upstream.auth_url) can't be reached ({type(error).__name__}). Check the network."
            ) from None
        if response.is_success:
            return self._read_reply(response)
        raise self._read_refusal(response)

    def _read_reply(self, response: httpx.Response) -> RefreshReply:
        body = _read_object(response)
        reply = RefreshReply(
            access_token=_read_token(body.get("access_token")),
            refresh_token=_read_token(body.get("refresh_token")),
            id_token=_read_token(body.get("id_token")),
            expires_in=read_seconds(body.get("expires_in")),
        )
        if not (reply.access_token or reply.refresh_token):
            raise RefreshUnavailable(f"{self._server} answered {response.status_code} without a token.")
        return reply

    def _read_refusal(self, response: httpx.Response) -> AccountError:
        status, code = response.status_code, find_error_code(response)
        shown = f" ({code})" if code and _CODE.fullmatch(code) else ""
        if status < 500 and status != 429:
            if code in PERMANENT:
                return AccountNeedsLogin(f"The sign-in server refused the login: {PERMANENT[code]}{shown}. {SIGN_IN}")
            if status == 401:
                return AccountNeedsLogin(f"The sign-in server refused the login{shown}. {SIGN_IN}")
        return RefreshUnavailable(f"{self._server} answered {status}{shown}; codexd tries again.")


def find_error_code(response: httpx.Response) -> str | None:
    """The error code in lower case: ``error.code``, ``error`` itself, or a top-level ``code``.

    A deactivated account has no code of its own, only words.
    """
    if DEACTIVATED in response.text.lower():
        return DEACTIVATED
    body = _read_object(response)
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else error
    code = code or body.get("code")
    return code.lower() if isinstance(code, str) else None


def _read_object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = jsontext.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _read_token(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
