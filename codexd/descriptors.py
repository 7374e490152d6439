"""File descriptors: the process's limit, how many of them clients may use, and accepting clients within that.

A client's connection may need three: its own, one to the backend, and under ``--simulate`` one on the backend's side.
Clients beyond the bound wait in the backlog of the listening socket, so that there are always descriptors left for
``codexctl``, the sign-in server and codexd's files.
"""

from __future__ import annotations

import errno
import logging
import resource

import trio
from attrs import frozen

from codexd import bounds

log = logging.getLogger("codexd.daemon")

MACOS_DESCRIPTORS = 10240
"""``OPEN_MAX``. macOS refuses a higher soft limit, even if it reports an unlimited hard limit (``setrlimit(2)``)."""

OWN_DESCRIPTORS = 24
"""The standard streams, the event loop, listening sockets, lock, history, one file and a sign-in."""

PER_CLIENT = 3

PAUSE_S = 0.5
"""How long no connection is accepted after the system had no descriptor or memory left for one."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""``errno`` of a system, or a process, that has no descriptor or memory left."""

ADVICE = "Raise its limit of open files: `ulimit -n`, or LimitNOFILE of the service."


def raise_limit() -> None:
    """Raise the soft limit. On macOS it is only 256 by default, and 1024 on most Linux systems."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (bounds.DESCRIPTORS, MACOS_DESCRIPTORS):
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)  # noqa: PLW2901 - the same number, within the hard limit
        if soft != resource.RLIM_INFINITY and soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):
                continue
        return


@frozen
class Budget:
    """How many connections of each kind there may be at once."""

    clients: int
    control: int

    @classmethod
    def of(cls, limit: int) -> Budget:
        """The budget for a process that may have ``limit`` descriptors."""
        control = max(2, min(bounds.CONTROL_CLIENTS, limit // 8))
        clients = max(2, min(bounds.CLIENTS, (limit - OWN_DESCRIPTORS - control) // PER_CLIENT))
        return cls(clients, control)

    @classmethod
    def of_process(cls) -> Budget:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return cls.of(bounds.DESCRIPTORS if soft == resource.RLIM_INFINITY else soft)


class Slots:
    """Places for ``limit`` connections."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._freed = trio.Event()

    def take(self) -> bool:
        """Take a place, if there is one."""
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def give_back(self) -> None:
        self.used -= 1
        self._freed.set()

    async def wait_for_one(self) -> None:
        while self.used >= self.limit:
            self._freed = trio.Event()
            await self._freed.wait()


async def accept(listener: trio.SocketListener) -> trio.SocketStream:
    """The next connection. If the system has no descriptor left for it, it waits in the backlog.

    Raises:
        OSError, ClosedResourceError: the listening socket can't be used any more.
    """
    is_waiting = False
    while True:
        try:
            stream = await listener.accept()
        except OSError as error:
            if not is_exhausted(error):
                raise
            if not is_waiting:
                log.error("new connections have to wait: %s. %s", error.strerror, ADVICE)  # noqa: TRY400 - no bug
            is_waiting = True
            await trio.sleep(PAUSE_S)
        else:
            if is_waiting:
                log.info("connections are accepted again")
            return stream


def is_exhausted(error: BaseException | None) -> bool:
    """Whether the system had no descriptor or memory left, as ``error`` or what it was raised from says."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_exhausted, error.exceptions))
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        return True
    return error is not None and is_exhausted(error.__cause__ or error.__context__)
