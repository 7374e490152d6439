import logging

import pytest
import trio
from support.refresh_world import DOWN, REUSED, World
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.model import RefreshReason, RefreshReply
from codexd.accounts.refresh import Refresher, seconds_until_refresh
from codexd.errors import AccountNeedsLogin, AccountNotFound, RefreshUnavailable


@pytest.fixture
def world(store, server, clock, login):
    return World(store, server, clock, login)


@pytest.mark.parametrize(
    ("expires_at", "seconds"), [(1000.0, 0.0), (1300.0, 0.0), (1300.5, 0.5), (0.0, 0.0), (4600.0, 3300.0)]
)
def test_seconds_until_refresh(expires_at, seconds):
    assert seconds_until_refresh(expires_at, 1000.0) == seconds


async def test_a_token_with_time_left_is_handed_out(world):
    account_id = world.add(301)
    assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token
    assert world.server.asked == []


async def test_a_token_near_its_end_is_refreshed(world):
    account_id = world.add(300)
    token = await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1"]
    assert world.saved(account_id)["access_token"] == token
    assert world.saved(account_id)["refresh_token"] == "rt_2"
    assert await world.refresher.fresh_token(account_id) == token


async def test_each_token_has_a_jitter_of_its_own_that_stays(world):
    world.jitters = [29.0, 60.0]
    account_id = world.add(330)
    for _ in range(2):
        assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token
    world.clock.now += 1
    await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1"]
    world.clock.now += 3600 - 361
    await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1"]
    world.clock.now += 1
    await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1", "rt_2"]


@pytest.mark.parametrize(("left_s", "asked"), [(300, 1), (360.5, 0)])
async def test_the_default_jitter_is_a_minute_at_most(world, left_s, asked):
    await Refresher(world.store, world.server, world.clock).fresh_token(world.add(left_s))
    assert len(world.server.asked) == asked


async def test_a_refresh_on_demand(world):
    account_id = world.add(9999)
    await world.refresher.refresh_now(account_id)
    assert world.saved(account_id)["refresh_token"] == "rt_2"
    await world.refresher.refresh_now(account_id)
    assert world.server.asked == ["rt_1", "rt_2"]


async def test_a_refresh_on_demand_joins_the_one_under_way(world, nursery):
    account_id = world.add(0)
    world.server.gate = trio.Event()
    nursery.start_soon(world.refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as joined:
        for _ in range(3):
            joined.start_soon(world.refresher.refresh_now, account_id)
        await wait_all_tasks_blocked()
        world.server.gate.set()
    assert world.server.asked == ["rt_1"]


@pytest.mark.parametrize("error", [REUSED, DOWN])
async def test_a_refresh_on_demand_that_fails_is_reported(world, error):
    account_id = world.add(9999)
    world.server.script = [error]
    with pytest.raises(type(error), match=r"ann@example\.com"):
        await world.refresher.refresh_now(account_id)
    assert world.server.asked == ["rt_1"]


async def test_a_refresh_on_demand_takes_what_another_program_rotated(world):
    account_id = world.add(9999)
    rotated = world.put(account_id, 9998, "rt_other")
    await world.refresher.refresh_now(account_id)
    assert world.store.tokens(account_id).access_token == rotated
    assert world.server.asked == []


async def test_a_sign_in_during_a_refresh_is_kept(world, nursery):
    account_id, got = world.add(0), []

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    world.server.gate = trio.Event()
    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    world.add(9999, refresh_token="rt_new")
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert got == [world.saved(account_id)["access_token"]]
    assert world.saved(account_id)["refresh_token"] == "rt_new"


async def test_a_stale_import_during_a_refresh_is_refreshed_in_turn(world, nursery):
    account_id, got = world.add(0), []

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    world.server.gate, world.server.script = trio.Event(), [RefreshReply("late", "rt_2", expires_in=3600)]
    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    world.add(0, refresh_token="rt_new")
    world.server.valid = "rt_new"
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert world.server.asked == ["rt_1", "rt_new"]
    assert got == [world.saved(account_id)["access_token"]] != ["late"]


@pytest.mark.parametrize("error", [None, REUSED, DOWN])
async def test_an_account_that_is_removed_during_its_refresh_stays_removed(world, error):
    account_id = world.add(0)
    world.server.gate, world.server.script = trio.Event(), [error]

    async def wait():
        with pytest.raises(AccountNotFound):
            await world.refresher.fresh_token(account_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        world.store.remove(account_id)
        world.server.gate.set()
    assert world.store.accounts == ()
    assert not world.path(account_id).parent.exists()
    assert world.server.revoked == ([world.server.valid] if error is None else [])


async def test_a_rejected_token_is_refreshed_whatever_its_end(world):
    account_id = world.add(9999)
    old = world.store.tokens(account_id).access_token
    assert await world.refresher.fresh_token(account_id, rejected=old) != old


async def test_one_refresh_serves_fifty_waiters(world, nursery):
    account_id, got = world.add(0), []

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    world.server.gate = trio.Event()
    for _ in range(50):
        nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    assert world.server.asked == ["rt_1"]
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert len(got) == 50
    assert len(set(got)) == 1
    assert world.server.asked == ["rt_1"]


@pytest.mark.parametrize("error", [REUSED, DOWN])
async def test_one_failure_is_shared_by_fifty_waiters(world, nursery, error):
    account_id, caught = world.add(0), []

    async def wait():
        with pytest.raises(type(error)) as info:
            await world.refresher.fresh_token(account_id)
        caught.append(info.value)

    world.server.gate, world.server.script = trio.Event(), [error]
    for _ in range(50):
        nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert len({id(each) for each in caught}) == 50
    assert len({str(each) for each in caught}) == 1
    assert "ann@example.com" in str(caught[0])
    assert world.server.asked == ["rt_1"]


async def test_two_accounts_refresh_side_by_side(world, nursery):
    world.server.gate = trio.Event()
    world.server.script = [RefreshReply("one", "r"), RefreshReply("two", "r")]
    for account_id in (world.add(0), world.add(0, user="user-bob", email="bob@example.com")):
        nursery.start_soon(world.refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    assert len(world.server.asked) == 2
    world.server.gate.set()


async def test_a_client_that_leaves_does_not_lose_the_rotated_token(world, nursery):
    account_id, waited = world.add(0), []
    scope = trio.CancelScope()

    async def leave():
        with scope:
            await world.refresher.fresh_token(account_id)
            await trio.lowlevel.checkpoint()
            raise AssertionError("was not cancelled")

    async def wait():
        waited.append(await world.refresher.fresh_token(account_id))

    world.server.gate = trio.Event()
    nursery.start_soon(leave)
    await wait_all_tasks_blocked()
    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert scope.cancelled_caught
    assert world.saved(account_id)["refresh_token"] == "rt_2"
    assert waited == [world.saved(account_id)["access_token"]]


async def test_a_cancelled_waiter_leaves_the_refresh_alone(world, nursery):
    account_id = world.add(0)
    world.server.gate = trio.Event()
    nursery.start_soon(world.refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.refresher.fresh_token(account_id)
    assert scope.cancelled_caught
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert world.saved(account_id)["refresh_token"] == "rt_2"


async def test_what_breaks_the_refresh_does_not_strand_the_waiters(world):
    account_id = world.add(0)
    world.server.gate, world.server.script = trio.Event(), [ZeroDivisionError()]

    async def start():
        with pytest.raises(ZeroDivisionError):
            await world.refresher.fresh_token(account_id)

    async def wait():
        with pytest.raises(RefreshUnavailable):
            await world.refresher.fresh_token(account_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        world.server.gate.set()
    assert await world.refresher.fresh_token(account_id)


async def test_a_token_that_another_program_rotated_is_used(world):
    account_id = world.add(0)
    rotated = world.put(account_id, 3600, "rt_other")
    assert await world.refresher.fresh_token(account_id) == rotated
    assert world.server.asked == []


async def test_a_rejected_token_in_the_file_is_not_used(world):
    account_id = world.add(9999)
    rejected = world.store.tokens(account_id).access_token
    assert world.put(account_id, 9999, "rt_other") == rejected
    world.server.valid = "rt_other"
    assert await world.refresher.fresh_token(account_id, rejected=rejected) != rejected
    assert world.server.asked == ["rt_other"]


async def test_losing_the_race_to_another_program_does_not_kill_the_login(world, nursery):
    account_id = world.add(0)
    world.server.gate, world.server.script = trio.Event(), [REUSED]
    got = []

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    winner = world.put(account_id, 3600, "rt_other")
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert got == [winner]
    assert world.store.get(account_id).needs_login is None


async def test_a_dead_login_is_not_asked_again_until_its_file_changes(world):
    account_id = world.add(0)
    world.server.script = [REUSED]
    for _ in range(3):
        with pytest.raises(
            AccountNeedsLogin, match=r"ann@example\.com.*refresh_token_reused.*codexctl accounts import"
        ):
            await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1"]
    assert "refresh_token_reused" in world.store.get(account_id).needs_login
    world.put(account_id, 0, "rt_new")
    world.server.valid = "rt_new"
    assert await world.refresher.fresh_token(account_id)
    assert world.store.get(account_id).needs_login is None


WITHDRAWN = AccountNeedsLogin("It was revoked (refresh_token_invalidated). Run `codexctl accounts add`.")


async def test_a_login_whose_refresh_token_was_withdrawn_is_used_to_its_end(world):
    account_id = world.add(left_s=8 * 86_400)
    token = world.saved(account_id)["access_token"]
    world.server.script = [WITHDRAWN]
    with pytest.raises(AccountNeedsLogin, match=r"it ends in 8 d 0 h .*refresh_token_invalidated"):
        await world.refresher.refresh_now(account_id)
    account = world.store.get(account_id)
    assert (account.needs_login, account.withdrawn) == (None, str(WITHDRAWN))

    assert await world.refresher.fresh_token(account_id) == token
    world.clock.now += 8 * 86_400 - 60
    assert await world.refresher.fresh_token(account_id) == token
    world.clock.now += 45
    with pytest.raises(AccountNeedsLogin, match="needs a new login"):
        await world.refresher.fresh_token(account_id)
    account = world.store.get(account_id)
    assert (account.needs_login, account.withdrawn) == (str(WITHDRAWN), None)
    assert len(world.server.asked) == 1


async def test_it_ends_at_once_if_the_backend_refuses_it(world):
    account_id = world.add(left_s=8 * 86_400)
    token = world.saved(account_id)["access_token"]
    world.server.script = [WITHDRAWN]
    with pytest.raises(AccountNeedsLogin, match="needs a new login"):
        await world.refresher.fresh_token(account_id, rejected=token)
    assert world.store.get(account_id).needs_login == str(WITHDRAWN)


async def test_a_new_refresh_token_in_its_file_revives_it(world):
    account_id = world.add(left_s=8 * 86_400)
    world.server.script = [WITHDRAWN]
    with pytest.raises(AccountNeedsLogin):
        await world.refresher.refresh_now(account_id)
    world.put(account_id, left_s=3600, refresh_token="rt_new")
    world.store.reload(account_id)
    account = world.store.get(account_id)
    assert (account.withdrawn, account.dead_login) == (None, None)


async def test_the_server_is_told_why(world):
    account_id = world.add(left_s=9000)
    await world.refresher.refresh_now(account_id)
    await world.refresher.fresh_token(account_id, rejected=world.saved(account_id)["access_token"])
    assert world.server.reasons == [RefreshReason.PROACTIVE, RefreshReason.UNAUTHORIZED]


async def test_a_failure_falls_back_on_a_token_that_still_lives(world, caplog):
    account_id = world.add(31)
    world.server.script = [DOWN]
    with caplog.at_level(logging.WARNING):
        assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token
    assert "can't be reached" in caplog.text
    assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token
    assert len(world.server.asked) == 1  # a dead network is not asked again at once


@pytest.mark.parametrize("left_s", [30, 0, -100])
async def test_a_failure_without_a_valid_token_is_reported(world, left_s):
    account_id = world.add(left_s)
    world.server.script = [DOWN]
    for _ in range(60):
        with pytest.raises(RefreshUnavailable, match=r"can't be reached.*codexd tries again in 5 s"):
            await world.refresher.fresh_token(account_id)
    assert len(world.server.asked) == 1
    world.clock.now += 5
    assert await world.refresher.fresh_token(account_id)


async def test_a_rejected_token_is_not_a_last_resort(world):
    account_id = world.add(9999)
    world.server.script = [DOWN]
    with pytest.raises(RefreshUnavailable):
        await world.refresher.fresh_token(account_id, rejected=world.store.tokens(account_id).access_token)


async def test_a_server_that_repeats_the_rejected_token_is_not_believed(world):
    account_id = world.add(9999)
    rejected = world.store.tokens(account_id).access_token
    world.server.script = [RefreshReply(rejected, "rt_2")]
    with pytest.raises(RefreshUnavailable):
        await world.refresher.fresh_token(account_id, rejected=rejected)
    assert len(world.server.asked) == 1


async def test_a_reply_without_an_access_token_is_kept_and_reported(world):
    account_id = world.add(0)
    world.server.script = [RefreshReply(refresh_token="rt_2")]
    with pytest.raises(RefreshUnavailable, match="no valid access token"):
        await world.refresher.fresh_token(account_id)
    assert world.saved(account_id)["refresh_token"] == "rt_2"


async def test_a_user_may_try_earlier_but_not_hammer(world):
    account_id = world.add(0)
    world.server.script = [DOWN] * 3
    for _ in range(3):
        with pytest.raises(RefreshUnavailable):
            await world.refresher.refresh_now(account_id)
        with pytest.raises(RefreshUnavailable, match="codexd tries again"):
            await world.refresher.refresh_now(account_id)
        world.clock.now += 5
    assert len(world.server.asked) == 3
    with pytest.raises(RefreshUnavailable, match="codexd tries again in 15 s"):
        await world.refresher.fresh_token(account_id)
    await world.refresher.refresh_now(account_id)
    assert world.refresher.outage(account_id) is None


async def test_an_outage_of_the_server_holds_for_every_account_and_ends_for_every_account(world):
    accounts = [world.add(0), world.add(0, user="user-bob", email="bob@example.com", refresh_token="rt_bob")]
    world.server.back_off.note_failure("The sign-in server answered 503.", world.clock())
    for account_id in accounts:
        with pytest.raises(RefreshUnavailable, match=r"answered 503\. codexd tries again in 5 s"):
            await world.refresher.fresh_token(account_id)
        assert world.refresher.outage(account_id).problem == "The sign-in server answered 503."
    assert world.server.asked == []
    world.server.back_off.note_success()
    assert await world.refresher.fresh_token(accounts[0])


async def test_a_token_that_lives_serves_through_an_outage(world):
    account_id = world.add(200)
    world.server.back_off.note_failure("The sign-in server answered 503.", world.clock())
    assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token


async def test_the_failure_of_one_account_does_not_hold_up_another(world):
    ann, bob = world.add(0), world.add(0, user="user-bob", email="bob@example.com", refresh_token="rt_bob")
    world.server.script = [RefreshUnavailable("The sign-in server answered 400.")]
    with pytest.raises(RefreshUnavailable):
        await world.refresher.fresh_token(ann)
    world.server.script = [RefreshReply("opaque", "rt_2", expires_in=600)]
    assert await world.refresher.fresh_token(bob) == "opaque"


async def test_an_unknown_account(world):
    with pytest.raises(AccountNotFound):
        await world.refresher.fresh_token("ffffffffffff")


@pytest.mark.parametrize("foreign", [{"workspace": "w-other", "email": "eve@example.com"}, {"user": "user-eve"}])
@pytest.mark.parametrize("holds", [("access_token", "id_token"), ("access_token",), ("id_token",)])
async def test_the_login_of_another_account_is_not_kept(world, login, foreign, holds):
    account_id = world.add(0)
    before = world.path(account_id).read_bytes()
    tokens = login(refresh_token="rt_2", exp=world.clock() + 3600, **foreign)["tokens"]
    world.server.script = [RefreshReply(refresh_token="rt_2", **{name: tokens[name] for name in holds})]
    with pytest.raises(AccountNeedsLogin, match=r"another account .* was discarded.*codexctl accounts add"):
        await world.refresher.fresh_token(account_id)
    assert world.path(account_id).read_bytes() == before
    assert "another account" in world.store.active.needs_login
    with pytest.raises(AccountNeedsLogin):
        await world.refresher.fresh_token(account_id)
    assert world.server.asked == ["rt_1"]


async def test_an_access_token_of_another_workspace_is_not_kept(world, login):
    account_id = world.add(0)
    ours, theirs = (login(exp=world.clock() + 3600, **more)["tokens"] for more in ({}, {"workspace": "w-other"}))
    world.server.script = [RefreshReply(theirs["access_token"], "rt_2", ours["id_token"])]
    with pytest.raises(AccountNeedsLogin, match="w-other"):
        await world.refresher.fresh_token(account_id)
    assert world.saved(account_id)["refresh_token"] == "rt_1"
