"""Followed logins: another program's file is read, never written, and its refresh token never traded in."""

import json
import os
import re
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.refresh import Refresher
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, FollowedLoginStale


class World:
    """A store that follows the file of another program, which is also played here."""

    def __init__(self, store, server, clock, login, path):
        self.store, self.server, self.clock, self.login, self.path = store, server, clock, login, path
        self.refresher = Refresher(store, server, clock)
        self.rotations = 0

    def rotate(self, left_s, **more):
        """The other program puts new tokens into its file; gives its access token."""
        self.rotations += 1
        auth_json = self.login(
            exp=self.clock() + left_s, refresh_token=f"rt_{self.rotations}", jti=f"{self.rotations}", **more
        )
        self.path.write_text(json.dumps(auth_json))
        return auth_json["tokens"]["access_token"]

    def truncate(self):
        """The other program has begun to write."""
        self.path.write_bytes(self.path.read_bytes()[:100])

    def follow(self, left_s):
        self.rotate(left_s)
        return self.store.add(json.loads(self.path.read_bytes()), now=self.clock(), followed=self.path)[0].id


@pytest.fixture
def world(store, server, clock, login, tmp_path):
    world = World(store, server, clock, login, tmp_path / "auth.json")
    yield world
    assert world.server.asked == []


async def test_its_token_is_handed_out(world):
    account_id = world.follow(3600)
    token = json.loads(world.path.read_bytes())["tokens"]["access_token"]
    assert await world.refresher.fresh_token(account_id) == token


async def test_the_file_is_read_again_when_the_token_is_due(world):
    account_id = world.follow(0)
    rotated = world.rotate(3600)
    assert await world.refresher.fresh_token(account_id) == rotated


async def test_what_is_left_of_its_token_is_used(world):
    account_id = world.follow(5)
    assert await world.refresher.fresh_token(account_id) == world.store.tokens(account_id).access_token


async def test_a_stale_login_is_reported_and_recovers(world):
    account_id = world.follow(-3 * 3600)
    for ask in (world.refresher.fresh_token, world.refresher.refresh_now):
        with pytest.raises(FollowedLoginStale) as info:
            await ask(account_id)
        for words in (
            "ann@example.com",
            str(world.path),
            "expired 3 h 0 min ago",
            "any `codex` command",
            "accounts add",
        ):
            assert words in str(info.value)
    assert world.store.get(account_id).needs_login is None
    rotated = world.rotate(3600)
    assert await world.refresher.fresh_token(account_id) == rotated


async def test_a_refused_token(world):
    account_id = world.follow(3600)
    refused = world.store.tokens(account_id).access_token
    with pytest.raises(FollowedLoginStale, match=f"refused.*{re.escape(str(world.path))}"):
        await world.refresher.fresh_token(account_id, rejected=refused)
    assert world.store.get(account_id).needs_login is None
    rotated = world.rotate(3600)
    assert await world.refresher.fresh_token(account_id, rejected=refused) == rotated


async def test_a_half_written_file_is_waited_for(world, nursery, autojump_clock):
    account_id, got = world.follow(0), []
    world.truncate()

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    nursery.start_soon(wait)
    await trio.sleep(0.9)
    assert got == []
    rotated = world.rotate(3600)
    await trio.sleep(0.1)
    assert got == [rotated]
    assert world.store.problems == ()


async def test_a_start_while_the_file_is_half_written(world, nursery, autojump_clock):
    account_id, got = world.follow(3600), []
    world.truncate()
    world.store.close()
    with AccountStore.open(world.store._accounts_dir.parent) as store:
        refresher = Refresher(store, world.server, world.clock)
        for ask in (refresher.fresh_token, refresher.refresh_now):
            with pytest.raises(AccountNeedsLogin, match="is not JSON"):
                await ask(account_id)

        async def wait():
            got.append(await refresher.fresh_token(account_id))

        nursery.start_soon(wait)
        await trio.sleep(0.5)
        rotated = world.rotate(3600)
        await trio.sleep(0.1)
        assert got == [rotated]


async def test_a_file_that_stays_half_written_is_reported(world, autojump_clock):
    account_id = world.follow(0)
    world.truncate()
    for _ in range(2):
        with pytest.raises(AccountNeedsLogin, match=re.escape(str(world.path))):
            await world.refresher.fresh_token(account_id)
    assert world.store.problems
    rotated = world.rotate(3600)
    assert await world.refresher.fresh_token(account_id) == rotated
    assert world.store.problems == ()


async def test_a_token_that_is_good_outlasts_a_file_that_is_not(world, autojump_clock):
    account_id = world.follow(100)
    world.truncate()
    token = world.store.tokens(account_id).access_token
    assert await world.refresher.fresh_token(account_id) == token
    with pytest.raises(AccountNeedsLogin, match="is not JSON"):
        await world.refresher.fresh_token(account_id, rejected=token)
    world.clock.now += 101
    with pytest.raises(AccountNeedsLogin):
        await world.refresher.fresh_token(account_id)


async def test_another_account_in_the_file_is_never_served(world, autojump_clock):
    account_id = world.follow(0)
    world.rotate(3600, user="user-bob", email="bob@example.com")
    with pytest.raises(AccountNeedsLogin, match=r"another account.*bob@example\.com"):
        await world.refresher.fresh_token(account_id)
    assert [account.email for account in world.store.accounts] == ["ann@example.com"]


async def test_a_sign_in_to_codexd_ends_the_following(world, server):
    account_id = world.follow(0)
    world.store.add(world.login(exp=world.clock(), refresh_token="rt_1"), now=world.clock())
    await world.refresher.fresh_token(account_id)
    assert server.asked == ["rt_1"]
    server.asked.clear()


async def test_following_that_begins_during_a_refresh_is_respected(world, server, nursery):
    account_id = world.store.add(world.login(exp=world.clock(), refresh_token="rt_own"), now=world.clock())[0].id
    got = []

    async def wait():
        got.append(await world.refresher.fresh_token(account_id))

    server.gate, server.valid = trio.Event(), "rt_own"
    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    world.follow(3600)
    before = world.path.read_bytes()
    server.gate.set()
    await wait_all_tasks_blocked()
    assert got == [world.store.tokens(account_id).access_token]
    assert got[0] in before.decode()
    assert world.path.read_bytes() == before
    assert server.asked == ["rt_own"]
    server.asked.clear()


async def test_the_scheduler_only_reads(world, nursery, autojump_clock):
    account_id = world.follow(3600)
    world.clock.follow_trio()
    nursery.start_soon(world.refresher.run)
    world.truncate()
    await trio.sleep(10)
    assert world.store.problems
    rotated = world.rotate(7200)
    await trio.sleep(62)
    assert world.store.problems == ()
    assert world.store.tokens(account_id).access_token == rotated
    await trio.sleep(7200)
    assert world.store.tokens(account_id).access_token == rotated
    assert world.store.get(account_id).needs_login is None


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
async def test_what_is_not_a_file_any_more_is_reported_and_never_waited_for(world, make, autojump_clock):
    account_id = world.follow(3600)
    held = world.store.tokens(account_id).access_token
    world.path.unlink()
    make(world.path)
    assert await world.refresher.fresh_token(account_id) == held
    await world.refresher.refresh_now(account_id)
    (problem,) = world.store.problems
    assert str(world.path) in problem
    world.clock.now += 3600
    with pytest.raises(AccountNeedsLogin, match="can't be read"):
        await world.refresher.fresh_token(account_id)
