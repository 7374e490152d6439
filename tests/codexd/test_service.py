"""What ends the daemon, or makes it read its settings again; ``test_daemon`` has it in a process of its own."""

import logging
import os
import signal

import pytest
import trio
import trio.testing

from codexd.line import Line
from codexd.manager import Manager
from codexd.service import Stop, StopAfter, reload_on_signal, stop_on_signal
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
