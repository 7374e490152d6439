"""What ends the daemon, or makes it read its settings again; ``test_daemon`` has it in a process of its own."""

import logging
import os
import signal
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from attrs import Factory, define

from codexd.api.daemon import Process
from codexd.errors import RestartFailed
from codexd.service.lifecycle import Restart, Stop, StopAfter, reload_on_signal, stop_on_signal
from codexd.service.line import Line
from codexd.service.manager import Manager
from codexd.settings.live import LiveSettings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_stops(number, caplog):
    caplog.set_level(logging.INFO)
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, Stop(stopping, 12.0, Manager()), Line())
        await trio.testing.wait_all_tasks_blocked()
        os.kill(os.getpid(), number)
        await stopping.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        nursery.cancel_scope.cancel()
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_DFL
    assert f"{number.name}: stopping; running streams have 12 s" in caplog.text


async def test_the_reply_to_a_stop_goes_first_but_is_not_waited_for_without_end(autojump_clock):
    for is_replied in (True, False):
        stopping, replied = trio.Event(), trio.Event()
        async with trio.open_nursery() as background:
            StopAfter(background, Stop(stopping, 30.0, Manager()))(replied)
            await trio.testing.wait_all_tasks_blocked()
            assert not stopping.is_set()
            if is_replied:
                replied.set()
            await stopping.wait()


async def test_a_file_that_can_not_be_read_leaves_the_settings_as_they_were(tmp_path, caplog):
    path = tmp_path / "settings.toml"
    path.write_text("[log]\nhistory = 5\n")
    live = LiveSettings.open(path, environ={}, flags={})
    async with trio.open_nursery() as nursery:
        await nursery.start(reload_on_signal, live, Manager(), Line())
        for text, history in (("[log]\nhistory = 7\n", 7), ("[log]\nhistory = 'x'\n", 7), ("[log]\nhistory = 9\n", 9)):
            path.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert live.current.log.history == history
        nursery.cancel_scope.cancel()
    assert "SIGHUP: the settings were not changed" in caplog.text


@define
class FakeHandover:
    """Hands over when it is told to."""

    outcome: Process | RestartFailed
    line: Line = Factory(Line)
    go: trio.Event = Factory(trio.Event)

    async def run(self):
        await self.go.wait()
        if isinstance(self.outcome, RestartFailed):
            raise self.outcome
        return self.outcome


@asynccontextmanager
async def restarting(outcome):
    """A restart, its stop, and its nursery of owned tasks."""
    async with trio.open_nursery() as background, trio.open_nursery() as owned:
        stop, done = Stop(trio.Event(), 12.0, Manager()), []
        yield Restart(FakeHandover(outcome), background, owned, stop, partial(done.append, "handed over")), done
        background.cancel_scope.cancel()


async def test_a_restart_stops_this_process_once_the_reply_is_sent(autojump_clock):
    async with restarting(Process(7, "9.9")) as (restart, done):
        replied = trio.Event()
        restart.owned.start_soon(trio.sleep_forever)
        restart.handover.go.set()
        assert await restart(replied) == Process(7, "9.9")
        assert restart.handed_over.is_set()
        await trio.testing.wait_all_tasks_blocked()
        assert done == ["handed over"]
        assert not restart.stop.event.is_set()
        replied.set()
        await restart.stop.event.wait()
        assert restart.owned.cancel_scope.cancel_called


async def test_it_goes_on_without_the_client_that_asked_for_it(autojump_clock):
    async with restarting(Process(7, "9.9")) as (restart, done):
        with trio.move_on_after(1):
            await restart(trio.Event())
        restart.handover.go.set()
        await restart.stop.event.wait()
        assert done == ["handed over"]


async def test_one_restart_at_a_time_and_none_during_a_stop(nursery):
    async with restarting(RestartFailed("It did not start.")) as (restart, done):
        nursery.start_soon(expect_refusal, restart, "did not start")
        await trio.testing.wait_all_tasks_blocked()
        await expect_refusal(restart, "already restarting")
        restart.handover.go.set()
        await trio.testing.wait_all_tasks_blocked()
        await expect_refusal(restart, "did not start")
        assert not restart.handed_over.is_set()
        restart.stop("SIGTERM")
        await expect_refusal(restart, "already stopping")
        assert done == []


async def test_a_stop_in_the_middle_is_said(nursery):
    async with restarting(Process(7, "9.9")) as (restart, _done):
        nursery.start_soon(expect_refusal, restart, "told to stop")
        await trio.testing.wait_all_tasks_blocked()
        restart.background.cancel_scope.cancel()


async def expect_refusal(restart, said):
    with pytest.raises(RestartFailed, match=said):
        await restart(trio.Event())
