import logging
from itertools import pairwise

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import (
    CADENCE_S,
    COOLDOWN_CADENCE_S,
    RECHECK_S,
    START_DELAY_S,
    WANTED_S,
    UsagePoller,
)
from codexd.accounts.limits.windows import Observation, Window
from codexd.accounts.refresh import Refresher
from codexd.errors import (
    AccountNeedsLogin,
    AccountNotFound,
    TokenRejected,
    UpstreamFailed,
    UsageLimitReached,
)

DAY = 86400.0
HOUR = 3600.0
OTHER = "99999999-2222-3333-4444-555555555555"


class Backend:
    """The usage endpoint in memory. ``script`` holds errors to give first."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = []
        self.asked_at = []
        self.script = []
        self.gate = None
        self.used = 0

    async def fetch_usage(self, account, token):
        self.asked.append((account.id, token))
        self.asked_at.append(trio.current_time())
        await self._answer()
        window = {"used_percent": self.used, "limit_window_seconds": 604800, "reset_at": self.clock() + 6 * DAY}
        return {"plan_type": "plus", "rate_limit": {"allowed": self.used < 100, "primary_window": window}}

    async def _answer(self):
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step


@pytest.fixture
def backend(clock):
    return Backend(clock)


@pytest.fixture
def account(store, login, clock):
    account, _ = store.add(login(exp=clock.now + 30 * DAY), now=clock.now)
    return account


@pytest.fixture
def tracker(clock):
    return LimitTracker(clock)


@pytest.fixture
def poller(store, server, clock, backend, tracker):
    return UsagePoller(store, Refresher(store, server, clock), tracker, backend, clock)


def hit_limit(tracker, account, clock, resets_in=6 * DAY):
    error = UsageLimitReached("The usage limit has been reached", status=429, resets_at=clock() + resets_in)
    tracker.note_refusal(account.id, error, model="gpt-5.5")


def rejected():
    return TokenRejected("Provided authentication token is expired.", status=401, code="token_expired")


# -- one question ---------------------------------------------------------------------------------


async def test_a_check_asks_and_the_tracker_knows(poller, tracker, account, backend, clock):
    backend.used = 42
    limits = await poller.check(account.id)
    assert limits == tracker.limits(account.id)
    assert (limits.tightest(clock()).used_percent, limits.allowed, limits.fetched_at) == (42, True, clock())


async def test_the_document_itself(poller, tracker, account):
    document = await poller.fetch(account.id)
    assert document["plan_type"] == "plus"
    assert tracker.fetched_at(account.id) is not None


async def test_however_many_ask_one_question_is_under_way(poller, account, backend):
    backend.gate = trio.Event()
    seen = []

    async def ask():
        seen.append(await poller.check(account.id))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        backend.gate.set()
    assert len(seen) == 20
    assert len(backend.asked) == 1


async def test_each_waiter_gets_the_failure_as_its_own(poller, account, backend):
    backend.gate = trio.Event()
    backend.script = [UpstreamFailed("the backend broke", status=503, code="server_error")]
    failures = []

    async def ask():
        try:
            await poller.check(account.id)
        except UpstreamFailed as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        backend.gate.set()
    assert [(str(error), error.status, error.code) for error in failures] == [
        ("the backend broke", 503, "server_error")
    ] * 3
    assert len({id(error) for error in failures}) == 3
    assert len(backend.asked) == 1


async def test_a_waiter_asks_itself_when_the_asker_goes_away(poller, account, backend):
    backend.gate = trio.Event()
    scope = trio.CancelScope()

    async def ask_and_leave():
        with scope:
            await poller.check(account.id)

    async def ask():
        await poller.check(account.id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_and_leave)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        backend.gate.set()
    assert len(backend.asked) == 2


async def test_a_refused_token_is_refreshed_once(poller, account, backend, server):
    backend.script = [rejected()]
    await poller.check(account.id)
    assert len(server.asked) == 1
    assert len({token for _, token in backend.asked}) == 2


async def test_a_token_refused_twice_is_an_error(poller, account, backend, server):
    backend.script = [rejected(), rejected()]
    with pytest.raises(TokenRejected):
        await poller.check(account.id)
    assert len(server.asked) == 1


async def test_what_says_nothing_is_an_error(poller, account, backend, monkeypatch):
    async def say_nothing(account, token):
        return {}

    monkeypatch.setattr(backend, "fetch_usage", say_nothing)
    with pytest.raises(UpstreamFailed, match="does not mention any limits"):
        await poller.check(account.id)


async def test_an_account_that_is_not_there(poller):
    with pytest.raises(AccountNotFound):
        await poller.check("0123456789ab")


async def test_a_dead_account_is_not_asked_about(poller, account, store, backend):
    store.mark_needs_login(account.id, "It was revoked. Sign in again.")
    with pytest.raises(AccountNeedsLogin):
        await poller.check(account.id)
    assert backend.asked == []


# -- a cooldown is looked at again ----------------------------------------------------------------


async def test_a_recheck_ends_a_cooldown_once_quota_is_back(poller, tracker, account, backend, clock):
    hit_limit(tracker, account, clock)
    clock.now += RECHECK_S + 1
    backend.used = 100
    await poller.recheck(account.id)
    assert tracker.cooldown(account.id).checked_at == clock()
    backend.used = 0
    clock.now += RECHECK_S + 1
    await poller.recheck(account.id)
    assert tracker.cooldown(account.id) is None
    assert len(backend.asked) == 2


@pytest.mark.parametrize("after_s", [0.0, RECHECK_S])
async def test_what_was_asked_a_moment_ago_is_not_asked_again(poller, tracker, account, backend, clock, after_s):
    hit_limit(tracker, account, clock)
    clock.now += after_s
    await poller.recheck(account.id)
    assert backend.asked == []


async def test_a_wall_clock_set_back_does_not_keep_a_recheck_off(poller, tracker, account, backend, clock):
    hit_limit(tracker, account, clock)
    clock.now -= HOUR
    await poller.recheck(account.id)
    assert len(backend.asked) == 1


async def test_without_a_cooldown_there_is_nothing_to_recheck(poller, account, backend):
    await poller.recheck(account.id)
    assert backend.asked == []


async def test_rechecks_wait_for_the_one_under_way(poller, tracker, account, backend, clock):
    hit_limit(tracker, account, clock)
    clock.now += RECHECK_S + 1
    backend.gate = trio.Event()
    open_again = []

    async def recheck():
        await poller.recheck(account.id)
        open_again.append(tracker.cooldown(account.id) is None)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(recheck)
        await wait_all_tasks_blocked()
        backend.gate.set()
    assert open_again == [True] * 10
    assert len(backend.asked) == 1


async def test_a_recheck_that_fails_is_logged_and_not_repeated_at_once(
    poller, tracker, account, backend, clock, caplog
):
    caplog.set_level(logging.INFO, "codexd.limits")
    hit_limit(tracker, account, clock)
    clock.now += RECHECK_S + 1
    backend.script = [UpstreamFailed("the backend broke", status=503)]
    await poller.recheck(account.id)
    await poller.recheck(account.id)
    assert tracker.cooldown(account.id) is not None
    assert len(backend.asked) == 1
    assert "the backend broke" in caplog.text


# -- by itself ------------------------------------------------------------------------------------


@pytest.fixture
async def running(poller, clock, nursery):
    """For tests that take ``autojump_clock`` themselves: pytest-trio looks for it only there."""
    clock.follow_trio()
    nursery.start_soon(poller.run)
    return poller


async def until(moment_s):
    await trio.sleep_until(moment_s)
    await wait_all_tasks_blocked()


async def test_the_active_account_is_asked_about_now_and_then(account, running, backend, autojump_clock):
    await until(3 * CADENCE_S)
    assert backend.asked_at == [START_DELAY_S, START_DELAY_S + CADENCE_S, START_DELAY_S + 2 * CADENCE_S]


async def test_not_while_replies_report_it(account, running, backend, tracker, clock, autojump_clock):
    for _ in range(12):
        tracker.fold(account.id, Observation((Window("5h", 5.0, 18000.0, clock() + HOUR),), "plus", clock()))
        await trio.sleep(CADENCE_S / 3)
    assert backend.asked == []
    await trio.sleep(CADENCE_S)
    assert len(backend.asked) == 1


async def test_other_accounts_are_left_alone(account, store, running, backend, login, clock, autojump_clock):
    other, _ = store.add(login(workspace=OTHER, exp=clock() + 30 * DAY), now=clock())
    await until(3 * CADENCE_S)
    assert {asked for asked, _ in backend.asked} == {store.active.id}
    assert store.active.id != other.id


async def test_failures_do_not_hurry_it(account, running, backend, autojump_clock):
    backend.script = [UpstreamFailed("the backend broke", status=503) for _ in range(9)]
    await until(3 * CADENCE_S)
    assert len(backend.asked) == 3


async def test_figures_from_the_future_do_not_hurry_it(account, tracker, clock, running, backend, autojump_clock):
    backend.script = [UpstreamFailed("the backend broke", status=503) for _ in range(9)]
    tracker.fold(account.id, Observation((), "plus", clock() + DAY))
    await until(3 * CADENCE_S)
    assert len(backend.asked) == 3


async def test_a_limit_that_is_lifted_is_noticed_within_a_minute(
    account, running, backend, tracker, clock, autojump_clock
):
    backend.used = 100
    await until(HOUR)
    hit_limit(tracker, account, clock)
    await until(HOUR + WANTED_S / 2)
    assert tracker.cooldown(account.id) is not None
    backend.used = 0
    await until(HOUR + WANTED_S / 2 + 60)
    assert tracker.cooldown(account.id) is None


def gaps_of(moments):
    return {round(later - earlier) for earlier, later in pairwise(moments)}


async def test_an_account_that_nobody_waits_for_is_asked_about_seldom(
    account, running, backend, tracker, clock, autojump_clock
):
    backend.used = 100
    hit_limit(tracker, account, clock)
    await until(WANTED_S)
    assert gaps_of(backend.asked_at) == {COOLDOWN_CADENCE_S}
    backend.asked_at.clear()
    await until(WANTED_S + 4 * CADENCE_S)
    assert gaps_of(backend.asked_at) == {CADENCE_S}
    backend.asked_at.clear()
    running.note_wanted(account.id)
    await until(WANTED_S + 4 * CADENCE_S + 10 * COOLDOWN_CADENCE_S)
    assert gaps_of(backend.asked_at) == {COOLDOWN_CADENCE_S}


async def test_the_sleep_of_a_laptop_is_noticed_soon(account, running, backend, clock, autojump_clock):
    await until(60)
    clock.now += 9 * HOUR
    await until(60 + 15)
    assert len(backend.asked) == 2


async def test_a_dead_account_is_left_alone(account, store, running, backend, autojump_clock):
    store.mark_needs_login(account.id, "It was revoked. Sign in again.")
    await until(2 * CADENCE_S)
    assert backend.asked == []
