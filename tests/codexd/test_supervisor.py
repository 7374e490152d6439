"""Supervised tasks, on a virtual clock."""

from __future__ import annotations

import pytest
import trio

from codexd.errors import TaskGaveUp
from codexd.supervisor import MAX_FAILURES, OnFailure, Supervisor, TaskState, back_off_s

NO_JITTER = lambda: 0.0  # noqa: E731


async def test_a_task_that_returns_has_stopped():
    supervisor = Supervisor(NO_JITTER)

    async def run():
        pass

    await supervisor.supervise("work", run)
    (status,) = supervisor.tasks
    assert (status.name, status.state, status.restarts, status.last_error) == ("work", TaskState.STOPPED, 0, None)


async def test_a_failing_task_is_restarted_and_counted(autojump_clock, caplog):
    supervisor = Supervisor(NO_JITTER)
    starts = []

    async def run():
        starts.append(trio.current_time())
        if len(starts) < 4:
            raise OSError("no luck")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.supervise, "work", run)
        await trio.sleep(10)
        (status,) = supervisor.tasks
        nursery.cancel_scope.cancel()
    assert [round(start - starts[0], 3) for start in starts] == [0, 0.5, 1.5, 3.5]
    assert (status.state, status.restarts, status.last_error) == (TaskState.RUNNING, 3, "OSError: no luck")
    assert "Traceback" in caplog.text
    assert "'work' failed" in caplog.text


async def test_its_state_is_visible_while_it_waits(autojump_clock):
    supervisor = Supervisor(NO_JITTER)

    async def run():
        raise ExceptionGroup("both", [ValueError("a request")])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.supervise, "work", run)
        await trio.sleep(0.1)
        (status,) = supervisor.tasks
        nursery.cancel_scope.cancel()
    assert (status.state, status.last_error) == (TaskState.BACKING_OFF, "ValueError")


async def test_a_task_that_fails_too_often_ends_the_daemon_by_name(autojump_clock):
    supervisor = Supervisor(NO_JITTER)
    starts = 0

    async def run():
        nonlocal starts
        starts += 1
        raise ValueError("for ever")

    with pytest.raises(TaskGaveUp, match=r"'work' failed 6 times in 60 s; last error: ValueError"):
        await supervisor.supervise("work", run)
    assert starts == MAX_FAILURES + 1
    assert supervisor.tasks[0].state is TaskState.FAILED


async def test_rare_failures_never_add_up(autojump_clock):
    supervisor = Supervisor(NO_JITTER)
    starts = 0

    async def run():
        nonlocal starts
        starts += 1
        await trio.sleep(30)
        if starts < 50:
            raise ValueError("once in a while")

    await supervisor.supervise("work", run)
    assert starts == 50


async def test_a_listener_that_fails_ends_the_daemon_at_once(autojump_clock):
    supervisor = Supervisor(NO_JITTER)

    async def run():
        raise OSError("gone")

    with pytest.raises(TaskGaveUp, match="'HTTP proxy' failed; last error: OSError: gone"):
        await supervisor.supervise("HTTP proxy", run, OnFailure.END_DAEMON)


async def test_cancellation_is_no_failure(autojump_clock):
    supervisor = Supervisor(NO_JITTER)
    with trio.move_on_after(1):
        await supervisor.supervise("work", trio.sleep_forever)
    assert supervisor.tasks[0].restarts == 0


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (100, 30.0)])
def test_back_off_doubles_up_to_a_ceiling(failures, delay_s):
    assert back_off_s(failures, 0) == delay_s
    assert back_off_s(failures, 1) == delay_s * 1.25
    assert back_off_s(failures, -1) == delay_s * 0.75
