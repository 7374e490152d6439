"""What stops the daemon or makes it reload its settings: signals, and a client's request."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import trio
from attrs import frozen

from codexd.errors import CodexdError
from codexd.manager import Manager
from codexd.settings.live import LiveSettings

log = logging.getLogger("codexd.daemon")

REPLY_S = 5.0
"""How long to wait until the reply to ``daemon.stop`` has been sent."""


@frozen
class Stop:
    """Begins the stop. The service manager is told first, because the drain of an idle daemon takes no time."""

    event: trio.Event
    drain_s: float
    manager: Manager

    def __call__(self, reason: str) -> None:
        if not self.event.is_set():
            log.info("%s: stopping; running streams have %g s", reason, self.drain_s)
            self.manager.stopping(self.drain_s)
            self.event.set()


async def stop_on_signal(stop: Callable[[str], None]) -> None:
    """Stop on the first SIGTERM or SIGINT; a second one has its default effect and ends the process."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            stop(signal.Signals(number).name)
            return


@frozen
class StopAfter:
    """Stops once the client that asked for it has its reply or has disconnected."""

    background: trio.Nursery
    stop: Callable[[str], None]

    def __call__(self, replied: trio.Event) -> None:
        self.background.start_soon(self._stop, replied)

    async def _stop(self, replied: trio.Event) -> None:
        with trio.move_on_after(REPLY_S):
            await replied.wait()
        self.stop("asked by codexctl")


async def reload_on_signal(
    live: LiveSettings, manager: Manager, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read the settings file again on each SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            manager.reloading()
            try:
                live.reload()
            except CodexdError as error:
                log.error("SIGHUP: the settings were not changed: %s", error)  # noqa: TRY400 - a traceback adds nothing
            manager.ready()
