"""Logins through a whole daemon, against a sign-in server whose refresh tokens serve once and die all on reuse."""

import json
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from attrs import define
from support.harness import HELLO, WallClock, post, start_daemon

from codexd.errors import AlreadyRunning
from codexd.simulator.app import Simulator
from codexd.simulator.credentials import CLIENT_ID
from codexd.simulator.options import Options

SIMULATED = "simulated@example.com"
FOLLOWED = "followed@example.com"
STRICT = Options(kill_family_on_reuse=True, kept_requests=100_000, delta_chars=10_000, chunk_events=100)
"""Answers in one piece: these tests are about what comes before them."""

EXPIRIES = 1_000
CLIENTS = 2


@define(eq=False)
class OtherProgram:
    """A Codex-CLI-like owner of an ``auth.json``: it refreshes by itself and writes the file in place."""

    path: Path
    simulator: Simulator
    auth_json: dict

    @classmethod
    def sign_in(cls, path, simulator, email=FOLLOWED):
        program = cls(path, simulator, simulator.sign_in(email))
        path.write_text(json.dumps(program.auth_json))
        return program

    async def rotate(self):
        """One refresh of its own, and the file truncated and written in two halves."""
        form = {
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": self.auth_json["tokens"]["refresh_token"],
        }
        reply = self.simulator.oauth.refresh(form)
        assert isinstance(reply, dict), f"its login is dead: {reply}"
        tokens = {name: reply[name] for name in ("id_token", "access_token", "refresh_token")}
        self.auth_json = {**self.auth_json, "tokens": self.auth_json["tokens"] | tokens}
        text = json.dumps(self.auth_json)
        with self.path.open("w") as file:
            for half in (text[: len(text) // 2], text[len(text) // 2 :]):
                await trio.sleep(0.003)
                file.write(half)
                file.flush()


async def account_of(running, email):
    accounts = (await running.call("accounts.list"))["accounts"]
    return next(account for account in accounts if account["email"] == email)


@asynccontextmanager
async def asking(running):
    """A function that asks something and notes the status of the answer, and its notes."""
    statuses = Counter()
    async with httpx.AsyncClient(base_url=running.address, trust_env=False, timeout=30) as client:

        async def ask():
            statuses[(await client.post("/v1/messages", json=HELLO)).status_code] += 1

        yield ask, statuses


async def ask_fifty_times_at_once(running):
    async with asking(running) as (ask, statuses):
        async with trio.open_nursery() as together:
            for _ in range(50):
                together.start_soon(ask)
    assert statuses == {200: 50}


async def test_fifty_requests_on_an_expired_token_make_one_refresh(tmp_path, nursery):
    running = await start_daemon(nursery, tmp_path, options=STRICT)
    await running.let_token_expire()
    await ask_fifty_times_at_once(running)
    assert running.refreshes == 1


async def test_fifty_requests_on_a_revoked_token_make_one_refresh(tmp_path, nursery):
    running = await start_daemon(nursery, tmp_path, options=STRICT)
    running.simulator.oauth.revoke_access(SIMULATED)
    await ask_fifty_times_at_once(running)
    assert running.refreshes == 1


async def test_a_second_daemon_on_one_home_refuses(tmp_path, nursery):
    running = await start_daemon(nursery, tmp_path)
    with pytest.RaisesGroup(pytest.RaisesExc(AlreadyRunning, match=str(tmp_path))):
        async with trio.open_nursery() as second:
            await start_daemon(second, tmp_path)
    assert (await post(running, HELLO)).status_code == 200


async def test_a_clock_that_jumps_finds_a_fresh_token(tmp_path, nursery):
    """A laptop sleeps for nine hours: the request on waking is not sent with the old token."""
    clock = WallClock()
    running = await start_daemon(nursery, tmp_path, options=Options(access_token_lifetime_s=3600), clock=clock)
    await running.call("accounts.refresh")
    assert (await post(running, HELLO)).status_code == 200
    clock.ahead_s = 9 * 3600
    assert (await post(running, HELLO)).status_code == 200
    assert running.refreshes == 2
    assert len(running.asked) == 2  # the backend refused none


async def test_a_dead_login_says_what_to_do_and_is_not_asked_again(tmp_path, nursery):
    running = await start_daemon(nursery, tmp_path, options=STRICT)
    await running.let_token_expire()
    running.simulator.oauth.revoke(SIMULATED)
    for _ in range(3):
        answer = await post(running, HELLO)
        assert answer.status_code == 401
        assert "codexctl accounts add" in answer.text
    assert running.refreshes == 1
    assert (await account_of(running, SIMULATED))["state"] == "needs_login"
    await running.sign_in(SIMULATED)
    assert (await post(running, HELLO)).status_code == 200


async def test_a_thousand_expiries_of_a_followed_login(tmp_path, nursery):
    """Each time, requests meet the expired token while the other program is writing the new one."""
    running = await start_daemon(nursery, tmp_path / "home", options=STRICT)
    program = OtherProgram.sign_in(tmp_path / "auth.json", running.simulator)
    await running.call("accounts.import", source=str(program.path), follow=True)
    await running.call("accounts.switch", account=FOLLOWED)
    async with asking(running) as (ask, statuses):
        for _ in range(EXPIRIES):
            running.simulator.oauth.expire_access(FOLLOWED)
            async with trio.open_nursery() as together:
                together.start_soon(program.rotate)
                for _ in range(CLIENTS):
                    together.start_soon(ask)
    assert statuses == {200: CLIENTS * EXPIRIES}
    assert len(running.asked) > CLIENTS * EXPIRIES  # the backend refused the old token first
    assert running.refreshes == 0
    assert running.simulator.oauth.is_live(program.auth_json["tokens"]["refresh_token"])
    assert (await account_of(running, FOLLOWED))["state"] == "ok"
    assert (await running.call("daemon.status"))["problems"] == []


async def test_a_stale_followed_login_is_its_owners_to_mend(tmp_path, nursery):
    running = await start_daemon(nursery, tmp_path / "home", options=STRICT)
    program = OtherProgram.sign_in(tmp_path / "auth.json", running.simulator)
    await running.call("accounts.import", source=str(program.path), follow=True)
    await running.call("accounts.switch", account=FOLLOWED)
    running.simulator.oauth.expire_access(FOLLOWED)
    answer = await post(running, HELLO)
    assert answer.status_code == 401
    assert str(program.path) in answer.text
    assert "Run any `codex` command there" in answer.text
    assert (await account_of(running, FOLLOWED))["state"] == "ok"
    await program.rotate()
    assert (await post(running, HELLO)).status_code == 200
    assert running.refreshes == 0


async def test_a_login_whose_refresh_token_is_withdrawn_says_until_when_it_works(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    running.simulator.load_token_replies({"code": "refresh_token_invalidated"})
    (refreshed,) = (await running.call("accounts.refresh"))["results"]
    assert not refreshed["ok"]
    assert "can't be renewed; it ends in 10 d 0 h" in refreshed["message"]
    (account,) = (await running.call("accounts.list"))["accounts"]
    assert (account["state"], account["reason"]) == ("expiring", refreshed["message"])
    assert refreshed["message"] in (await running.call("daemon.status"))["problems"]
    assert (await post(running, HELLO)).status_code == 200
    await running.call("accounts.refresh")
    assert running.refreshes == 1
