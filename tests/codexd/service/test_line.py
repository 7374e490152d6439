"""The processes of one line: who is the daemon, who waits, and what each learns of the others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack

import pytest
import trio
import trio.testing

from codexd.service.line import Line
from codexd.service.waiter import PASSED_ON


@pytest.fixture
def first():
    return Line()


@pytest.fixture
def inherit():
    """Gives a function that makes the line of a successor."""
    with ExitStack() as stack:
        yield lambda descriptor: Line(stack.enter_context(socket.socket(fileno=os.dup(descriptor))))


@pytest.fixture
def signals():
    """The handlers of the signals, which the waiter changes for good."""
    numbers = (*PASSED_ON, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def daemon():
    """A process that can be signalled."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


async def test_the_first_one_learns_which_process_is_the_daemon(first, inherit, daemon, nursery):
    second = inherit(first.offer())
    first.hand_over(2**22)
    assert second.offer() == second.offer()
    nursery.start_soon(first.listen)
    second._report(f"pid {daemon.pid}")
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert first.pass_on(signal.SIGTERM)
    assert await trio.to_thread.run_sync(daemon.wait) == -signal.SIGTERM
    second.hand_over(daemon.pid)
    assert not second.pass_on(signal.SIGTERM)
    first._own.close()


@pytest.mark.usefixtures("signals")
def test_the_last_one_says_how_all_end(first, inherit):
    second = inherit(first.offer())
    first.hand_over(2**22)
    third = inherit(second.offer())
    second.join()
    second.hand_over(2**22 + 1)
    assert second.end(0) == 0
    third.join()
    assert third.end(3) == 3
    first._waiter.receive(first._own.recv(1000))
    for each in (second, third):
        each._inherited.close()
    assert first.end(0) == 3
    first._own.close()


async def test_the_others_notice_that_it_is_gone(first, inherit, autojump_clock):
    second = inherit(first.offer())
    first.hand_over(2**22)
    with trio.move_on_after(1000) as waiting:
        await second.wait_until_orphaned()
    assert waiting.cancelled_caught
    first._own.close()
    await second.wait_until_orphaned()
    second.join()
    assert second.end(0) == 0


async def test_the_first_one_is_never_an_orphan(first, autojump_clock):
    with trio.move_on_after(1000) as waiting:
        await first.wait_until_orphaned()
    assert waiting.cancelled_caught


def test_a_successor_that_failed_leaves_nothing(first):
    descriptor = first.offer()
    first.withdraw()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert not first.pass_on(signal.SIGTERM)
    assert first.end(0) == 0


def test_where_nobody_waits_there_is_nobody_to_report_to():
    line = Line(has_waiter=False)
    assert line.offer() is None
    line.hand_over(2**22)
    assert not line.pass_on(signal.SIGTERM)
    assert line.end(0) == 0


@pytest.mark.usefixtures("signals")
async def test_a_signal_at_the_end_of_the_drain_is_not_lost(first, daemon):
    """It has arrived, and the task that reads it is cancelled before it could."""
    first.offer()
    with first.taking_signals(signal.SIGTERM):
        first.hand_over(daemon.pid)
        os.kill(os.getpid(), signal.SIGTERM)
    assert await trio.to_thread.run_sync(daemon.wait) == -signal.SIGTERM
    first._own.close()
