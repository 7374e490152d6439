"""Logins that other programs keep on this machine: for now the Codex CLI's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codexd.accounts.login import SIGN_IN, read_identity, read_tokens
from codexd.errors import LoginFileInvalid
from codexd.translation import jsontext


def codex_auth_path(environ: Mapping[str, str]) -> Path:
    """Where the Codex CLI of this environment keeps its login: ``$CODEX_HOME``, else ``~/.codex``."""
    if environ.get("CODEX_HOME"):
        return Path(environ["CODEX_HOME"]).expanduser() / "auth.json"
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return home / ".codex" / "auth.json"


def read_codex_auth(path: Path) -> dict[str, Any]:
    """The ChatGPT login in the Codex CLI's ``auth.json``, whole, with the fields that codexd does not know.

    Raises:
        LoginFileInvalid: names the file, what is wrong with it, and what to do.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LoginFileInvalid(
            f"There is no {path}. {SIGN_IN} If `codex login status` says that you are signed in, Codex keeps the login "
            'in the keyring: set cli_auth_credentials_store = "file" in its config.toml and log in again.'
        ) from None
    except OSError as error:
        raise LoginFileInvalid(f"{path} can't be read: {error.strerror}. Check who owns it.") from None
    try:
        auth_json = jsontext.loads(data)
    except ValueError as error:
        raise LoginFileInvalid(f"{path} is not JSON ({error}). {SIGN_IN}") from None
    if not isinstance(auth_json, dict):
        raise LoginFileInvalid(f"{path} is not a JSON object. {SIGN_IN}")
    try:
        read_tokens(auth_json)
        read_identity(auth_json)
    except LoginFileInvalid as error:
        raise LoginFileInvalid(f"{path}: {error}") from None
    return auth_json
