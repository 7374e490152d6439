import pytest
import trio
from support.refresh_world import DOWN, REUSED, World
from support.small_disk import mounted

from codexd.accounts.store.store import AccountStore


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def store(disk):
    with AccountStore.open(disk.path / "state") as store:
        yield store


@pytest.fixture
def world(store, server, clock, login):
    return World(store, server, clock, login)


async def test_the_scheduler_refreshes_what_is_due_and_only_that(world, nursery, autojump_clock):
    world.add(200)
    world.add(9999, user="user-bob", email="bob@example.com", refresh_token="rt_bob")
    nursery.start_soon(world.refresher.run)
    await trio.sleep(1.9)
    assert world.server.asked == []
    await trio.sleep(0.2)
    assert world.server.asked == ["rt_1"]
    await trio.sleep(600)
    assert world.server.asked == ["rt_1"]


async def test_the_scheduler_keeps_disabled_accounts_fresh(world, nursery, autojump_clock):
    world.store.set_disabled(world.add(0), disabled=True)
    nursery.start_soon(world.refresher.run)
    await trio.sleep(3)
    assert world.server.asked == ["rt_1"]


async def test_the_scheduler_sees_a_wall_clock_that_jumped(world, nursery, autojump_clock):
    world.add(36000)
    nursery.start_soon(world.refresher.run)
    await trio.sleep(5)
    world.clock.now += 36000
    await trio.sleep(60)
    assert world.server.asked == ["rt_1"]


async def test_the_scheduler_does_not_hammer_a_dead_network(world, nursery, autojump_clock):
    world.clock.follow_trio()
    account_id = world.add(0)
    world.server.script = [DOWN] * 10
    nursery.start_soon(world.refresher.run)
    await trio.sleep(400)
    assert 7 <= len(world.server.asked) <= 10
    await trio.sleep(400)
    assert len(world.server.asked) == 11
    assert world.store.tokens(account_id).refresh_token == "rt_12"


async def test_the_scheduler_saves_what_could_not_be_saved(world, disk, nursery, autojump_clock):
    world.clock.follow_trio()
    account_id = world.add(0)
    world.server.gate = trio.Event()
    nursery.start_soon(world.refresher.run)
    await trio.sleep(3)
    disk.make_read_only()
    world.server.gate.set()
    await trio.sleep(600)
    assert world.server.asked == ["rt_1"]
    assert (world.saved(account_id)["refresh_token"], len(world.store.unsaved_logins)) == ("rt_1", 1)
    disk.make_writable()
    await trio.sleep(70)
    assert (world.saved(account_id)["refresh_token"], world.store.problems) == ("rt_2", ())


async def test_the_scheduler_outlives_a_dead_account_and_sees_it_revived(world, nursery, autojump_clock):
    account_id = world.add(0)
    world.server.script = [REUSED]
    nursery.start_soon(world.refresher.run)
    await trio.sleep(300)
    assert world.server.asked == ["rt_1"]
    world.put(account_id, 0, "rt_new")
    world.server.valid = "rt_new"
    await trio.sleep(61)
    assert world.server.asked == ["rt_1", "rt_new"]
    assert world.store.get(account_id).needs_login is None


async def test_the_scheduler_outlives_an_unreadable_file(world, nursery, autojump_clock):
    account_id = world.add(0)
    world.path(account_id).write_bytes(b"[]")
    nursery.start_soon(world.refresher.run)
    await trio.sleep(300)
    assert world.store.get(account_id).needs_login
