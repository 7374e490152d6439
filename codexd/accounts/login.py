"""Reading an ``auth.json`` of the Codex CLI: whose login it is, its tokens, and its content after a refresh. Pure.

Tokens are read, never verified: they come from the user's own sign-in, and the server checks them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from codexd import jsontext
from codexd.accounts.model import Account, RefreshReply, Tokens
from codexd.errors import AccountNeedsLogin, LoginFileInvalid

AUTH_CLAIM = "https://api.openai.com/auth"
PROFILE_CLAIM = "https://api.openai.com/profile"
SIGN_IN = "Run `codexctl accounts add` to sign in again."
UNKNOWN_PLAN = "unknown"
MAX_TIME_S = 1e11
ASSUMED_LIFETIME_S = 3600.0
"""How long an access token is assumed to last if neither it nor the server says."""

_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")


@frozen
class Identity:
    """Whose login it is: a user in a workspace. ``email`` identifies neither and may be empty."""

    chatgpt_account_id: str
    user_id: str
    email: str
    plan: str

    @property
    def account_id(self) -> str:
        """The account's id inside codexd: 12 hexadecimal digits."""
        return hashlib.sha256(f"{self.chatgpt_account_id}/{self.user_id}".encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """For errors: two accounts of one person differ in the workspace only."""
        return ", ".join(filter(None, (self.email, f"workspace {self.chatgpt_account_id}")))


def is_header_text(value: object) -> bool:
    """Whether a token or id can go into a header. If it can't, the HTTP library's error would quote it."""
    return isinstance(value, str) and _HEADER_TEXT.fullmatch(value) is not None


def read_claims(token: object) -> dict[str, Any] | None:
    """The payload of a JWT, or None if ``token`` is not one."""
    if not isinstance(token, str) or token.count(".") != 2:
        return None
    payload = token.split(".")[1]
    try:
        claims = jsontext.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def read_expiry(token: object) -> float | None:
    """When the JWT expires, in seconds since the epoch, or None if it does not say."""
    return read_seconds((read_claims(token) or {}).get("exp"))


def read_seconds(value: object) -> float | None:
    """A plausible number of seconds, or None: NaN, true and 10 ** 400 are not plausible."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MAX_TIME_S else None


def find_workspace(token: object) -> str:
    """The workspace that the token was issued for; ``""`` if it does not say."""
    return _first_text([_read_object(read_claims(token) or {}, AUTH_CLAIM)], "chatgpt_account_id")


def read_identity(auth_json: Mapping[str, Any]) -> Identity:
    """Whose login the file holds. The id token is read first, then the access token.

    Raises:
        LoginFileInvalid: the tokens don't name the workspace or the user; the message says which is missing.
    """
    tokens = _read_object(auth_json, "tokens")
    payloads = [payload for name in ("id_token", "access_token") if (payload := read_claims(tokens.get(name)))]
    if not payloads:
        raise LoginFileInvalid(f"neither id_token nor access_token can be read as a JWT. {SIGN_IN}")
    claims = [_read_object(payload, AUTH_CLAIM) for payload in payloads]
    profiles = payloads + [_read_object(payload, PROFILE_CLAIM) for payload in payloads]
    chatgpt_account_id = _first_text([*claims, {"chatgpt_account_id": tokens.get("account_id")}], "chatgpt_account_id")
    user_id = _first_text(claims, "chatgpt_user_id") or _first_text(claims, "user_id")
    has_workspace = is_header_text(chatgpt_account_id)
    wanted = {"chatgpt_account_id (the workspace)": has_workspace, "chatgpt_user_id (the user)": user_id}
    missing = " and ".join(name for name, value in wanted.items() if not value)
    if missing:
        raise LoginFileInvalid(f"its tokens do not name {missing}. {SIGN_IN}")
    plan = _first_text(claims, "chatgpt_plan_type") or UNKNOWN_PLAN
    return Identity(chatgpt_account_id, user_id, _first_text(profiles, "email"), plan)


def read_tokens(auth_json: Mapping[str, Any]) -> Tokens:
    """The tokens in the file. An access token without a readable expiry lasts an hour from ``last_refresh``.

    Raises:
        LoginFileInvalid: it holds an API key instead of a ChatGPT login, or a token is missing; the message says which.
    """
    tokens = _read_object(auth_json, "tokens")
    if not tokens and (auth_json.get("auth_mode") == "apikey" or isinstance(auth_json.get("OPENAI_API_KEY"), str)):
        raise LoginFileInvalid(f"it holds an API key, but codexd needs a ChatGPT login. {SIGN_IN}")
    access_token, refresh_token = (_first_text([tokens], name) for name in ("access_token", "refresh_token"))
    wanted = {"tokens.access_token": access_token, "tokens.refresh_token": refresh_token}
    missing = " and ".join(name for name, value in wanted.items() if not value)
    if missing:
        raise LoginFileInvalid(f"it has no {missing}. {SIGN_IN}")
    if not (is_header_text(access_token) and is_header_text(refresh_token)):
        raise LoginFileInvalid(f"it holds a token with invalid characters. {SIGN_IN}")
    expires_at = read_expiry(access_token)
    if expires_at is None:
        expires_at = read_last_refresh(auth_json) + ASSUMED_LIFETIME_S
    return Tokens(access_token, refresh_token, _first_text([tokens], "id_token") or None, expires_at)


def read_last_refresh(auth_json: Mapping[str, Any]) -> float:
    """When the file's tokens were issued, in seconds since the epoch; 0.0 if it does not say."""
    return read_time(auth_json.get("last_refresh"))


def fingerprint(refresh_token: str) -> str:
    """16 hexadecimal digits that identify a refresh token without revealing it."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()[:16]


def apply_reply(auth_json: Mapping[str, Any], reply: RefreshReply, now: float) -> dict[str, Any]:
    """The new content of the file: the tokens in the reply replace the old ones, everything else stays.

    An unreadable id token is left out: its only use is to identify the account.
    """
    rotated = {"access_token": reply.access_token, "refresh_token": reply.refresh_token}
    if read_claims(reply.id_token):
        rotated["id_token"] = reply.id_token
    tokens = _read_object(auth_json, "tokens") | {name: token for name, token in rotated.items() if token}
    return {**auth_json, "tokens": tokens, "last_refresh": format_time(now)}


def format_time(at: float) -> str:
    """Format seconds since the epoch the way ``last_refresh`` is written: ``2026-11-20T10:00:00.000000Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def expiry_of_reply(reply: RefreshReply, now: float) -> float | None:
    """When the reply's access token expires; None if the reply has none."""
    if not reply.access_token:
        return None
    lifetime_s = ASSUMED_LIFETIME_S if reply.expires_in is None else reply.expires_in
    return read_expiry(reply.access_token) or now + lifetime_s


def identity_of_reply(reply: RefreshReply) -> Identity | None:
    """Whose tokens the reply holds, if it says so."""
    try:
        return read_identity({"tokens": {"id_token": reply.id_token, "access_token": reply.access_token}})
    except LoginFileInvalid:
        return None


def find_other_owner(account: Account, reply: RefreshReply) -> str | None:
    """The email and workspace of the account that the reply's tokens belong to, if it is another one."""
    identity = identity_of_reply(reply)
    if identity is not None and identity.account_id != account.id:
        return identity.name
    workspaces = (find_workspace(token) for token in (reply.id_token, reply.access_token))
    return next((f"workspace {each}" for each in workspaces if each and each != account.chatgpt_account_id), None)


def _read_object(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _first_text(objects: list[dict[str, Any]], key: str) -> str:
    """The first non-empty string under ``key``, else ``""``."""
    return next((value for value in (each.get(key) for each in objects) if isinstance(value, str) and value), "")


def read_time(text: object) -> float:
    """An RFC 3339 time in seconds since the epoch; 0.0 for anything else, so that the token counts as expired."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def needs_login(account: Account, reason: str) -> AccountNeedsLogin:
    """The error for a dead login. ``reason``: full sentences that end with what to do."""
    return AccountNeedsLogin(f"The account {account.label} needs a new login. {reason}")
