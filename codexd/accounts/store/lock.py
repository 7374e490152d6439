"""``accounts.lock``: the process that holds it may refresh the logins and write the accounts; others only read them.

When codexd restarts, the old process passes the locked descriptor to the new one, so that no third process can take the
lock in between. A login must not be refreshed by both: the sign-in server would treat the second refresh as theft.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Protocol, Self

import trio

from codexd.accounts.model import RefreshReason, RefreshReply
from codexd.accounts.outages import BackOff
from codexd.errors import AlreadyRunning, Restarting
from codexd.files import PRIVATE

log = logging.getLogger("codexd.accounts")

LOCK_NAME = "accounts.lock"
RESTARTING = "codexd is restarting. Try again in a moment."


class Hold(Enum):
    """What this process may do with the accounts."""

    OWN = "own"
    LENDING = "lending"
    """No refresh begins; those that run are still saved."""
    LENT = "lent"
    """The successor has the accounts: this process only reads them."""
    CLOSED = "closed"


class StoreLock:
    """The lock, and what it allows. ``descriptor`` holds it until it is closed in every process that has a copy."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.hold = Hold.OWN
        self._refreshes = 0
        self._idle = trio.Event()

    def renew(self, state_dir: Path) -> None:
        """Take the lock again if its file was deleted: then it keeps no other process out.

        Raises:
            AlreadyRunning: another process has taken the lock meanwhile.
            OSError
        """
        path = state_dir / LOCK_NAME
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self.descriptor), path.stat()):
                return
        renewed = self.take(state_dir)
        log.warning("%s was deleted and has been made again", path)
        os.close(self.descriptor)
        self.descriptor = renewed.descriptor

    @classmethod
    def take(cls, state_dir: Path) -> Self:
        """Take the lock in ``state_dir``.

        Raises:
            AlreadyRunning: another process holds it.
            OSError
        """
        lock = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            os.fchmod(lock, PRIVATE)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise AlreadyRunning(
                f"Another codexd is using {state_dir}. Stop it with `codexctl stop`, or start this one with another "
                "--home."
            ) from None
        except OSError:
            os.close(lock)
            raise
        return cls(lock)

    def check_writable(self) -> None:
        """Raises Restarting: the successor has the accounts."""
        if self.hold not in (Hold.OWN, Hold.LENDING):
            raise Restarting(RESTARTING)

    def check_refreshable(self) -> None:
        """Raises Restarting: only the successor may refresh a login."""
        if self.hold is not Hold.OWN:
            raise Restarting(RESTARTING)

    @contextmanager
    def refreshing(self) -> Iterator[None]:
        """Ask for new tokens in this context, and save them before anything else is awaited.

        Raises:
            Restarting: only the successor may refresh a login.
        """
        self.check_refreshable()
        self._refreshes += 1
        try:
            yield
        finally:
            self._refreshes -= 1
            if not self._refreshes:
                self._idle.set()

    async def lend(self, save: Callable[[], None]) -> None:
        """Stop writing and refreshing, once the refreshes that run have ended and ``save`` has been called."""
        self.hold = Hold.LENDING
        while self._refreshes:
            self._idle = trio.Event()
            await self._idle.wait()
        save()
        self.hold = Hold.LENT

    def take_back(self) -> bool:
        """There is no successor after all. Returns whether one could have written in the meantime."""
        was_lent = self.hold is Hold.LENT
        self.hold = Hold.OWN
        return was_lent

    def close(self) -> None:
        os.close(self.descriptor)
        self.hold = Hold.CLOSED


class _TokenEndpoint(Protocol):
    @property
    def back_off(self) -> BackOff: ...

    async def refresh(self, refresh_token: str, reason: RefreshReason) -> RefreshReply: ...
    async def revoke(self, refresh_token: str) -> bool: ...


class LockedEndpoint:
    """The sign-in server's token endpoint, as far as ``lock`` allows."""

    def __init__(self, endpoint: _TokenEndpoint, lock: StoreLock) -> None:
        self._endpoint = endpoint
        self._lock = lock

    @property
    def back_off(self) -> BackOff:
        return self._endpoint.back_off

    async def refresh(self, refresh_token: str, reason: RefreshReason) -> RefreshReply:
        """Raises Restarting, and what the endpoint raises."""
        with self._lock.refreshing():
            return await self._endpoint.refresh(refresh_token, reason)

    async def revoke(self, refresh_token: str) -> bool:
        return await self._endpoint.revoke(refresh_token)
