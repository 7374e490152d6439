"""Stop, restart and reload, on a signal or on a client's request."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from attrs import define, field, frozen

from codexd.api.daemon import Process
from codexd.errors import CodexdError, RestartFailed
from codexd.service.handover import Handover
from codexd.service.line import Line
from codexd.service.manager import Manager
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


async def stop_on_signal(stop: Callable[[str], None], line: Line) -> None:
    """Stop on the first SIGTERM or SIGINT; a second one ends the process at once, as if nobody handled it.

    If another process has taken over, it gets them, too.
    """
    is_passed_on = False
    with line.taking_signals(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            stop(signal.Signals(number).name)
            if not line.pass_on(number):
                break
            if is_passed_on:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            is_passed_on = True
    with _unhandled(signal.SIGINT):  # Python's own handler would wait for what can't be cancelled
        await trio.sleep_forever()


@contextmanager
def _unhandled(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


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


@define(eq=False)
class Restart:
    """Hands over to a new process, and then stops this one.

    ``owned`` are the tasks that only one process may run. When the new process serves, ``on_handed_over`` is called and
    ``handed_over`` set: whoever learns that it serves must not reach this one any more.
    """

    handover: Handover
    background: trio.Nursery
    owned: trio.Nursery
    stop: Stop
    on_handed_over: Callable[[], None]
    handed_over: trio.Event = field(factory=trio.Event, init=False)
    _has_begun: bool = False

    async def __call__(self, replied: trio.Event) -> Process:
        """The new process. It goes on even if the client that asked for it disconnects.

        Raises:
            RestartFailed
        """
        if self.stop.event.is_set() or self._has_begun:
            raise RestartFailed(f"codexd is already {'restarting' if self._has_begun else 'stopping'}.")
        send, receive = trio.open_memory_channel[Process | RestartFailed](1)
        self._has_begun = True
        self.background.start_soon(self._run, send, replied)
        async for outcome in receive:
            if isinstance(outcome, Process):
                return outcome
            raise outcome
        raise RestartFailed("codexd was told to stop before the new one was ready.")

    async def _run(self, outcome: trio.MemorySendChannel[Process | RestartFailed], replied: trio.Event) -> None:
        with outcome:
            try:
                new = await self.handover.run()
            except RestartFailed as error:
                log.error("%s", error)  # noqa: TRY400 - a traceback adds nothing
                self._has_begun = False
                outcome.send_nowait(error)
                return
            self.handed_over.set()
            outcome.send_nowait(new)
        self.on_handed_over()
        self.background.start_soon(self.handover.line.listen)
        with trio.move_on_after(REPLY_S):
            await self.stop.manager.hand_over(new.pid)
        with trio.move_on_after(REPLY_S):
            await replied.wait()
        self.owned.cancel_scope.cancel("another process is the daemon")
        self.stop(f"codexd {new.version} (pid {new.pid}) has taken over")


async def stop_if_orphaned(stop: Callable[[str], None], line: Line) -> None:
    """Stop if the first process of the line has been killed: whoever did that wanted codexd to end."""
    await line.wait_until_orphaned()
    stop("the process that was started first is gone")


async def reload_on_signal(
    live: LiveSettings, manager: Manager, line: Line, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read the settings file again on each SIGHUP, or let the process do it that has taken over."""
    with line.taking_signals(signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if line.pass_on(number):
                continue
            manager.reloading()
            try:
                live.reload()
            except CodexdError as error:
                log.error("SIGHUP: the settings were not changed: %s", error)  # noqa: TRY400 - a traceback adds nothing
            manager.ready()
