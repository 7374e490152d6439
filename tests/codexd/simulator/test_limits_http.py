"""The plan's limits as clients meet them: refusals, headers, events and the usage endpoint."""

from __future__ import annotations

import pytest
from support.harness import HELLO, post, start_daemon
from support.simulator_bench import open_bench, read_events

from codexd.simulator.options import Credits, MeteredLimit, Options, Unserved


async def test_usage_limits() -> None:
    async with open_bench() as bench:
        bench.simulator.set_used("simulated@example.com", "primary", 100)
        response = await bench.post()
        assert (response.status_code, response.json()["error"]["type"]) == (429, "usage_limit_reached")
        assert response.headers["x-codex-primary-used-percent"] == "100"
        usage = (await bench.http.get("/backend-api/wham/usage", headers=bench.headers)).json()
        assert usage["rate_limit"]["primary_window"]["used_percent"] == 100
        assert usage["email"] == "simulated@example.com"


async def test_quota_that_comes_back_before_its_time() -> None:
    async with open_bench() as bench:
        bench.simulator.set_used("simulated@example.com", "secondary", 100, resets_in_s=6 * 86_400)
        response = await bench.post()
        assert response.json()["error"]["resets_in_seconds"] == 6 * 86_400
        bench.simulator.restore("simulated@example.com")
        usage = (await bench.http.get("/backend-api/wham/usage", headers=bench.headers)).json()
        assert usage["rate_limit"]["secondary_window"]["used_percent"] == 0
        assert (await bench.post()).status_code == 200


async def test_a_usage_endpoint_that_fails() -> None:
    async with open_bench() as bench:

        async def ask() -> int:
            return (await bench.http.get("/backend-api/wham/usage", headers=bench.headers)).status_code

        bench.simulator.fail_usage(503)
        assert await ask() == 503
        assert (await bench.post()).status_code == 200
        bench.simulator.fail_usage(None)
        assert await ask() == 200


async def test_a_metered_model() -> None:
    metered = MeteredLimit("GPT-5.5 trial", frozenset({"gpt-5.5"}), budget_tokens=1_000)
    async with open_bench(metered_limits=(metered,)) as bench:
        bench.simulator.load({"replies": [{"output": [], "usage": {"total_tokens": 1_000}}], "then": "repeat-last"})
        first = await bench.post()
        assert first.headers["x-codex-bengalfox-primary-used-percent"] == "0"
        assert [event.get("limit_name") for event in read_events(first.text)[:2]] == [None, "GPT-5.5 trial"]
        second = await bench.post()
        assert second.status_code == 429
        assert second.headers["x-codex-active-limit"] == "codex_bengalfox"
        assert (await bench.post(model="gpt-6-astra")).status_code == 200
        bench.simulator.set_used("simulated@example.com", "primary", 50, limit="codex_bengalfox")
        assert (await bench.post()).status_code == 200


async def test_credits_serve_beyond_the_plan() -> None:
    async with open_bench(credits=Credits(balance="3.50")) as bench:
        bench.simulator.set_used("simulated@example.com", "primary", 100)
        response = await bench.post()
        assert response.status_code == 200
        assert response.headers["x-codex-credits-balance"] == "3.50"


async def test_an_answer_counts_against_the_plan() -> None:
    async with open_bench(primary_budget_tokens=1_000) as bench:
        bench.simulator.load({"replies": [{"output": [], "usage": {"total_tokens": 250}}]})
        await bench.post()
        usage = (await bench.http.get("/backend-api/wham/usage", headers=bench.headers)).json()
        assert usage["rate_limit"]["primary_window"]["used_percent"] == 25


async def test_used_up_credits_have_no_window_and_no_reset(nursery, tmp_path):
    spent = "workspace_member_credits_depleted"
    running = await start_daemon(nursery, tmp_path, options=Options(spent=spent))
    refused = await post(running, HELLO)
    assert refused.status_code == 402
    assert spent in refused.json()["error"]["message"]
    await running.call("accounts.quota", refresh=True)
    (account,) = (await running.call("accounts.list"))["accounts"]
    assert account["state"] == "limited"


@pytest.mark.parametrize("unserved", Unserved)
async def test_where_nobody_is_served_no_login_is_touched(nursery, tmp_path, unserved):
    running = await start_daemon(nursery, tmp_path, options=Options(unserved=unserved))
    refused = await post(running, HELLO)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
    assert "The login is fine" in refused.json()["error"]["message"]
    assert running.refreshes == 0
    (account,) = (await running.call("accounts.list"))["accounts"]
    assert account["state"] == "ok"
