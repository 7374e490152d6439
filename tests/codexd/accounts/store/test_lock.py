"""Who may write the accounts and refresh their logins, also while one daemon hands over to the next."""

import os

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.refresh import Refresher
from codexd.accounts.store.lock import Hold, LockedEndpoint, StoreLock
from codexd.accounts.store.store import AccountStore
from codexd.errors import AlreadyRunning, RefreshUnavailable, Restarting


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


def test_one_process_holds_the_lock(tmp_path):
    lock = StoreLock.take(tmp_path)
    with pytest.raises(AlreadyRunning, match="codexctl stop"):
        StoreLock.take(tmp_path)
    assert (tmp_path / "accounts.lock").stat().st_mode & 0o777 == 0o600
    lock.close()
    StoreLock.take(tmp_path).close()


def test_a_lock_that_was_passed_on_holds_until_the_last_copy_is_closed(state_dir):
    with AccountStore.open(state_dir) as old:
        passed = StoreLock(os.dup(old.lock.descriptor))
    with AccountStore.open(state_dir, passed), pytest.raises(AlreadyRunning):
        AccountStore.open(state_dir)
    AccountStore.open(state_dir).close()


async def test_who_has_lent_the_accounts_writes_nothing(store, state_dir, login, now):
    account, _ = store.add(login(), now=now)
    store.touch(account.id, now + 5)
    store.touch(account.id, now + 6)  # not written yet
    await store.lock.lend(store.save)
    assert AccountStore(state_dir, store.lock).get(account.id).last_used_at == now + 6
    before = {path: path.read_bytes() for path in state_dir.rglob("*.json*")}
    for write in (
        lambda: store.add(login(), now=now),
        lambda: store.remove(account.id),
        lambda: store.switch(account.id),
        lambda: store.set_disabled(account.id, True),
    ):
        with pytest.raises(Restarting, match="Try again"):
            write()
    store.touch(account.id, now + 500)
    store.mark_needs_login(account.id, "It is dead.")
    store.close()
    assert {path: path.read_bytes() for path in state_dir.rglob("*.json*")} == before


async def test_the_accounts_that_come_back_are_those_on_disk(store, state_dir, login, now):
    account, _ = store.add(login(), now=now)
    await store.lock.lend(store.save)
    AccountStore(state_dir, StoreLock(store.lock.descriptor)).add(login(email="bob@example.com", user="b"), now=now)
    store.take_back()
    assert len(store.accounts) == 2
    store.switch(account.id)
    assert not (state_dir / "accounts.json.edited").exists()


@pytest.mark.parametrize("left_s", [-5, 20])
async def test_a_refresh_that_runs_is_saved_first_and_none_begins_after_it(
    store, server, clock, login, nursery, left_s
):
    refresher = Refresher(store, LockedEndpoint(server, store.lock), clock, jitter=lambda: 0.0)
    account_id = store.add(login(exp=clock() + left_s), now=clock())[0].id
    server.gate = trio.Event()
    nursery.start_soon(refresher.fresh_token, account_id)
    await wait_all_tasks_blocked()
    nursery.start_soon(store.lock.lend, store.save)
    await wait_all_tasks_blocked()
    assert store.lock.hold is Hold.LENDING
    server.gate.set()
    await wait_all_tasks_blocked()
    assert store.lock.hold is Hold.LENT
    assert store.reload(account_id).refresh_token == "rt_2"
    clock.now += 9999
    with pytest.raises(RefreshUnavailable, match="codexd is restarting"):
        await refresher.fresh_token(account_id)
    assert server.asked == ["rt_1"]
    store.take_back()
    await refresher.fresh_token(account_id)
    assert server.asked == ["rt_1", "rt_2"]


async def test_what_the_successor_refreshed_is_used(store, state_dir, server, clock, login):
    refresher = Refresher(store, LockedEndpoint(server, store.lock), clock, jitter=lambda: 0.0)
    account_id = store.add(login(exp=clock() + 10), now=clock())[0].id
    await store.lock.lend(store.save)
    successor = AccountStore(state_dir, StoreLock(store.lock.descriptor))
    token = await Refresher(successor, server, clock, jitter=lambda: 0.0).fresh_token(account_id)
    assert await refresher.fresh_token(account_id) == token


async def test_a_token_that_still_works_is_used_to_the_end(store, server, clock, login):
    refresher = Refresher(store, LockedEndpoint(server, store.lock), clock, jitter=lambda: 0.0)
    account_id = store.add(login(exp=clock() + 100), now=clock())[0].id
    await store.lock.lend(store.save)
    assert await refresher.fresh_token(account_id) == store.tokens(account_id).access_token
    assert server.asked == []
