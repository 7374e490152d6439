"""Storing the login that a sign-in brings, and what to say when that is impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from attrs import frozen

from codexd.accounts.sign_in.callback import SignedIn
from codexd.errors import CodexdError, LoginFailed
from codexd.files import explain


@frozen
class LoginKeeper:
    """``store`` stores the content of an ``auth.json``, and returns its account and whether it is new.

    ``reserve`` proves that a login can be stored, for as long as its context lasts. Both raise CodexdError and OSError.
    """

    store: Callable[[dict[str, Any]], SignedIn]
    reserve: Callable[[], AbstractContextManager[object]]

    @contextmanager
    def room(self) -> Iterator[None]:
        """Room for a login. Without it a code must not be exchanged: it works only once.

        Raises:
            LoginFailed: a login could not be stored.
        """
        try:
            reserved = self.reserve()
        except (CodexdError, OSError) as error:
            raise _explain(error) from None
        with reserved:
            yield

    def keep(self, auth_json: dict[str, Any]) -> SignedIn | LoginFailed:
        """Store the login; return its account, or why that failed."""
        try:
            return self.store(auth_json)
        except (CodexdError, OSError) as error:
            return _explain(error)


def _explain(error: CodexdError | OSError) -> LoginFailed:
    if isinstance(error, OSError):
        return LoginFailed(f"The login could not be written to disk. {explain(error)} Then start the sign-in again.")
    return LoginFailed(f"The login can't be stored: {error}")
