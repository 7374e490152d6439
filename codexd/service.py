"""What stops the daemon or makes it reload its settings: signals, and a client's request."""

from __future__ import annotations

import logging
import signal

import trio
from attrs import frozen

from codexd.errors import CodexdError
from codexd.settings.live import LiveSettings

log = logging.getLogger("codexd.daemon")

REPLY_S = 5.0
"""How long to wait until the reply to ``daemon.stop`` has been sent."""


async def stop_on_signal(stopping: trio.Event, drain_s: float) -> None:
    """Set ``stopping`` on the first SIGTERM or SIGINT; a second one has its default effect and ends the process."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; running streams have %g s", signal.Signals(number).name, drain_s)
            break
    stopping.set()


@frozen
class StopAfter:
    """Sets ``stopping`` once the client that asked for it has its reply or has disconnected."""

    background: trio.Nursery
    stopping: trio.Event
    drain_s: float

    def __call__(self, replied: trio.Event) -> None:
        self.background.start_soon(self._stop, replied)

    async def _stop(self, replied: trio.Event) -> None:
        with trio.move_on_after(REPLY_S):
            await replied.wait()
        log.info("asked to stop; running streams have %g s", self.drain_s)
        self.stopping.set()


async def reload_on_signal(
    live: LiveSettings, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read the settings file again on each SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            try:
                live.reload()
            except CodexdError as error:
                log.error("SIGHUP: the settings were not changed: %s", error)  # noqa: TRY400 - a traceback adds nothing
