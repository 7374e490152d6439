"""The service manager that has started the daemon: what it is told, and how it is known.

Sources: sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5); launchd.plist(5).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import trio
from attrs import define, field

from codexd.api.daemon import Service

log = logging.getLogger("codexd.daemon")

STATUS_INTERVAL_S = 1.0
"""How often the status text may change: it is compared, not rebuilt for every request."""

STOP_MARGIN_S = 10.0
"""What the end takes at most beside the drain: the last events, and saving."""

STATUS_CHARS = 500
"""Of the status text, which is one line."""

_BUSY = (errno.EAGAIN, errno.ENOBUFS)
"""systemd does not read as fast as messages come."""


@define
class Manager:
    """The manager's notification socket. Without one, nothing is sent, and nothing is ever waited for.

    ``address`` is ``NOTIFY_SOCKET``; ``watchdog_s`` is the longest silence before the manager restarts the daemon.
    """

    address: str | None = None
    watchdog_s: float | None = None
    _unsent: list[str] = field(factory=list, init=False)
    _status: str = field(default="", init=False)
    _problem: str = field(default="", init=False)

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> Manager:
        return cls(_read_address(environ), _read_watchdog(environ, pid))

    def ready(self) -> None:
        self._announce("READY=1")

    def reloading(self) -> None:
        """Followed by ``ready``, whether the settings have changed or not."""
        self._announce(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def hand_over(self, pid: int) -> None:
        """Say that the process ``pid`` is the service from now on, once the manager reads. This one says nothing more.

        Otherwise the manager would take the end of this process for the end of the service.
        """
        self._announce(f"MAINPID={pid}")
        while self._unsent:
            await trio.sleep(STATUS_INTERVAL_S)
            self._send_unsent()
        self.address = None

    def stopping(self, drain_s: float) -> None:
        """The manager must wait for the drain, even if its own timeout is shorter."""
        self._announce(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round((drain_s + STOP_MARGIN_S) * 1e6)}")

    async def keep_informed(self, describe: Callable[[], str]) -> None:
        """Send ``describe()`` when it changes, and signs of life from the event loop itself."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report, describe)
            if self.watchdog_s is not None:
                nursery.start_soon(self._ping, self.watchdog_s / 2)

    async def _report(self, describe: Callable[[], str]) -> None:
        while True:
            self._send_unsent()
            status = " ".join(describe().split())[:STATUS_CHARS]
            if status != self._status and not self._unsent and self._send(f"STATUS={status}"):
                self._status = status
            await trio.sleep(STATUS_INTERVAL_S)

    async def _ping(self, interval_s: float) -> None:
        while True:
            self._send("WATCHDOG=1")
            await trio.sleep(interval_s)

    def _announce(self, message: str) -> None:
        """Send a change of state now, or as soon as the manager reads again."""
        if self.address is not None:
            self._unsent.append(message)
            self._send_unsent()

    def _send_unsent(self) -> None:
        while self._unsent and self._send(self._unsent[0]):
            self._unsent.pop(0)

    def _send(self, message: str) -> bool:
        """Send without waiting. Returns False if that did not work; it may the next time."""
        if self.address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(errors="replace"), self.address)
        except OSError as error:
            problem = error.strerror or str(error)
            if error.errno not in _BUSY and problem != self._problem:
                log.warning("the service manager can't be notified: %s", problem)
                self._problem = problem
            return False
        self._problem = ""
        return True


def _read_address(environ: Mapping[str, str]) -> str | None:
    """The address for ``sendto``: a path, or an abstract one, which begins with NUL."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address.startswith("@"):
        return f"\0{address[1:]}"
    return address if address.startswith("/") else None


def _read_watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds, unless the watchdog is for another process."""
    limit_us = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not limit_us.isdecimal():
        return None
    return int(limit_us) / 1e6 or None


def knows_main_process(environ: Mapping[str, str], pid: int) -> bool:
    """Whether systemd runs this process, so that it can be told that another one is the service from now on."""
    service = describe_service(environ, pid, 0, "", activated=False)
    return pid != 1 and service.manager == "systemd" and _read_address(environ) is not None


def find_service(environ: Mapping[str, str], *, activated: bool) -> Service:
    """The service that this process is."""
    return describe_service(environ, os.getpid(), os.getppid(), _read_cgroup(), activated=activated)


def describe_service(environ: Mapping[str, str], pid: int, parent: int, cgroup: str, *, activated: bool) -> Service:
    """Which manager runs the process ``pid``.

    Only what names the process counts: everything that is started in a desktop session inherits the variables.
    """
    if environ.get("SYSTEMD_EXEC_PID") == str(pid):
        return Service("systemd", _find_unit(cgroup), activated)
    if "SYSTEMD_EXEC_PID" not in environ and environ.get("NOTIFY_SOCKET"):  # before systemd 248
        return Service("systemd", _find_unit(cgroup), activated)
    label = environ.get("XPC_SERVICE_NAME", "0")
    if parent == 1 and label not in ("", "0"):
        return Service("launchd", label, activated)
    return Service(None, None, activated)


def _find_unit(cgroup: str) -> str | None:
    """The innermost service of ``/proc/self/cgroup``, such as codexd.service."""
    names = [part for line in cgroup.splitlines() for part in line.split("/") if part.endswith(".service")]
    return names[-1] if names else None


def _read_cgroup() -> str:
    try:
        return Path("/proc/self/cgroup").read_text("utf-8", "replace")
    except OSError:  # not Linux, or no /proc
        return ""
