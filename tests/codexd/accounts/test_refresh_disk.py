"""Refreshes on a disk that is full or read-only: no login is lost, and a token that lives is used."""

import pytest
import trio
from support.refresh_world import World
from support.small_disk import mounted
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.store.store import AccountStore
from codexd.errors import LoginNotSavable


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


@pytest.mark.parametrize("fault", ["full", "read-only"])
async def test_the_server_is_not_asked_for_what_could_not_be_kept(world, disk, fault):
    account_id = world.add(0)
    disk.fill() if fault == "full" else disk.make_read_only()
    reason = "No space left" if fault == "full" else "Read-only"
    for _ in range(10):
        with pytest.raises(LoginNotSavable, match=f"ann@example.com .*does not ask for new tokens .*{reason}"):
            await world.refresher.fresh_token(account_id)
    assert world.server.asked == []
    disk.free() if fault == "full" else disk.make_writable()
    world.clock.now += 5
    assert await world.refresher.fresh_token(account_id) == world.saved(account_id)["access_token"]
    assert world.refresher.outage(account_id) is None


async def test_a_token_that_lives_serves_on_a_full_disk(world, disk):
    account_id = world.add(200)
    disk.fill()
    for _ in range(3):
        assert await world.refresher.fresh_token(account_id) == world.saved(account_id)["access_token"]
    assert world.server.asked == []


async def test_a_disk_that_fills_up_meanwhile_has_room_for_the_tokens(world, disk, nursery):
    account_id = world.add(0)
    world.server.gate = trio.Event()
    nursery.start_soon(world.refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    disk.fill()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert world.saved(account_id)["refresh_token"] == "rt_2"
    assert world.store.problems == ()


async def test_a_disk_that_breaks_meanwhile_costs_neither_the_request_nor_the_login(world, disk, nursery):
    account_id, got = world.add(0), []

    async def ask():
        got.append(await world.refresher.fresh_token(account_id))

    world.server.gate = trio.Event()
    nursery.start_soon(ask)
    await wait_all_tasks_blocked()
    disk.make_read_only()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert got == [world.store.tokens(account_id).access_token]
    assert await world.refresher.fresh_token(account_id) == got[0]
    assert world.saved(account_id)["refresh_token"] == "rt_1"
    world.clock.now += 3600  # the login is refreshed from memory: the one on disk is spent anyway
    assert await world.refresher.fresh_token(account_id) != got[0]
    disk.make_writable()
    world.store.close()
    assert world.server.asked == ["rt_1", "rt_2"]
    assert world.saved(account_id)["refresh_token"] == "rt_3"


async def test_an_account_folder_that_is_deleted_meanwhile_comes_back(world, nursery):
    account_id = world.add(0)
    world.server.gate = trio.Event()
    nursery.start_soon(world.refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    for path in world.path(account_id).parent.iterdir():
        path.unlink()
    world.path(account_id).parent.rmdir()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert world.saved(account_id)["refresh_token"] == "rt_2"
