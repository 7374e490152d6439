"""The last good login of each account, in memory, and why its file can't be read now."""

from __future__ import annotations

from pathlib import Path

import attrs

from codexd.accounts.model import Account
from codexd.accounts.store.login_file import Login, delete_login, read_followed, read_login, write_login
from codexd.errors import FileUnreadable


class HeldLogins:
    """Logins by account id. Each account's folder is below ``accounts_dir``."""

    def __init__(self, accounts_dir: Path) -> None:
        self._accounts_dir = accounts_dir
        self._logins: dict[str, Login] = {}
        self._flaws: dict[str, str] = {}

    def folder(self, account_id: str) -> Path:
        return self._accounts_dir / account_id

    def find(self, account_id: str) -> Login | None:
        """The login as last read."""
        return self._logins.get(account_id)

    def find_flaw(self, account_id: str) -> str | None:
        """Why the account's file could not be read when it was last looked at."""
        return self._flaws.get(account_id)

    def find_hindrance(self, account: Account) -> str | None:
        """Why there are no tokens to work with.

        A followed file is half written whenever its owner rotates it, and may belong to another account for a while:
        the login read before goes on serving for as long as it lasts.
        """
        if account.followed is not None and account.id in self._logins:
            return None
        return self.find_flaw(account.id)

    def load(self, account: Account) -> None:
        """Read the account's file; when it can't be read, remember why, and keep the login as last read."""
        try:
            if account.followed is None:
                login = read_login(self.folder(account.id), account.id)
            else:
                login = read_followed(Path(account.followed), account.id)
        except FileUnreadable as error:
            self._flaws[account.id] = str(error)
            return
        known = self.find(account.id)
        if known and known.tokens.access_token == login.tokens.access_token:
            # An opaque token's end is known from the reply that brought it, not from the file.
            login = attrs.evolve(login, tokens=attrs.evolve(login.tokens, expires_at=known.tokens.expires_at))
        self.hold(account.id, login)

    def hold(self, account_id: str, login: Login) -> None:
        self._logins[account_id] = login
        self._flaws.pop(account_id, None)

    def write(self, account_id: str, login: Login) -> None:
        """Put the login into the account's folder.

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

    def forget(self, account_id: str) -> None:
        self._logins.pop(account_id, None)
        self._flaws.pop(account_id, None)
