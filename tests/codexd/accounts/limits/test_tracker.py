import logging
import time

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd import bounds
from codexd.accounts.limits.cooldown import Reason
from codexd.accounts.limits.tracker import SAVE_INTERVAL_S, LimitTracker
from codexd.accounts.limits.windows import Limits, Observation, Window
from codexd.api.accounts import CreditsInfo
from codexd.errors import RateLimited, UsageLimitReached

DAY = 86400.0


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


async def test_a_full_queue_drops_what_comes_and_holds_nobody_up(clock):
    tracker = LimitTracker(clock)
    for number in range(bounds.OBSERVATIONS + 3):
        tracker.observe("a", seen(clock, float(number % 50)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tracker.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert tracker.windows("a")[0].used_percent == (bounds.OBSERVATIONS - 1) % 50


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


# -- what is known --------------------------------------------------------------------------------


def window(clock, used, name="5h", length=18000.0, reset_in=600.0, limit=None):
    return Window(name, used, length, clock() + reset_in, limit)


def said(clock, *windows, **more):
    return Observation(windows, more.pop("plan", None), clock(), **more)


def test_what_a_reply_does_not_say_stays_known(clock):
    tracker, credits_ = LimitTracker(clock), CreditsInfo(True, False, "5")
    tracker.fold("a", said(clock, window(clock, 5.0), plan="pro", credits=credits_, allowed=True))
    tracker.fold("a", said(clock, window(clock, 3.0, "spark 5h", limit="spark")))
    limits = tracker.limits("a")
    assert (limits.plan, limits.credits, limits.allowed) == ("pro", credits_, True)
    assert [window.name for window in limits.windows] == ["5h", "spark 5h"]


def test_the_backend_s_word_is_as_old_as_the_windows_it_came_with(clock):
    tracker = LimitTracker(clock)
    tracker.fold("a", said(clock, window(clock, 100.0), allowed=True))
    assert not tracker.limits("a").is_used_up(clock())
    tracker.fold("a", said(clock, window(clock, 100.0)))
    assert tracker.limits("a").is_used_up(clock())


def test_a_complete_observation_ends_windows_that_are_no_more(clock):
    tracker = LimitTracker(clock)
    weekly = window(clock, 100.0, "weekly", 604800.0, reset_in=DAY)
    tracker.fold("a", said(clock, weekly, window(clock, 9.0, "spark 5h", limit="spark")))
    tracker.fold("a", said(clock, window(clock, 1.0), complete=True))
    assert [window.name for window in tracker.limits("a").windows] == ["5h", "spark 5h"]


def test_a_window_past_its_reset_makes_the_figures_stale(clock):
    tracker = LimitTracker(clock)
    tracker.fold("a", said(clock, window(clock, 50.0)))
    clock.now += 600
    assert tracker.limits("a").is_stale(clock())
    assert tracker.limits("a").tightest(clock()) is None
    assert tracker.limits("b") == Limits()


# -- cooldowns ------------------------------------------------------------------------------------


def refuse(tracker, clock, *, resets_in=6 * DAY, observation=None, model="gpt-5.5"):
    error = UsageLimitReached("The usage limit has been reached", status=429, resets_at=clock() + resets_in)
    tracker.note_refusal("a", error, model=model, observation=observation)


def test_a_refusal_begins_a_cooldown_that_ends_with_the_reset(clock):
    tracker = LimitTracker(clock)
    refuse(tracker, clock, resets_in=100)
    assert tracker.cooldown("a").until == tracker.cooldown("a", "gpt-5.5").until == clock() + 100
    assert tracker.cooldown("b") is None
    clock.now += 100
    assert (tracker.cooldown("a"), tracker.cooldowns("a")) == (None, ())


def test_the_refusal_s_own_figures_are_known_and_end_nothing(clock):
    tracker = LimitTracker(clock)
    own = said(clock, window(clock, 42.0))
    refuse(tracker, clock, observation=own)
    tracker.fold("a", own)
    assert tracker.cooldown("a") is not None
    assert tracker.windows("a") == own.windows


def test_without_figures_of_its_own_a_refusal_goes_by_the_last_known(clock):
    tracker = LimitTracker(clock)
    tracker.fold("a", said(clock, window(clock, 100.0, reset_in=700)))
    tracker.note_refusal("a", UsageLimitReached("no", status=200), model="gpt-5.5")
    assert tracker.cooldown("a").until == clock() + 700


async def test_quota_seen_again_ends_it(tracker, clock):
    refuse(tracker, clock)
    clock.now += 1
    await tell(tracker, seen(clock, 100.0))
    assert tracker.cooldown("a") is not None
    await tell(tracker, seen(clock, 99.0))
    assert tracker.cooldown("a") is None


def test_a_metered_limit_leaves_other_models_open(clock):
    tracker = LimitTracker(clock)
    spark = said(clock, window(clock, 3.0), window(clock, 100.0, "spark 5h", limit="spark"), active_limit="spark")
    refuse(tracker, clock, observation=spark, model="gpt-5.3-codex-spark", resets_in=300)
    assert tracker.cooldown("a") is None
    assert tracker.cooldown("a", "gpt-5.5") is None
    assert tracker.cooldown("a", "gpt-5.3-codex-spark").reason == Reason.MODEL_LIMIT
    assert len(tracker.cooldowns("a")) == 1
    refuse(tracker, clock, resets_in=900)
    assert tracker.cooldown("a", "gpt-5.3-codex-spark").until == clock() + 900


def test_a_short_limit_does_not_shorten_a_long_one_and_a_newer_long_one_does(clock):
    tracker = LimitTracker(clock)
    tracker.note_refusal("a", RateLimited("slow", status=429, retry_after_s=2.0), model="gpt-5.5")
    assert tracker.cooldown("a").until == clock() + 2
    refuse(tracker, clock, resets_in=6 * DAY)
    tracker.note_refusal("a", RateLimited("slow", status=429, retry_after_s=2.0), model="gpt-5.5")
    assert tracker.cooldown("a").until == clock() + 6 * DAY
    refuse(tracker, clock, resets_in=60)
    assert tracker.cooldown("a").until == clock() + 60


def test_a_cooldown_can_be_cleared_and_an_account_forgotten(clock):
    tracker = LimitTracker(clock)
    refuse(tracker, clock, observation=said(clock, window(clock, 100.0)))
    tracker.clear_cooldown("a")
    assert tracker.cooldown("a") is None
    assert tracker.windows("a") != ()
    tracker.forget("a")
    assert tracker.limits("a") == Limits()
    for gone in (tracker.clear_cooldown, tracker.forget, tracker.note_checked):
        gone("a")


def test_when_quota_was_asked_for_is_noted(clock):
    tracker = LimitTracker(clock)
    refuse(tracker, clock)
    clock.now += 40
    tracker.note_checked("a")
    assert (tracker.cooldown("a").since, tracker.cooldown("a").checked_at) == (clock() - 40, clock())


# -- over a restart -------------------------------------------------------------------------------


def fill(tracker, clock):
    spark = window(clock, 100.0, "spark 5h", limit="spark")
    tracker.fold(
        "a", said(clock, window(clock, 85.0), plan="plus", credits=CreditsInfo(True, False, None), allowed=True)
    )
    refuse(tracker, clock, model="spark", observation=said(clock, spark, active_limit="spark"))
    refuse(tracker, clock)
    tracker.fold("b", said(clock, plan="free"))


def test_what_is_known_survives_a_restart(tmp_path, clock, caplog):
    tracker = LimitTracker(clock, tmp_path / "limits.json")
    fill(tracker, clock)
    tracker.save()
    caplog.clear()
    again = LimitTracker(clock, tmp_path / "limits.json")
    for account_id in "ab":
        assert again.limits(account_id) == tracker.limits(account_id)
        assert again.cooldowns(account_id) == tracker.cooldowns(account_id)
    again.fold("a", said(clock, window(clock, 86.0)))
    assert not caplog.records, "the threshold was told before the restart"
    assert (tmp_path / "limits.json").stat().st_mode & 0o777 == 0o600


def test_without_changes_nothing_is_written(tmp_path, clock):
    path = tmp_path / "limits.json"
    LimitTracker(clock, path).save()
    assert not path.exists()
    tracker = LimitTracker(clock, path)
    fill(tracker, clock)
    tracker.save()
    inode = path.stat().st_ino
    tracker.save()
    assert path.stat().st_ino == inode


def test_a_disk_that_is_full_is_told_of_once_and_tried_again(tmp_path, clock, caplog):
    folder = tmp_path / "state"
    tracker = LimitTracker(clock, folder / "limits.json")
    fill(tracker, clock)
    caplog.clear()
    tracker.save()
    tracker.save()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    folder.mkdir()
    tracker.save()
    assert LimitTracker(clock, folder / "limits.json").limits("a") == tracker.limits("a")


async def changed(path, before):
    """The file's content once it is another than ``before``; looks in real time, whatever trio's clock does."""
    for _ in range(1000):
        if path.exists() and path.read_bytes() != before:
            return path.read_bytes()
        await trio.to_thread.run_sync(time.sleep, 0.01)
    pytest.fail("never written")


async def test_changes_reach_the_disk_at_most_every_ten_seconds(tmp_path, clock, nursery, mock_clock):
    path = tmp_path / "limits.json"
    tracker = LimitTracker(clock, path)
    nursery.start_soon(tracker.run)
    await tell(tracker, seen(clock, 5.0))
    first = await changed(path, b"")
    await wait_all_tasks_blocked()
    await tell(tracker, seen(clock, 6.0), seen(clock, 7.0))
    mock_clock.jump(SAVE_INTERVAL_S - 0.1)
    await wait_all_tasks_blocked()
    assert path.read_bytes() == first
    mock_clock.jump(SAVE_INTERVAL_S)  # not just the rest: the thread of the first save may have returned late
    await changed(path, first)
    assert LimitTracker(clock, path).limits("a") == tracker.limits("a")


async def test_a_change_that_the_end_cuts_off_is_written_at_the_end(tmp_path, clock):
    path = tmp_path / "limits.json"
    tracker = LimitTracker(clock, path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tracker.run)
        await wait_all_tasks_blocked()
        tracker.fold("a", seen(clock, 5.0))
        nursery.cancel_scope.cancel()
    tracker.save()
    assert LimitTracker(clock, path).limits("a") == tracker.limits("a")


async def test_the_log_names_the_account_and_the_time_as_people_do(clock, caplog):
    caplog.set_level(logging.INFO)
    tracker = LimitTracker(clock, name_of=lambda account_id: "work@example.com")
    tracker.fold("0123456789ab", Observation((window(clock, 100.0),), None, clock()))
    tracker.note_refusal("0123456789ab", UsageLimitReached("used up", resets_at=clock() + 3600), model="gpt-5.5")
    fields = [record.fields for record in caplog.records]
    assert [each["account"] for each in fields] == ["work@example.com"] * 2
    assert fields[0]["resets"].startswith("in 10 min (")
    assert fields[1]["available"].startswith("in 1 h 0 min (")
