"""One account's ``auth.json``, in the Codex CLI's own format.

It is either codexd's own, in a folder that can serve as a ``CODEX_HOME``, or a followed file of another program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs
from attrs import field, frozen

from codexd import jsontext
from codexd.accounts.login import SIGN_IN, Identity, apply_reply, expiry_of_reply, read_identity, read_tokens
from codexd.accounts.model import Account, RefreshReply, Tokens
from codexd.errors import FileUnreadable, LoginFileInvalid
from codexd.files import keep_aside, make_private_folder, read_foreign, read_private, write_atomic

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

    def renew(self, reply: RefreshReply, now: float) -> Self:
        """The login after a refresh."""
        auth_json = apply_reply(self.auth_json, reply, now)
        tokens, expires_at = read_tokens(auth_json), expiry_of_reply(reply, now)
        if expires_at is not None:
            tokens = attrs.evolve(tokens, expires_at=expires_at)
        return attrs.evolve(self, auth_json=auth_json, tokens=tokens)


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


def write_login(folder: Path, account_id: str, login: Login) -> None:
    """Replace the account's login. An unreadable file in its place is kept as ``auth.json.unreadable``.

    Raises:
        OSError: it could not be written.
    """
    make_private_folder(folder)
    _keep_unreadable(folder, account_id)
    write_atomic(folder / FILE_NAME, jsontext.dumps(login.auth_json) + b"\n")


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


class HeldLogins:
    """The last readable login of each account, in memory, and why its file can't be read now.

    The accounts' folders are in ``accounts_dir``.
    """

    def __init__(self, accounts_dir: Path) -> None:
        self._accounts_dir = accounts_dir
        self._logins: dict[str, Login] = {}
        self._problems: dict[str, str] = {}

    def folder(self, account_id: str) -> Path:
        return self._accounts_dir / account_id

    def find(self, account_id: str) -> Login | None:
        """The login as last read."""
        return self._logins.get(account_id)

    def find_problem(self, account_id: str) -> str | None:
        """Why the account's file could not be read the last time."""
        return self._problems.get(account_id)

    def unusable_reason(self, account: Account) -> str | None:
        """Why the account has no usable tokens, or None.

        A followed file is half written while its owner rotates the tokens, and may hold another account for a while:
        the login that was read before is used until its tokens expire.
        """
        if account.followed is not None and account.id in self._logins:
            return None
        return self.find_problem(account.id)

    def load(self, account: Account) -> None:
        """Read the account's file. If it can't be read, remember why and keep the login as last read."""
        try:
            if account.followed is None:
                login = read_login(self.folder(account.id), account.id)
            else:
                login = read_followed(Path(account.followed), account.id)
        except FileUnreadable as error:
            self._problems[account.id] = str(error)
            return
        known = self.find(account.id)
        if known and known.tokens.access_token == login.tokens.access_token:
            # The expiry of an opaque token is known only from the reply that brought it, not from the file.
            login = attrs.evolve(login, tokens=attrs.evolve(login.tokens, expires_at=known.tokens.expires_at))
        self.hold(account.id, login)

    def hold(self, account_id: str, login: Login) -> None:
        self._logins[account_id] = login
        self._problems.pop(account_id, None)

    def forget(self, account_id: str) -> None:
        self._logins.pop(account_id, None)
        self._problems.pop(account_id, None)

    def write(self, account_id: str, login: Login) -> None:
        """Write the login into the account's folder.

        Raises:
            OSError: it could not be written.
        """
        write_login(self.folder(account_id), account_id, login)

    def delete(self, account_id: str) -> None:
        """Delete the login in the account's folder.

        Raises:
            OSError: it could not be deleted.
        """
        delete_login(self.folder(account_id), account_id)
