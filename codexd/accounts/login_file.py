"""One account's folder: its ``auth.json`` in the Codex CLI's own layout, so that it can serve as a ``CODEX_HOME``."""

from __future__ import annotations

import os
from itertools import chain, count
from pathlib import Path
from typing import Any

from attrs import field, frozen

from codexd.accounts.login import SIGN_IN, read_identity, read_tokens
from codexd.accounts.model import Tokens
from codexd.errors import FileUnreadable, LoginFileInvalid
from codexd.files import make_private_folder, write_atomic
from codexd.translation import jsontext


@frozen
class Login:
    """All that stands in an ``auth.json``, and the tokens among it."""

    auth_json: dict[str, Any] = field(repr=False)
    tokens: Tokens


def read_login(folder: Path, account_id: str) -> Login:
    """The login in the account's folder.

    Raises:
        FileUnreadable: no such file, not a login, or one of another account. Names the file, the reason, what to do.
    """
    path = folder / "auth.json"
    try:
        make_private_folder(folder)
        return _parse(read_private(path), account_id)
    except FileNotFoundError:
        raise FileUnreadable(f"{path} is missing. {SIGN_IN}") from None
    except OSError as error:
        raise FileUnreadable(f"{path} can't be read: {error.strerror}. Check who owns it.") from None
    except LoginFileInvalid as error:
        raise FileUnreadable(f"{path} can't be used: {error}") from None


def write_login(folder: Path, account_id: str, login: Login) -> None:
    """Replace the account's login; a file there that can't be read is kept as ``auth.json.unreadable``.

    Raises:
        OSError: it could not be written.
    """
    path = folder / "auth.json"
    try:
        read_login(folder, account_id)
    except FileUnreadable:
        if os.path.lexists(path):
            path.rename(_unused_name(folder))
    write_atomic(path, jsontext.dumps(login.auth_json) + b"\n")


def read_private(path: Path) -> bytes:
    """The file's content. A file of ours that others could read is narrowed to its owner first.

    Raises:
        OSError
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        return file.read()


def _parse(data: bytes, account_id: str) -> Login:
    try:
        auth_json = jsontext.loads(data)
    except ValueError as error:
        raise LoginFileInvalid(f"it is not JSON ({error}). {SIGN_IN}") from None
    if not isinstance(auth_json, dict):
        raise LoginFileInvalid(f"it is not a JSON object. {SIGN_IN}")
    tokens = read_tokens(auth_json)
    if read_identity(auth_json).account_id != account_id:
        raise LoginFileInvalid(f"it holds the login of another account. {SIGN_IN}")
    return Login(auth_json, tokens)


def _unused_name(folder: Path) -> Path:
    """A second unreadable file does not push out the first."""
    first = folder / "auth.json.unreadable"
    names = chain([first], (first.with_suffix(f".unreadable.{number}") for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))
