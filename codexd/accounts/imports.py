"""Logins that other programs store on this machine: the Codex CLI, and codexd's predecessor codex-claude-proxy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from codexd import jsontext
from codexd.accounts.login import (
    ASSUMED_LIFETIME_S,
    MAX_TIME_S,
    SIGN_IN,
    format_time,
    read_claims,
    read_expiry,
    read_identity,
    read_seconds,
    read_time,
    read_tokens,
)
from codexd.errors import LoginFileInvalid
from codexd.files import read_foreign

INSTEAD = "To sign in without a file, run `codexctl accounts add`."
OTHER_FILE = f"Name an auth.json, an accounts.json of codex-claude-proxy, or the folder of one. {INSTEAD}"
KEYRING = (
    "If `codex login status` says that you are signed in, Codex keeps the login in the keyring: set "
    'cli_auth_credentials_store = "file" in its config.toml and log in again. '
    f"{INSTEAD}"
)


@frozen
class Logins:
    """The contents of a login file.

    ``logins`` are contents of an ``auth.json``, the active account's first; ``problems`` say which entries can't be
    used; ``path`` is the file they were read from; ``followable``: the file is a program's own ``auth.json``.
    """

    path: Path
    logins: tuple[dict[str, Any], ...] = field(repr=False)
    problems: tuple[str, ...] = ()
    followable: bool = False


def codex_auth_path(environ: Mapping[str, str]) -> Path:
    """Where the Codex CLI stores its login in this environment: ``$CODEX_HOME``, else ``~/.codex``."""
    if environ.get("CODEX_HOME"):
        return Path(environ["CODEX_HOME"]).expanduser() / "auth.json"
    return _home(environ) / ".codex" / "auth.json"


def predecessor_path(environ: Mapping[str, str]) -> Path:
    """Where codex-claude-proxy stores its accounts."""
    return _home(environ) / ".codex-claude-proxy" / "accounts.json"


def read_logins(path: Path) -> Logins:
    """The logins in a file of either program, or in a folder that holds one.

    Raises:
        LoginFileInvalid: no login can be used. Names the file, what is wrong with it, and what to do.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder above can't be entered
        found = [path / name for name in ("auth.json", "accounts.json") if os.path.isfile(path / name)]  # noqa: PTH113
        if not found:
            raise LoginFileInvalid(f"{path} contains neither auth.json nor accounts.json. {OTHER_FILE}")
        path = found[0]
    content = _read_object(path)
    if isinstance(content.get("accounts"), list):
        return _read_predecessor(path, content)
    return Logins(path, (_check_codex_auth(path, content),), followable=True)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = read_foreign(path)
    except FileNotFoundError:
        advice = KEYRING if path.name == "auth.json" else OTHER_FILE
        raise LoginFileInvalid(f"{path} does not exist. {advice}") from None
    except OSError as error:
        raise LoginFileInvalid(f"{path} can't be read: {error.strerror}. Check who owns it.") from None
    try:
        content = jsontext.loads(data)
    except ValueError as error:
        raise LoginFileInvalid(f"{path} is not JSON ({error}). {OTHER_FILE}") from None
    if not isinstance(content, dict):
        raise LoginFileInvalid(f"{path} is not a JSON object. {OTHER_FILE}")
    return content


def _check_codex_auth(path: Path, auth_json: dict[str, Any]) -> dict[str, Any]:
    try:
        read_tokens(auth_json)
        read_identity(auth_json)
    except LoginFileInvalid as error:
        raise LoginFileInvalid(f"{path}: {str(error).removesuffix(SIGN_IN)}{INSTEAD}") from None
    return auth_json


def _read_predecessor(path: Path, content: Mapping[str, Any]) -> Logins:
    """The accounts of codex-claude-proxy. An unusable one does not affect the others."""
    logins, problems = [], []
    for number, entry in enumerate(_active_first(content)):
        if not isinstance(entry, dict):
            problems.append(f"{path}: skipped an entry that is not a JSON object.")
            continue
        name = entry["email"] if isinstance(entry.get("email"), str) else f"account {number + 1}"
        try:
            logins.append(_check_codex_auth(path, _to_auth_json(entry)))
        except LoginFileInvalid as error:
            problems.append(f"{name}: {error}")
    if not logins:
        raise LoginFileInvalid(" ".join(problems) or f"{path} lists no accounts. {OTHER_FILE}")
    return Logins(path, tuple(logins), tuple(problems))


def _active_first(content: Mapping[str, Any]) -> list[Any]:
    """The entries, the active account first: the first imported account becomes codexd's active one."""
    active = content.get("activeAccount")
    entries: list[Any] = content["accounts"]
    return sorted(entries, key=lambda entry: not (isinstance(entry, dict) and active and entry.get("email") == active))


def _to_auth_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "id_token": "idToken",
        "access_token": "accessToken",
        "refresh_token": "refreshToken",
        "account_id": "accountId",
    }
    tokens = {name: entry[theirs] for name, theirs in names.items() if entry.get(theirs)}
    auth_json = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens}
    issued_at = _find_issued_at(entry)
    return auth_json | {"last_refresh": format_time(issued_at)} if issued_at else auth_json


def _find_issued_at(entry: Mapping[str, Any]) -> float | None:
    """When the entry's tokens were issued, in seconds since the epoch. No field says so directly.

    An access token that states neither its issue time nor its expiry is assumed to expire at ``expiresAt``, so the
    result is chosen such that ``login.read_tokens`` derives that expiry from ``last_refresh``.
    """
    token = entry.get("accessToken")
    issued_at = read_seconds((read_claims(token) or {}).get("iat"))
    if issued_at is not None:
        return issued_at
    expires_at = entry.get("expiresAt")
    if read_expiry(token) is None and isinstance(expires_at, int | float):
        earliest_ms, latest_ms = ASSUMED_LIFETIME_S * 1000, MAX_TIME_S * 1000
        if earliest_ms < expires_at < latest_ms:
            return expires_at / 1000 - ASSUMED_LIFETIME_S
    return read_time(entry.get("addedAt")) or None


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
