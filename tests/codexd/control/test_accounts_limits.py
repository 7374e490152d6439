"""Limits through a whole daemon: hit, shown, lifted, remembered."""

import pytest
import trio
from support.harness import HELLO, WallClock, post, start_daemon

SIMULATED = "simulated@example.com"
SIX_DAYS_S = 6 * 86_400


@pytest.fixture
def clock():
    return WallClock()


async def account_of(running, email=SIMULATED):
    accounts = (await running.call("accounts.list"))["accounts"]
    return next(account for account in accounts if account["email"] == email)


async def quota_of(running, **params):
    (quota,) = (await running.call("accounts.quota", **params))["accounts"]
    return quota


async def until_seen(running, state):
    """The account, once the tracker has taken in what the backend said."""
    with trio.fail_after(5):
        while (account := await account_of(running))["state"] != state:
            await trio.sleep(0.01)
    return account


async def test_a_lifted_limit_serves_at_once(nursery, tmp_path, clock):
    running = await start_daemon(nursery, tmp_path, clock=clock)
    running.simulator.set_used(SIMULATED, "secondary", 100, resets_in_s=SIX_DAYS_S)
    refused = await post(running, HELLO)
    assert refused.status_code == 429
    assert abs(int(refused.headers["retry-after"]) - SIX_DAYS_S) < 60
    assert "in 6 d 0 h" in refused.text or "in 5 d 23 h" in refused.text
    limited = await until_seen(running, "limited")
    assert abs(limited["limited_until"] - clock() - SIX_DAYS_S) < 60

    running.simulator.restore(SIMULATED)
    assert (await post(running, HELLO)).status_code == 200
    assert (await until_seen(running, "ok"))["limited_until"] is None


async def test_a_lifted_limit_is_seen_at_the_usage_endpoint(nursery, tmp_path, clock):
    running = await start_daemon(nursery, tmp_path, clock=clock)
    running.simulator.set_used(SIMULATED, "primary", 100, resets_in_s=SIX_DAYS_S)
    await post(running, HELLO)
    await until_seen(running, "limited")
    running.simulator.restore(SIMULATED)
    quota = await quota_of(running, refresh=True)
    assert (quota["cooldown_until"], quota["error"], quota["stale"]) == (None, None, False)
    assert {window["name"]: window["used_percent"] for window in quota["windows"]} == {"5h": 0, "weekly": 0}
    await until_seen(running, "ok")


async def test_under_rotation_a_lifted_limit_serves_again_within_a_minute(nursery, tmp_path, clock):
    running = await start_daemon(nursery, tmp_path, clock=clock, environ={"CODEXD_ROTATION_ENABLED": "true"})
    running.simulator.set_used(SIMULATED, "secondary", 100, resets_in_s=SIX_DAYS_S)
    for _ in range(2):
        refused = await post(running, HELLO)
        assert refused.status_code == 429
        assert SIMULATED in refused.json()["error"]["message"]
    assert len(running.asked) == 1  # the second was refused here
    running.simulator.restore(SIMULATED)
    clock.ahead_s += 50
    assert (await post(running, HELLO)).status_code == 200


async def test_a_limit_forgotten_by_hand(nursery, tmp_path, clock):
    running = await start_daemon(nursery, tmp_path, clock=clock, environ={"CODEXD_ROTATION_ENABLED": "true"})
    running.simulator.set_used(SIMULATED, "secondary", 100, resets_in_s=SIX_DAYS_S)
    assert (await post(running, HELLO)).status_code == 429
    running.simulator.restore(SIMULATED)
    running.simulator.fail_usage(503)
    changed = await running.call("accounts.enable", account=SIMULATED)
    assert changed["account"]["limited_until"] is None
    assert (await post(running, HELLO)).status_code == 200


async def test_limits_survive_a_restart_and_grow_stale(tmp_path, clock):
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, clock=clock)
        running.simulator.set_used(SIMULATED, "primary", 42)
        await post(running, HELLO)
        with trio.fail_after(5):
            while not (await account_of(running))["quota"]:
                await trio.sleep(0.01)
        seen = await quota_of(running)
        nursery.cancel_scope.cancel()
    clock.ahead_s += 3600
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, clock=clock)
        running.simulator.fail_usage(503)
        again = await quota_of(running)
        nursery.cancel_scope.cancel()
    assert again["windows"] == seen["windows"]
    assert again["windows"][0]["used_percent"] >= 42
    assert (seen["stale"], again["stale"]) == (False, True)


async def test_a_silent_usage_endpoint_is_said_with_the_last_figures(nursery, tmp_path, clock):
    running = await start_daemon(nursery, tmp_path, clock=clock)
    before = await quota_of(running, refresh=True)
    running.simulator.fail_usage(503)
    after = await quota_of(running, refresh=True)
    assert after["windows"] == before["windows"]
    assert after["error"]
    (verified,) = (await running.call("accounts.verify"))["results"]
    assert (verified["ok"], verified["message"]) == (False, after["error"])


async def test_the_backends_own_usage_document(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    usage = await running.call("accounts.usage")
    assert usage["details"]["plan_type"] == "plus"
    assert usage["quota"]["tightest"] in ("5h", "weekly")
