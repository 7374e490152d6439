"""The sign-in server: the page where a browser signs in, and the token endpoint."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import trio
from attrs import frozen

from codexd import __version__, bounds, jsontext
from codexd.accounts.login import SIGN_IN, apply_reply, is_header_text, read_identity, read_seconds
from codexd.accounts.model import RefreshReason, RefreshReply
from codexd.accounts.outages import BackOff
from codexd.errors import AccountError, AccountNeedsLogin, LoginFailed, LoginFileInvalid, RefreshUnavailable
from codexd.translation.backend_errors import read_retry_after

log = logging.getLogger("codexd.sign_in")

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The Codex CLI's public client id; it has no secret."""

SCOPE = "openid profile email offline_access api.connectors.read api.connectors.invoke"
TIMEOUT_S = 30.0
REVOKE_TIMEOUT_S = 10.0
_FRAMING = ("content-encoding", "content-length", "transfer-encoding")
HEADERS = {"User-Agent": f"codexd/{__version__}", "originator": "codexd"}
START_AGAIN = "Start the sign-in again."

DEACTIVATED = "account has been deactivated"
DEAD_LOGIN_REASONS = {
    "refresh_token_expired": "it has not been used for too long",
    "refresh_token_reused": (
        "its refresh token was already used, by another program or by a refresh whose reply was lost"
    ),
    "refresh_token_invalidated": (
        "it was revoked, for example by a logout elsewhere, a new password, a change of the plan, or ChatGPT's "
        "Advanced Account Security"
    ),
    "invalid_grant": "the sign-in server no longer accepts it",
    "invalid_token": "the sign-in server no longer accepts it",
    "access_denied": "the sign-in server denies it access",
    "app_session_terminated": "its session was terminated, for example by a change of the plan",
    DEACTIVATED: "OpenAI has deactivated the account",
}
EXCHANGE_REFUSALS = {
    "invalid_grant": "the code was used before, is too old, or belongs to another sign-in",
    "access_denied": "it denies the account access",
    DEACTIVATED: "OpenAI has deactivated the account",
}
_CODE = re.compile(r"[a-z][a-z_-]{0,63}")


def authorize_url(auth_url: str, *, redirect_uri: str, state: str, challenge: str) -> str:
    """The URL of the page where a browser signs in. Spaces are ``%20``: the server does not understand ``+``."""
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "state": state,
        "originator": "codexd",
    }
    return f"{auth_url.rstrip('/')}/oauth/authorize?{urlencode(query, quote_via=quote)}"


def make_verifier() -> str:
    """A new PKCE verifier (RFC 7636): 86 characters."""
    return secrets.token_urlsafe(64)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier, for the authorize request."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@frozen
class SignInServer:
    """``auth_url`` is the issuer, such as ``https://auth.openai.com``. The caller closes ``http``.

    Every answer and failure is noted in ``back_off``, which callers look at before they ask. ``clock`` returns seconds
    since the epoch.
    """

    http: httpx.AsyncClient
    auth_url: str
    back_off: BackOff
    clock: Callable[[], float]

    @property
    def name(self) -> str:
        """Its name in errors, without a password that the URL may contain."""
        return f"The sign-in server {urlsplit(self.auth_url).netloc.rpartition('@')[2]}"

    def url(self, path: str) -> str:
        return f"{self.auth_url.rstrip('/')}{path}"

    async def post(
        self,
        path: str,
        failure: Callable[[str], AccountError],
        *,
        json: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> httpx.Response:
        """The response, whatever its status. If there is none, ``failure`` makes an error from a description."""
        try:
            request = self.http.build_request(
                "POST", self.url(path), json=json, data=form, headers=HEADERS, timeout=None
            )
        except httpx.InvalidURL:
            raise failure(f"{self.name} (upstream.auth_url) is not a valid URL.") from None
        self.back_off.begin(self.clock())
        try:
            with trio.fail_after(timeout_s):
                response = await self._read(request)
        except trio.TooSlowError:
            problem = f"{self.name} did not answer within {timeout_s:.0f} seconds{_say_proxy(request)}."
        except httpx.HTTPError as error:
            # The error's own text may quote a header. The extension is set by ``upstream.proxies``.
            reason = request.extensions.get("failure", type(error).__name__)
            problem = (
                f"{self.name} (upstream.auth_url) can't be reached{_say_proxy(request)} ({reason}). Check the network."
            )
        else:
            self._note(response)
            return response
        self.back_off.note_failure(problem, self.clock())
        raise failure(problem)

    def is_backing_off(self) -> bool:
        return self.back_off.refuses(self.clock())

    def _note(self, response: httpx.Response) -> None:
        status, now = response.status_code, self.clock()
        if status >= 500 or status == 429:
            asked_s = read_retry_after("", response.headers, now)
            self.back_off.note_failure(f"{self.name} answered {status}.", now, asked_s)
        else:
            self.back_off.note_success()

    async def _read(self, request: httpx.Request) -> httpx.Response:
        """The response, of which no more is read than any answer of the sign-in server has."""
        response = await self.http.send(request, stream=True)
        request.extensions["failure"] = "its answer broke off or can't be read"
        chunks = response.aiter_bytes()
        body = bytearray()
        try:
            async for chunk in chunks:
                body += chunk
                if len(body) > bounds.SIGN_IN_BYTES:
                    raise httpx.DecodingError("too large", request=request)
        finally:
            with trio.CancelScope(shield=True), suppress(httpx.HTTPError, httpx.StreamError):
                await response.aclose()
                async for _ in chunks:  # httpx leaves its unfinished generators to the garbage collector
                    pass
        headers = {name: value for name, value in response.headers.items() if name not in _FRAMING}
        return httpx.Response(response.status_code, headers=headers, content=bytes(body))


def _say_proxy(request: httpx.Request) -> str:
    """The proxy that the request went through, named by the client of ``upstream.http.open_client``."""
    proxy = request.extensions.get("proxy")
    return f" through the proxy {proxy}" if proxy else ""


class TokenEndpoint:
    """Refreshes and revokes tokens, and exchanges a code for them."""

    def __init__(self, server: SignInServer) -> None:
        self._server = server

    @property
    def back_off(self) -> BackOff:
        return self._server.back_off

    async def refresh(self, refresh_token: str, reason: RefreshReason = RefreshReason.PROACTIVE) -> RefreshReply:
        """New tokens for ``refresh_token``, which the server normally retires with this call.

        Raises:
            AccountNeedsLogin: the login is dead; trying again is useless.
            RefreshUnavailable: no usable response now. The server may have retired the token anyway.
        """
        body = {
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "refresh_reason": reason.value,
        }
        response = await self._server.post("/oauth/token", RefreshUnavailable, json=body)
        if not response.is_success:
            raise self._read_refusal(response)
        reply = _read_reply(response)
        if not (reply.access_token or reply.refresh_token):
            raise RefreshUnavailable(f"{self._server.name} answered {response.status_code} without a token.")
        return reply

    async def exchange(self, code: str, *, redirect_uri: str, verifier: str, now: float) -> dict[str, Any]:
        """Exchange an authorization ``code``, which works once, for a login: the content of an ``auth.json``.

        Raises:
            LoginFailed: says what happened and what to do.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": CLIENT_ID,
            "code_verifier": verifier,
        }
        response = await self._server.post("/oauth/token", _no_login, form=form)
        if not response.is_success:
            raise self._read_exchange_refusal(response)
        reply = _read_reply(response)
        if not (reply.access_token and reply.refresh_token):
            missing = "a refresh token" if reply.access_token else "an access token"
            raise _no_login(f"{self._server.name} answered {response.status_code} without {missing}.")
        return _make_auth_json(reply, now)

    async def revoke(self, refresh_token: str) -> bool:
        """Try to revoke the login, for at most 10 seconds; return whether the server did."""
        body = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        try:
            response = await self._server.post("/oauth/revoke", LoginFailed, json=body, timeout_s=REVOKE_TIMEOUT_S)
        except LoginFailed as error:
            log.info("the login could not be revoked: %s", error)
            return False
        if not response.is_success:
            log.info("the login could not be revoked: %s answered %d", self._server.name, response.status_code)
        return response.is_success

    def _read_refusal(self, response: httpx.Response) -> AccountError:
        status, code, shown = _read_error(response)
        if status < 500 and status != 429:
            if code in DEAD_LOGIN_REASONS:
                return AccountNeedsLogin(
                    f"The sign-in server refused the login: {DEAD_LOGIN_REASONS[code]}{shown}. {SIGN_IN}"
                )
            if status == 401:
                return AccountNeedsLogin(f"The sign-in server refused the login{shown}. {SIGN_IN}")
        return RefreshUnavailable(f"{self._server.name} answered {status}{shown}.")

    def _read_exchange_refusal(self, response: httpx.Response) -> LoginFailed:
        status, code, shown = _read_error(response)
        if status >= 500 or status == 429:
            return LoginFailed(f"{self._server.name} answered {status}{shown}. Start the sign-in again in a minute.")
        reason = EXCHANGE_REFUSALS.get(code or "", f"it answered {status}")
        return _no_login(f"{self._server.name} refused the code: {reason}{shown}.")


def _no_login(what: str) -> LoginFailed:
    return LoginFailed(f"{what} {START_AGAIN}")


def _make_auth_json(reply: RefreshReply, now: float) -> dict[str, Any]:
    """The content of an ``auth.json``, as the Codex CLI writes it."""
    auth_json = apply_reply({"auth_mode": "chatgpt", "OPENAI_API_KEY": None}, reply, now)
    try:
        account_id = read_identity(auth_json).chatgpt_account_id
    except LoginFileInvalid as error:
        raise LoginFailed(f"The sign-in server returned tokens that can't be used: {error}") from None
    return {**auth_json, "tokens": {**auth_json["tokens"], "account_id": account_id}}


def _read_reply(response: httpx.Response) -> RefreshReply:
    body = read_object(response)
    return RefreshReply(
        access_token=_read_token(body.get("access_token")),
        refresh_token=_read_token(body.get("refresh_token")),
        id_token=_read_token(body.get("id_token")),
        expires_in=read_seconds(body.get("expires_in")),
    )


def _read_error(response: httpx.Response) -> tuple[int, str | None, str]:
    """The status, the error code, and how errors show the code: in parentheses, or not at all if it looks odd."""
    code = find_error_code(response)
    return response.status_code, code, f" ({code})" if code and _CODE.fullmatch(code) else ""


def find_error_code(response: httpx.Response) -> str | None:
    """The error code in lower case: ``error.code``, ``error`` itself, or a top-level ``code``.

    A deactivated account is reported by its text only.
    """
    if DEACTIVATED.encode() in response.content.lower():
        return DEACTIVATED
    body = read_object(response)
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else error
    code = code or body.get("code")
    return code.lower() if isinstance(code, str) else None


def read_object(response: httpx.Response) -> dict[str, Any]:
    """The body if it is a JSON object, else ``{}``."""
    try:
        body = jsontext.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _read_token(value: object) -> str | None:
    return value if isinstance(value, str) and is_header_text(value) else None
