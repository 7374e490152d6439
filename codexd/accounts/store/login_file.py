"""One account's ``auth.json``, in the Codex CLI's own format.

It is either codexd's own, in a folder that can serve as a ``CODEX_HOME``, or a followed file of another program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from codexd import jsontext
from codexd.accounts.login import SIGN_IN, Identity, apply_reply, expiry_of_reply, read_identity, read_tokens
from codexd.accounts.model import RefreshReply, Tokens
from codexd.errors import FileUnreadable, LoginFileInvalid
from codexd.files import ReservedSpace, keep_aside, make_private_folder, read_foreign, read_private, write_atomic

FILE_NAME = "auth.json"
SIMULATED_KEY = "codexd_simulated"
"""codexd's own field: a simulated account that is missing from ``accounts.json`` must not be taken for a real one."""

OWN_ADVICE = "Check who owns it."
FOLLOWED_ADVICE = "Run `codex login` there, or `codexctl accounts add` to sign in here."


@frozen
class Login:
    """The whole content of an ``auth.json``, and what codexd reads from it."""

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
    """The content with ``SIMULATED_KEY`` if ``simulated``, without it if not."""
    rest = {name: value for name, value in auth_json.items() if name != SIMULATED_KEY}
    return rest | {SIMULATED_KEY: True} if simulated else rest


def renew_login(login: Login, reply: RefreshReply, now: float) -> Login:
    """The login with the tokens of a refresh."""
    auth_json = apply_reply(login.auth_json, reply, now)
    tokens = read_tokens(auth_json)
    expires_at = expiry_of_reply(reply, now)
    if expires_at is not None:
        tokens = attrs.evolve(tokens, expires_at=expires_at)
    return attrs.evolve(login, auth_json=auth_json, tokens=tokens)


def read_login(folder: Path, account_id: str) -> Login:
    """The login in the account's folder.

    Raises:
        FileUnreadable: no such file, no login, or another account's. Names the file, the reason, and what to do.
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
    """The login in another program's file, which is only read: its mode is left alone.

    Raises:
        FileUnreadable: as ``read_login``. A half-written file is unreadable now and may be readable a moment later.
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


def write_login(folder: Path, account_id: str, login: Login, space: ReservedSpace | None = None) -> None:
    """Replace the account's login, in ``space`` if there is some. An unreadable file in its place is kept aside.

    Raises:
        OSError: it could not be written.
    """
    make_private_folder(folder)
    _keep_unreadable(folder, account_id)
    data = jsontext.dumps(login.auth_json) + b"\n"
    if space is None:
        write_atomic(folder / FILE_NAME, data)
    else:
        space.write(data)


def delete_login(folder: Path, account_id: str) -> None:
    """Delete the account's login, and its folder unless that holds an unreadable file.

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
        raise LoginFileInvalid(f"it holds the login of another account ({login.identity.name}). {SIGN_IN}")
    return login
