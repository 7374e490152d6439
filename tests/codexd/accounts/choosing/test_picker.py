"""Picking in memory: the usage endpoint is a dictionary, the clock is trio's."""

import attrs
import pytest
import trio

from codexd.accounts.choosing.choose import History
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.limits.windows import Observation, Window
from codexd.accounts.refresh import Refresher
from codexd.errors import (
    AllAccountsLimited,
    PlanRefused,
    RateLimited,
    UsageLimitReached,
)
from codexd.settings.schema import RotationSettings

ANN, BOB = "ann@example.com", "bob@example.com"


class UsageEndpoint:
    """Answers with what each account has used, by e-mail; 0 without an entry. ``gate`` holds the answers back."""

    def __init__(self):
        self.used = {}
        self.asked = []
        self.gate = None

    async def fetch_usage(self, account, token):
        self.asked.append(account.email)
        if self.gate is not None:
            await self.gate.wait()
        used = self.used.get(account.email, 0)
        window = {"used_percent": used, "limit_window_seconds": 604_800, "reset_at": 1_795_600_000}
        return {"rate_limit": {"allowed": used < 100, "limit_reached": used >= 100, "primary_window": window}}


@attrs.define
class Office:
    """A picker and all that it works with."""

    picker: AccountPicker
    poller: UsagePoller
    tracker: LimitTracker
    store: object
    clock: object
    endpoint: UsageEndpoint

    async def choose(self, session="s1", history=None, model="gpt-x"):
        return await self.picker.pick(session, lambda _: model, history or History())

    async def pick(self, session="s1", history=None, model="gpt-x"):
        return (await self.choose(session, history, model)).account.email

    def refuse(self, email, error, model="gpt-x", observation=None):
        self.tracker.note_refusal(self.store.find(email).id, error, model=model, observation=observation)

    def limit(self, email, for_s):
        self.refuse(email, UsageLimitReached("used up", resets_at=self.clock() + for_s))


@pytest.fixture
def open_office(store, clock, login, server, now):
    for email, user in ((ANN, "user-ann"), (BOB, "user-bob")):
        store.add(login(email=email, user=user, exp=now + 900_000), now=now)

    def open_with(strategy=None):
        clock.follow_trio()
        endpoint, tracker, refresher = UsageEndpoint(), LimitTracker(clock), Refresher(store, server, clock)
        rotation = RotationSettings(enabled=strategy is not None, strategy=strategy or "sticky")
        poller = UsagePoller(store, refresher, tracker, endpoint, clock)
        picker = AccountPicker(lambda: rotation, store, tracker, Sessions(), poller, clock)
        return Office(picker, poller, tracker, store, clock, endpoint)

    return open_with


async def test_personal_mode_gives_the_active_account_even_in_its_cooldown(open_office, autojump_clock):
    office = open_office()
    office.limit(ANN, 6 * 86_400)
    assert await office.pick() == ANN
    assert office.endpoint.asked == []
    office.store.switch(office.store.find(BOB).id)
    assert await office.pick() == BOB


@pytest.mark.parametrize("strategy", [None, "sticky"])
async def test_a_short_limit_that_another_request_met_is_waited_for_once(open_office, autojump_clock, strategy):
    office, history = open_office(strategy), History()
    assert await office.pick() == ANN
    office.refuse(ANN, RateLimited("x", retry_after_s=4.0))
    choice = await office.choose(history=history)
    assert (choice.account.email, choice.wait_s) == (ANN, pytest.approx(4.0, abs=0.01))
    history.waited.add(choice.account.id)
    choice = await office.choose(history=history)
    assert (choice.account.email, choice.wait_s) == (BOB if strategy else ANN, 0.0)


async def test_an_account_that_was_waited_for_is_asked_whatever_others_met(open_office):
    office = open_office()
    office.refuse(ANN, RateLimited("x", retry_after_s=4.0))
    choice = await office.choose(history=History(waited={office.store.active.id}))
    assert (choice.account.email, choice.wait_s) == (ANN, 0.0)


async def test_how_long_a_limit_holds(open_office, autojump_clock):
    office = open_office()
    account = office.store.active
    assert office.picker.available_in_s(account, "gpt-x") == 0.0
    office.refuse(ANN, RateLimited("x", retry_after_s=4.0))
    assert office.picker.available_in_s(account, "gpt-x") == pytest.approx(4.0, abs=0.01)


async def test_quota_that_is_back_at_the_usage_endpoint_serves_again_at_once(open_office, autojump_clock):
    office = open_office("sticky")
    office.endpoint.used = {ANN: 100, BOB: 100}
    office.limit(ANN, 6 * 86_400)
    office.limit(BOB, 5 * 86_400)
    with pytest.raises(AllAccountsLimited):
        await office.pick()
    assert office.endpoint.asked == []
    await trio.sleep(31)
    with pytest.raises(AllAccountsLimited) as caught:
        await office.pick()
    assert sorted(office.endpoint.asked) == [ANN, BOB]
    assert caught.value.resets_at == pytest.approx(office.clock() - 31 + 5 * 86_400, abs=1)
    office.endpoint.used = {ANN: 100, BOB: 3}
    await trio.sleep(31)
    assert await office.pick() == BOB


async def test_the_usage_endpoint_is_asked_only_about_accounts_that_could_serve(open_office, autojump_clock):
    office = open_office("sticky")
    office.endpoint.used = {ANN: 100, BOB: 100}
    office.limit(ANN, 86_400)
    office.limit(BOB, 86_400)
    office.store.set_disabled(office.store.find(BOB).id, disabled=True)
    await trio.sleep(31)
    with pytest.raises(AllAccountsLimited):
        await office.pick()
    assert office.endpoint.asked == [ANN]


async def test_a_usage_endpoint_that_hangs_does_not_hold_the_refusal_up(open_office, autojump_clock):
    office = open_office("sticky")
    office.endpoint.gate = trio.Event()
    office.limit(ANN, 86_400)
    office.limit(BOB, 86_400)
    await trio.sleep(31)
    with trio.fail_after(6), pytest.raises(AllAccountsLimited):
        await office.pick()


async def test_the_limit_of_one_model_leaves_the_account_open_for_others(open_office):
    office = open_office("sticky")
    window = Window("spark 5h", 100.0, 18_000.0, office.clock() + 3600, "spark")
    seen = Observation((window,), None, office.clock(), active_limit="spark")
    error = UsageLimitReached("used up", resets_at=office.clock() + 3600)
    assert await office.pick("s1", model="gpt-x") == ANN
    office.refuse(ANN, error, model="gpt-spark", observation=seen)
    assert await office.pick("s1", model="gpt-x") == ANN
    assert await office.pick("s2", model="gpt-spark") == BOB


async def test_requests_of_one_session_that_come_at_once_get_one_account(open_office):
    office = open_office("round-robin")
    picked = []

    async def pick(session):
        picked.append((session, await office.pick(session)))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(pick, "s1")
            nursery.start_soon(pick, "s2")
    assert len(picked) == 6
    assert len(set(picked)) == 2
    assert {account for _, account in picked} == {ANN, BOB}


async def test_an_account_that_is_tried_and_fails_is_not_tried_again_in_the_turn(open_office):
    office, history = open_office("sticky"), History()
    last = PlanRefused("bob")
    for email, error in ((ANN, PlanRefused("ann")), (BOB, last)):
        assert await office.pick(history=history) == email
        history.failed[office.store.find(email).id] = error
    with pytest.raises(PlanRefused) as caught:
        await office.pick(history=history)
    assert caught.value is last


async def test_a_switch_releases_the_sessions(open_office):
    office = open_office("sticky")
    assert await office.pick() == ANN
    office.store.switch(office.store.find(BOB).id)
    assert await office.pick() == BOB
    assert await office.pick("s2") == BOB


async def test_accounts_in_cooldown_count_as_wanted(open_office, autojump_clock):
    """The poller looks at them every 45 s, and one is open again within a minute of its quota coming back."""
    office = open_office("sticky")
    office.endpoint.used = {ANN: 100, BOB: 100}
    office.limit(ANN, 6 * 86_400)
    await trio.sleep(3600)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(office.poller.run)
        assert await office.pick() == BOB
        await trio.sleep(60)
        office.endpoint.used = {}
        await trio.sleep(60)
        assert office.tracker.cooldown(office.store.find(ANN).id) is None
        nursery.cancel_scope.cancel()
