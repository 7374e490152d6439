"""One daemon at a time works with the accounts."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from codexd.errors import AlreadyRunning


def take_lock(state_dir: Path) -> int:
    """A descriptor that holds the lock until it is closed, or its process ends.

    Raises:
        AlreadyRunning: another process holds it.
        OSError
    """
    lock = os.open(state_dir / "accounts.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.fchmod(lock, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AlreadyRunning(
            f"Another codexd works in {state_dir}. Stop it with `codexctl stop`, or give this one its own --home."
        ) from None
    except OSError:
        os.close(lock)
        raise
    return lock
