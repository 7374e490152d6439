"""One account's ``auth.json``, in the Codex CLI's own layout.

It is ours, and its folder can serve as a ``CODEX_HOME``; or it is another program's, which is followed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from codexd import jsontext
from codexd.accounts.login import SIGN_IN, Identity, read_identity, read_tokens
from codexd.accounts.model import Tokens
from codexd.accounts.store.foreign import read_foreign
from codexd.errors import FileUnreadable, LoginFileInvalid
from codexd.files import keep_aside, make_private_folder, read_private, write_atomic

FILE_NAME = "auth.json"
SIMULATED_KEY = "codexd_simulated"
"""A field of our own: a folder that the list has lost must not be taken for a real account."""

OWN_ADVICE = "Check who owns it."
FOLLOWED_ADVICE = "Run `codex login` there, or `codexctl accounts add` to sign in here."


@frozen
class Login:
    """All that stands in an ``auth.json``, and what codexd reads out of it."""

    auth_json: dict[str, Any] = field(repr=False)
    tokens: Tokens
    identity: Identity

    @property
    def is_simulated(self) -> bool:
        return self.auth_json.get(SIMULATED_KEY) is True


def parse_login(auth_json: Mapping[str, Any]) -> Login:
    """The login in the content of an ``auth.json``.

    Raises:
        LoginFileInvalid: it holds no ChatGPT login.
    """
    return Login(dict(auth_json), read_tokens(auth_json), read_identity(auth_json))


def mark_simulated(auth_json: Mapping[str, Any], simulated: bool) -> dict[str, Any]:
    """The content with ``SIMULATED_KEY`` where it belongs, and without it where not."""
    rest = {name: value for name, value in auth_json.items() if name != SIMULATED_KEY}
    return rest | {SIMULATED_KEY: True} if simulated else rest


def read_login(folder: Path, account_id: str) -> Login:
    """The login in the account's folder.

    Raises:
        FileUnreadable: no such file, not a login, or one of another account. Names the file, the reason, what to do.
    """
    path = folder / FILE_NAME
    try:
        if folder.is_dir():
            make_private_folder(folder)
        return _parse(read_private(path), account_id)
    except FileNotFoundError:
        raise FileUnreadable(f"{path} is missing. {SIGN_IN}") from None
    except OSError as error:
        raise FileUnreadable(f"{path} can't be read: {error.strerror}. {OWN_ADVICE}") from None
    except LoginFileInvalid as error:
        raise FileUnreadable(f"{path} can't be used: {error}") from None


def read_followed(path: Path, account_id: str) -> Login:
    """The login in another program's file, which is only read: its mode is its owner's business.

    Raises:
        FileUnreadable: as ``read_login``; half written counts as no login, and is one a moment later.
    """
    try:
        return _parse(read_foreign(path), account_id)
    except FileNotFoundError:
        raise FileUnreadable(f"{path}, which this account follows, is missing. {FOLLOWED_ADVICE}") from None
    except OSError as error:
        raise FileUnreadable(
            f"{path}, which this account follows, can't be read: {error.strerror}. {FOLLOWED_ADVICE}"
        ) from None
    except LoginFileInvalid as error:
        raise FileUnreadable(f"{path}, which this account follows, can't be used: {error}") from None


def write_login(folder: Path, account_id: str, login: Login) -> None:
    """Replace the account's login; a file there that can't be read is kept as ``auth.json.unreadable``.

    Raises:
        OSError: it could not be written.
    """
    make_private_folder(folder)
    _keep_unreadable(folder, account_id)
    write_atomic(folder / FILE_NAME, jsontext.dumps(login.auth_json) + b"\n")


def delete_login(folder: Path, account_id: str) -> None:
    """Delete the account's login, and its folder with it unless a file that can't be read is kept there.

    Raises:
        OSError: it could not be deleted.
    """
    if not folder.is_dir():
        return
    _keep_unreadable(folder, account_id)
    (folder / FILE_NAME).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _keep_unreadable(folder: Path, account_id: str) -> None:
    path = folder / FILE_NAME
    try:
        read_login(folder, account_id)
    except FileUnreadable:
        if os.path.lexists(path):
            keep_aside(path)


def _parse(data: bytes, account_id: str) -> Login:
    try:
        auth_json = jsontext.loads(data)
    except ValueError as error:
        raise LoginFileInvalid(f"it is not JSON ({error}). {SIGN_IN}") from None
    if not isinstance(auth_json, dict):
        raise LoginFileInvalid(f"it is not a JSON object. {SIGN_IN}")
    login = parse_login(auth_json)
    if login.identity.account_id != account_id:
        whose = f" ({login.identity.email})" if login.identity.email else ""
        raise LoginFileInvalid(f"it holds the login of another account{whose}. {SIGN_IN}")
    return login
