import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.limits import Observation, Window
from codexd.accounts.tracker import QUEUE_LENGTH, LimitTracker


def seen(clock, *used, reset_in=600.0, name="5h", length=18000.0):
    windows = tuple(Window(name, percent, length, clock() + reset_in) for percent in used)
    return Observation(windows, "plus", clock())


@pytest.fixture
async def tracker(clock, nursery):
    tracker = LimitTracker(clock)
    nursery.start_soon(tracker.run)
    return tracker


async def tell(tracker, *observations):
    for observation in observations:
        tracker.observe("a", observation)
    await wait_all_tasks_blocked()


async def test_windows_are_kept_per_account_and_the_newest_holds(tracker, clock):
    weekly = seen(clock, 7.0, name="weekly", length=604800.0)
    await tell(tracker, seen(clock, 10.0), weekly, seen(clock, 5.0))
    assert [(window.name, window.used_percent) for window in tracker.windows("a")] == [("5h", 5.0), ("weekly", 7.0)]
    assert tracker.fetched_at("a") == clock()
    assert (tracker.windows("b"), tracker.fetched_at("b")) == ((), None)


async def test_a_window_ends_with_its_reset(tracker, clock):
    await tell(tracker, seen(clock, 100.0))
    clock.now += 600
    assert tracker.windows("a") == ()


async def test_a_full_queue_drops_and_counts(clock):
    tracker = LimitTracker(clock)
    for _ in range(QUEUE_LENGTH + 3):
        tracker.observe("a", seen(clock, 1.0))
    assert tracker.dropped == 3


async def test_run_may_be_started_again(clock):
    tracker = LimitTracker(clock)
    for used in (1.0, 2.0):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tracker.run)
            await tell(tracker, seen(clock, used))
            nursery.cancel_scope.cancel()
        assert [window.used_percent for window in tracker.windows("a")] == [used]


async def test_the_log_tells_each_threshold_once_in_a_period(tracker, clock, caplog):
    caplog.set_level(logging.WARNING)
    for used in (79.0, 80.0, 79.5, 85.0, 100.0, 100.0):
        clock.now += 1
        await tell(tracker, seen(clock, used, reset_in=18000.0))
    assert [record.message for record in caplog.records] == ["the 5h window is 80 % used", "the 5h window is used up"]
    caplog.clear()
    clock.now += 18001
    await tell(tracker, seen(clock, 81.0, reset_in=18000.0))
    assert [record.message for record in caplog.records] == ["the 5h window is 81 % used"]


async def test_a_window_first_seen_full_is_told_once_as_full(tracker, clock, caplog):
    caplog.set_level(logging.WARNING)
    await tell(tracker, seen(clock, 100.0), seen(clock, 100.0))
    assert [record.message for record in caplog.records] == ["the 5h window is used up"]
