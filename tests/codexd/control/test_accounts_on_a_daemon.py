"""The account methods of the control socket through a whole daemon and its sign-in server."""

import json
import time

import pytest
import trio
from support.harness import HELLO, RefusedError, post, start_daemon

from codexd.simulator.options import Options

SIMULATED = "simulated@example.com"


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "home")


async def account_of(running, email):
    accounts = (await running.call("accounts.list"))["accounts"]
    return next((account for account in accounts if account["email"] == email), None)


async def sign_in_by_paste(running, email, workspace="personal"):
    flow = await running.call("accounts.login.start", method="manual")
    callback = running.simulator.oauth.allow_url(flow["url"], email, workspace)
    return (await running.call("accounts.login.complete", flow=flow["flow"], input=callback))["account"]


def login_of(running, account_id):
    return running.places.state_dir / "accounts" / account_id / "auth.json"


def refresh_token_in(file):
    return json.loads(file.read_text())["tokens"]["refresh_token"]


async def test_removing_revokes_the_login(running):
    account = await account_of(running, SIMULATED)
    token = refresh_token_in(login_of(running, account["id"]))
    removed = await running.call("accounts.remove", account=SIMULATED)
    assert (removed["account"]["id"], removed["revoked"], removed["note"]) == (account["id"], True, None)
    assert not running.simulator.oauth.is_live(token)
    assert not login_of(running, account["id"]).parent.exists()
    assert (await running.call("accounts.list")) == {"accounts": [], "active": None}
    refused = await post(running, HELLO)
    assert refused.status_code == 401
    assert "codexctl accounts add" in refused.text


async def test_removing_the_active_account_activates_no_other(running):
    await sign_in_by_paste(running, "bea@example.com")
    removed = await running.call("accounts.remove", account=SIMULATED)
    assert "codexctl accounts switch" in removed["note"]
    assert (await running.call("accounts.list"))["active"] is None


async def test_a_login_that_another_program_still_has_is_not_revoked(running, tmp_path):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps(running.simulator.sign_in("cli@example.com")))
    before = file.read_bytes()
    await running.call("accounts.import", source=str(file))
    removed = await running.call("accounts.remove", account="cli@example.com")
    assert not removed["revoked"]
    assert str(file) in removed["note"]
    assert running.simulator.oauth.is_live(refresh_token_in(file))

    await running.call("accounts.import", source=str(file), follow=True)
    removed = await running.call("accounts.remove", account="cli@example.com")
    assert not removed["revoked"]
    assert running.simulator.oauth.is_live(refresh_token_in(file))
    assert file.read_bytes() == before


async def test_a_silent_server_keeps_no_login_here(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(revoke_status=503))
    removed = await running.call("accounts.remove", account=SIMULATED)
    assert not removed["revoked"]
    assert "removed from this machine" in removed["note"]
    assert await account_of(running, SIMULATED) is None


async def test_clear_removes_all(running):
    await sign_in_by_paste(running, "bea@example.com")
    assert await running.call("accounts.clear") == {"removed": 2}
    assert (await running.call("accounts.status"))["total"] == 0


async def test_a_disabled_account_is_not_used_until_it_is_enabled(running):
    changed = await running.call("accounts.disable", account=SIMULATED)
    assert changed["account"]["state"] == "disabled"
    refused = await post(running, HELLO)
    assert refused.status_code == 401
    assert "codexctl accounts enable" in refused.text
    assert (await running.call("accounts.status"))["states"]["disabled"] == 1
    assert (await running.call("accounts.enable", account=SIMULATED))["account"]["state"] == "ok"
    assert (await post(running, HELLO)).status_code == 200


async def test_refresh_and_verify_say_what_became_of_each(running):
    await sign_in_by_paste(running, "bea@example.com")
    before = refresh_token_in(login_of(running, (await account_of(running, SIMULATED))["id"]))
    running.simulator.oauth.revoke("bea@example.com")
    refreshed = (await running.call("accounts.refresh", all=True))["results"]
    assert [result["ok"] for result in refreshed] == [True, False]
    assert "valid for" in refreshed[0]["message"]
    assert "codexctl accounts add" in refreshed[1]["message"]
    assert not running.simulator.oauth.is_live(before)
    verified = (await running.call("accounts.verify", all=True))["results"]
    assert [result["ok"] for result in verified] == [True, False]
    assert "The login works (plan plus" in verified[0]["message"]
    with pytest.raises(RefusedError, match="all: can't be given with an account"):
        await running.call("accounts.verify", all=True, account="bea")


async def test_a_token_for_scripts_is_fresh(running):
    await running.let_token_expire()
    given = await running.call("accounts.token")
    assert given["account"]["email"] == SIMULATED
    assert given["expires_at"] > time.time() + 300
    assert given["access_token"] in running.simulator.oauth.all_tokens()


async def test_two_workspaces_of_one_person_are_two_accounts(running):
    personal = await sign_in_by_paste(running, "bea@example.com")
    work = await sign_in_by_paste(running, "bea@example.com", "work")
    assert personal["id"] != work["id"]
    with pytest.raises(RefusedError) as caught:
        await running.call("accounts.switch", account="bea@example.com")
    assert caught.value.kind == "account_ambiguous"
    listed = (await running.call("accounts.list"))["accounts"]
    labels = {each["id"]: each["label"] for each in listed}
    assert labels[personal["id"]] != labels[work["id"]]
    assert labels[personal["id"]] in str(caught.value)
    assert labels[work["id"]] in str(caught.value)
    assert (await running.call("accounts.switch", account=labels[work["id"]]))["account"]["id"] == work["id"]
    assert (await post(running, HELLO)).status_code == 200
    assert running.asked[-1].headers["authorization"] == "bea@example.com (work)"


async def test_a_switch_is_live_and_streams_finish_where_they_began(running):
    await sign_in_by_paste(running, "bea@example.com")
    running.load({"output": [{"text": "slow answer"}], "hold": "gate"}, {"output": [{"text": "next answer"}]})
    answers = {}

    async def ask(name):
        answers[name] = await post(running, HELLO)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "in flight")
        with trio.fail_after(5):
            while not running.asked:
                await trio.sleep(0.01)
        switched = await running.call("accounts.switch", account="bea")
        assert (switched["previous"]["email"], switched["switched"]) == (SIMULATED, True)
        await ask("next")
        running.simulator.release("gate")
    assert "slow answer" in answers["in flight"].text
    assert "next answer" in answers["next"].text
    assert [request.headers["authorization"] for request in running.asked] == [SIMULATED, "bea@example.com"]


async def test_a_dry_run_says_what_a_switch_costs(running):
    await sign_in_by_paste(running, "bea@example.com")
    nothing = await running.call("accounts.switch", account="bea", dry_run=True)
    assert nothing["cost"] == {"sessions": 0, "reasoning_items": 0, "tokens": 0}
    running.load({"output": [{"reasoning": {"summary": ["thought"]}}, {"text": "one"}]}, {"output": [{"text": "two"}]})
    thinking = HELLO | {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000}
    first = (await post(running, thinking, x_claude_code_session_id="s1")).json()
    history = [*HELLO["messages"], {"role": "assistant", "content": first["content"]}, HELLO["messages"][0]]
    await post(running, thinking | {"messages": history}, x_claude_code_session_id="s1")
    cost = (await running.call("accounts.switch", account="bea", dry_run=True))["cost"]
    assert (cost["sessions"], cost["reasoning_items"]) == (1, 1)
    assert cost["tokens"] > 0
    assert (await running.call("accounts.status"))["active"]["email"] == SIMULATED
    assert (await running.call("accounts.switch", account=SIMULATED, dry_run=True))["cost"]["sessions"] == 0


async def test_the_predecessors_accounts_come_over(running, tmp_path):
    entries = []
    for email in ("one@example.com", "two@example.com"):
        tokens = running.simulator.sign_in(email)["tokens"]
        entries.append(
            {
                "email": email,
                "accountId": tokens["account_id"],
                "planType": "plus",
                "accessToken": tokens["access_token"],
                "refreshToken": tokens["refresh_token"],
                "idToken": tokens["id_token"],
                "expiresAt": 1_800_000_000_000,
                "addedAt": "2026-03-01T10:00:00.000Z",
            }
        )
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"accounts": [*entries, {"email": "broken@example.com"}], "version": 1}))
    result = await running.call("accounts.import", source=str(file))
    assert [account["email"] for account in result["added"]] == ["one@example.com", "two@example.com"]
    assert ["broken@example.com" in problem for problem in result["problems"]] == [True]
    for email in ("one", "two"):
        await running.call("accounts.switch", account=email)
        assert (await post(running, HELLO)).status_code == 200
    with pytest.raises(RefusedError, match="follow"):
        await running.call("accounts.import", source=str(file), follow=True)


async def test_an_older_copy_does_not_replace_a_newer_login(running, tmp_path):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps(running.simulator.sign_in("cli@example.com")))
    await running.call("accounts.import", source=str(file))
    await running.call("accounts.refresh", account="cli@example.com")
    again = await running.call("accounts.import", source=str(file))
    assert ([account["email"] for account in again["kept"]], again["updated"]) == (["cli@example.com"], [])
    assert "newer" in again["note"]
    (verified,) = (await running.call("accounts.verify", account="cli@example.com"))["results"]
    assert verified["ok"]


async def test_the_predecessors_login_is_not_revoked_while_it_has_it(running, tmp_path):
    tokens = running.simulator.sign_in("cli@example.com")["tokens"]
    entry = {
        "email": "cli@example.com",
        "accountId": tokens["account_id"],
        "accessToken": tokens["access_token"],
        "refreshToken": tokens["refresh_token"],
        "idToken": tokens["id_token"],
    }
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"version": 1, "accounts": [entry]}))
    await running.call("accounts.import", source=str(file))
    removed = await running.call("accounts.remove", account="cli@example.com")
    assert not removed["revoked"]
    assert running.simulator.oauth.is_live(tokens["refresh_token"])


async def test_clear_revokes_what_it_removed(running):
    account = await account_of(running, SIMULATED)
    token = refresh_token_in(login_of(running, account["id"]))
    await running.call("accounts.clear")
    assert not running.simulator.oauth.is_live(token)


async def test_a_simulated_account_works_after_a_restart_too(tmp_path):
    async with trio.open_nursery() as first:
        running = await start_daemon(first, tmp_path)
        await running.sign_in("spare@example.com", plan="pro")
        await running.call("accounts.switch", account="spare@example.com")
        await running.call("accounts.disable", account="simulated@example.com")
        first.cancel_scope.cancel()
    async with trio.open_nursery() as second:
        running = await start_daemon(second, tmp_path)
        assert (await post(running, HELLO)).status_code == 200
        accounts = (await running.call("accounts.list"))["accounts"]
        assert [(each["email"], each["plan"], each["state"]) for each in accounts] == [
            ("simulated@example.com", "plus", "disabled"),
            ("spare@example.com", "pro", "ok"),
        ]
        second.cancel_scope.cancel()
