"""A disk that fills up or becomes read-only around refreshes, and daemons that stop in the middle: no login is lost.

``CODEXD_CRASH_SEED`` repeats the choices of an earlier run; with ``-s`` the test prints what was hit. Each round breaks
the disk before, during or after the refreshes of all accounts, mends it, and often stops the daemon and starts another.
In the end, every refresh token on disk is the one that the sign-in server accepts.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from functools import partial

import trio
from support.harness import Running
from support.small_disk import mounted

from codexd.assembly import Launch
from codexd.daemon import serve
from codexd.paths import find_places
from codexd.record.logs import LogRing, configure
from codexd.settings.live import LiveSettings
from codexd.simulator.app import Simulator
from codexd.web import server as web

ROUNDS = int(os.environ.get("CODEXD_DISK_ROUNDS") or 50)
SEED = int(os.environ.get("CODEXD_CRASH_SEED") or random.randrange(2**32))
EMAILS = tuple(f"user{number}@example.com" for number in range(3))
STOPS = 0.3


class World:
    """A home on a small disk, its daemon, and the sign-in server."""

    def __init__(self, disk, upstream, simulator, rng):
        self.disk, self.upstream, self.simulator, self.rng = disk, upstream, simulator, rng
        self.home = disk.path / "home"
        self.tally = Counter()
        self.is_read_only = False

    async def start(self, nursery):
        self.scope = await nursery.start(self.live)

    async def live(self, task_status=trio.TASK_STATUS_IGNORED):
        urls = {"upstream.backend_url": f"{self.upstream}/backend-api", "upstream.auth_url": self.upstream}
        places = find_places({}, self.home)
        settings = LiveSettings.open(places.settings, environ={}, flags={"server.port": 0, **urls})
        logs = LogRing(settings.current.log.history)
        configure("info", "text", logs)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                ready = await nursery.start(serve, Launch(settings, places, logs, environ={}))
                self.running = Running(ready.address, self.simulator, places, logs)
                self.ended = trio.Event()
                task_status.started(scope)
        self.ended.set()

    async def stop(self):
        self.scope.cancel()
        await self.ended.wait()

    async def play_round(self, nursery, number):
        fault, moment = self.rng.choice(["full", "nearly full", "read-only"]), self.rng.choice(["before", "during"])
        mends_first, stops = self.rng.random() < 0.5, self.rng.random() < STOPS
        hold, seen = f"round {number}", self.running.refreshes
        self.tally[f"{fault} {moment}"] += 1
        if moment == "before":
            self.break_disk(fault)
        else:
            self.simulator.load_token_replies(*[{"hold": hold}] * len(EMAILS))
        async with trio.open_nursery() as refreshing:
            refreshing.start_soon(self.refresh)
            if moment == "during":
                await self.wait_for_refreshes(seen + len(EMAILS))
                self.break_disk(fault)
                if mends_first:
                    self.mend_disk()
                self.simulator.release(hold)
        self.simulator.load_token_replies()
        await self.check_service()
        self.mend_disk()
        if stops:
            self.tally["stopped"] += 1
            await self.stop()
            self.check_disk()
            await self.start(nursery)
        await self.check_accounts()

    def break_disk(self, fault):
        match fault:
            case "full":
                self.disk.fill()
            case "nearly full":
                self.disk.fill(left_bytes=self.rng.choice([4096, 8192, 40_000]))
            case "read-only":
                self.disk.make_read_only()
                self.is_read_only = True

    def mend_disk(self):
        if self.is_read_only:
            self.disk.make_writable()
            self.is_read_only = False
        self.disk.free()

    async def refresh(self):
        results = (await self.running.call("accounts.refresh", all=True))["results"]
        self.tally.update("refreshed" if each["ok"] else "refused" for each in results)
        assert all(each["ok"] or "can't save" in each["message"] for each in results), results

    async def wait_for_refreshes(self, count):
        while self.running.refreshes < count:
            await trio.sleep(0.001)

    async def check_service(self):
        """Whatever the disk does, the tokens in memory are good, and what is not on disk is reported."""
        accounts = (await self.running.call("accounts.list"))["accounts"]
        assert {account["state"] for account in accounts} == {"ok"}, accounts
        problems = (await self.running.call("daemon.status"))["problems"]
        unsaved = [each for each in problems if "exists in memory only" in each]
        assert len(unsaved) == len(self.find_behind()), problems
        self.tally["unsaved"] += len(unsaved)

    async def check_accounts(self):
        """On a good disk, all logins can be refreshed again, and nothing is reported any more."""
        results = (await self.running.call("accounts.refresh", all=True))["results"]
        assert all(each["ok"] for each in results), results
        self.check_disk()
        assert (await self.running.call("daemon.status"))["problems"] == []

    def check_disk(self):
        assert self.find_behind() == []

    def find_behind(self):
        """The accounts whose refresh token on disk is spent."""
        tokens = {
            path.parent.name: json.loads(path.read_bytes())["tokens"]["refresh_token"]
            for path in (self.home / "accounts").glob("*/auth.json")
        }
        assert len(tokens) == len(EMAILS)
        return [account_id for account_id, token in tokens.items() if not self.simulator.oauth.is_live(token)]


async def test_a_bad_disk_loses_no_login(tmp_path, nursery):
    print(f"\nCODEXD_CRASH_SEED={SEED}")
    simulator, listener = Simulator(), web.bind("127.0.0.1", 0)
    nursery.start_soon(partial(web.serve, simulator, [listener], stop=trio.Event(), drain_s=0.0))
    upstream = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with mounted(tmp_path / "disk", size_kib=2048) as disk:
        world = World(disk, upstream, simulator, random.Random(SEED))
        await world.start(nursery)
        for email in EMAILS:
            await world.running.sign_in(email)
        for number in range(ROUNDS):
            with trio.fail_after(20):
                await world.play_round(nursery, number)
        await world.stop()
        world.check_disk()
    print(dict(world.tally))
