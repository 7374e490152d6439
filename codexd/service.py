"""What ends the daemon or makes it read its settings again: signals, and a client that asks."""

from __future__ import annotations

import logging
import signal

import trio
from attrs import frozen

from codexd.errors import CodexdError
from codexd.settings.live import LiveSettings

log = logging.getLogger("codexd.daemon")

REPLY_S = 5.0
"""How long to wait for the reply to ``daemon.stop`` to go out."""


async def stop_on_signal(stopping: trio.Event, drain_s: float) -> None:
    """Set ``stopping`` on the first SIGTERM or SIGINT; a second one ends the process at once, as it does elsewhere."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; running streams have %g s", signal.Signals(number).name, drain_s)
            break
    stopping.set()


@frozen
class StopAfter:
    """Sets ``stopping`` once the client that asked for it has the reply, or has hung up."""

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
                log.error("SIGHUP: the settings stay as they were: %s", error)  # noqa: TRY400 - the text says all
