"""The daemon of a chaos run: a process of its own, its control socket, and what is done to it meanwhile."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import trio
from attrs import define, field, frozen

SETTINGS = """
[upstream]
connect_timeout = 3
first_event_timeout = 3
idle_timeout = 3
"""
"""A stalled backend is given up after seconds, so that a run takes minutes."""

CALL_S = 100.0
"""Longest wait for a reply of the control socket.

``accounts.verify`` may wait twice for a sign-in server that stalls (30 s each) and for the backend (20 s).
"""
START_S = 30.0
STOP_S = 40.0
ACTIVE = "simulated@example.com"
OTHERS = ("ann@example.com", "bob@example.com", "cid@example.com")
SECRET = re.compile(rb"eyJ[\w-]{20,}\.[\w-]{20,}|rt[_.][\w-]{20,}|ac_[\w-]{20,}")
"""What tokens and authorization codes look like."""
USAGE_LOCKED_S = 0.3


class RefusedError(Exception):
    """The control socket refused a call."""


@frozen
class Sizes:
    """What the daemon holds. Linux only."""

    descriptors: int
    memory_mb: float

    @classmethod
    def of(cls, pid: int) -> Sizes:
        status = Path(f"/proc/{pid}/status").read_text()
        memory_kb = int(status.split("VmRSS:")[1].split()[0])
        return cls(len(list(Path(f"/proc/{pid}/fd").iterdir())), memory_kb / 1024)


@define
class World:
    """A running daemon."""

    process: trio.Process
    folder: Path
    host: str
    port: int
    is_stopping: bool = False
    disturbed: Counter[str] = field(factory=Counter)
    refused: Counter[str] = field(factory=Counter)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "stderr.log"

    async def call(self, method: str, /, **params: object) -> dict:
        """The result of a method.

        Raises:
            RefusedError: the daemon says no, with a reason.
            trio.TooSlowError: no reply in time.
        """
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
        line = b""
        with trio.fail_after(CALL_S):
            async with await trio.open_unix_socket(str(self.home / "control.sock")) as stream:
                await stream.send_all(request)
                while not line.endswith(b"\n"):
                    data = await stream.receive_some(1 << 16)
                    assert data, f"the control socket hung up on {method}"
                    line += data
        reply = json.loads(line)
        if "error" in reply:
            assert reply["error"]["message"], reply
            assert reply["error"]["data"]["kind"], reply
            raise RefusedError(reply["error"]["message"])
        return reply["result"]

    async def sign_in(self, email: str) -> None:
        """Add an account, as a user with a browser elsewhere does."""
        flow = await self.call("accounts.login.start", method="manual")
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_S) as browser:
            page = await browser.post(flow["url"], data={"email": email, "decision": "allow"})
        await self.call("accounts.login.complete", flow=flow["flow"], input=page.headers["location"])

    async def disturb(self, rng: random.Random) -> None:
        """Do one thing that users, programs or machines do while turns run."""
        name = rng.choice(list(DISTURBANCES))
        try:
            await DISTURBANCES[name](self, rng)
            self.disturbed[name] += 1
        except (RefusedError, httpx.HTTPError):
            self.refused[name] += 1

    def stop(self) -> None:
        """Ask the daemon to stop, once: a second signal ends it at once."""
        if not self.is_stopping:
            self.is_stopping = True
            self.process.send_signal(signal.SIGTERM)

    def find_secrets(self) -> list[str]:
        """The files that hold a token and may not."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        kept = self.home / "accounts"
        return [
            str(path.relative_to(self.folder))
            for path in files
            if not (path.name == "auth.json" and path.is_relative_to(kept)) and SECRET.search(path.read_bytes())
        ]


@asynccontextmanager
async def run_world(folder: Path, faults: str, settings: str = SETTINGS) -> AsyncIterator[World]:
    """A daemon with four accounts and faults. It is stopped at the end, and must end well."""
    home = folder / "home"
    home.mkdir(parents=True, mode=0o700)
    (home / "settings.toml").write_text(settings)
    own = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder)}
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CODEX", "XDG"))} | own
    arguments = ["--simulate", "--home", str(home), "--port", "0", "--faults", faults]
    command = [sys.executable, "-m", "codexd", *arguments]
    async with trio.open_nursery() as nursery:
        with (folder / "stderr.log").open("wb") as errors:
            start = trio.lowlevel.open_process
            process = await start(command, stdout=subprocess.PIPE, stderr=errors, env=environ, stdin=subprocess.DEVNULL)
        try:
            with trio.fail_after(START_S):
                address = await _read_address(process)
            nursery.start_soon(_drain, process)
            world = World(process, folder, address[0], address[1])
            await _sign_in_all(world)
            yield world
            world.stop()
            with trio.fail_after(STOP_S):
                assert await process.wait() == 0, world.log.read_text()[-2000:]
        finally:
            if process.returncode is None:
                process.kill()
            nursery.cancel_scope.cancel()


async def _read_address(process: trio.Process) -> tuple[str, int]:
    text = b""
    while b"\n" not in text:
        data = await process.stdout.receive_some()
        assert data, "the daemon did not start"
        text += data
    url = urlsplit(re.search(r"http://\S+", text.decode())[0])
    return url.hostname, url.port


async def _drain(process: trio.Process) -> None:
    while await process.stdout.receive_some():
        pass


async def _sign_in_all(world: World) -> None:
    for email in OTHERS:
        await _persist(lambda email=email: world.sign_in(email))
    await _persist(lambda: world.call("accounts.switch", account=ACTIVE))


async def _persist(do: Callable[[], Awaitable[object]], times: int = 20) -> None:
    """Do it, against the odds: the sign-in server fails on purpose as well."""
    for _ in range(times):
        try:
            await do()
        except (RefusedError, httpx.HTTPError):
            await trio.sleep(0.1)
        else:
            return
    raise AssertionError(f"it did not succeed in {times} times")


# -- disturbances -----------------------------------------------------------------------------------


async def switch(world: World, rng: random.Random) -> None:
    await world.call("accounts.switch", account=rng.choice((ACTIVE, *OTHERS)))


async def disable(world: World, rng: random.Random) -> None:
    email = rng.choice(OTHERS)
    await world.call("accounts.disable", account=email)
    await trio.sleep(0.05)
    await world.call("accounts.enable", account=email)


async def refresh(world: World, rng: random.Random) -> None:
    await world.call("accounts.refresh", account=rng.choice((ACTIVE, *OTHERS)))


async def refresh_all(world: World, _rng: random.Random) -> None:
    await world.call("accounts.refresh", all=True)


async def replace(world: World, rng: random.Random) -> None:
    """Remove an account and sign in with it again."""
    email = rng.choice(OTHERS)
    await world.call("accounts.remove", account=email)
    await _persist(lambda: world.sign_in(email))


async def sign_in_again(world: World, rng: random.Random) -> None:
    await world.sign_in(rng.choice(OTHERS))


async def rotate(world: World, rng: random.Random) -> None:
    await world.call("settings.set", name="rotation.enabled", value=rng.random() < 0.7)
    await world.call(
        "settings.set", name="rotation.strategy", value=rng.choice(("sticky", "round-robin", "most-remaining"))
    )


async def tune(world: World, rng: random.Random) -> None:
    await world.call("settings.set", name="upstream.idle_timeout", value=rng.choice((2, 3, 4)))
    await world.call("settings.set", name="log.level", value=rng.choice(("debug", "info", "warning")))
    await world.call("settings.set", name="log.history", value=rng.choice((100, 1_000, 10_000)))


async def spoil_settings(world: World, _rng: random.Random) -> None:
    """A user saves a settings file that is wrong, reloads, and mends it."""
    file = world.home / "settings.toml"
    text = file.read_text()
    file.write_text(text + "\n[[[\n")
    try:
        await world.call("daemon.reload")
    except RefusedError:
        world.refused["reload of a wrong file"] += 1
    finally:
        file.write_text(text)
    await world.call("daemon.reload")


async def hang_up_signal(world: World, _rng: random.Random) -> None:
    world.process.send_signal(signal.SIGHUP)


async def touch_logins(world: World, rng: random.Random) -> None:
    """Another program touches a login."""
    files = list((world.home / "accounts").glob("*/auth.json"))
    rng.choice(files).touch()


async def lock_usage(world: World, _rng: random.Random) -> None:
    """Another program reads the usage history for longer than a moment."""
    with closing(sqlite3.connect(world.home / "usage.sqlite3", timeout=0.1)) as database:
        try:
            database.execute("begin exclusive")
        except sqlite3.OperationalError:
            return
        await trio.sleep(USAGE_LOCKED_S)


async def cancel_request(world: World, rng: random.Random) -> None:
    running = [each for each in (await world.call("requests.list"))["requests"] if each["state"] == "running"]
    if running:
        await world.call("requests.cancel", id=rng.choice(running)["id"])


async def look(world: World, rng: random.Random) -> None:
    methods = ("daemon.status", "accounts.list", "accounts.quota", "usage.summary", "accounts.status", "logs.history")
    await world.call(rng.choice(methods))


async def explain(world: World, _rng: random.Random) -> None:
    await world.call("requests.explain")


async def verify(world: World, rng: random.Random) -> None:
    await world.call("accounts.verify", account=rng.choice((ACTIVE, *OTHERS)))


async def follow_for_a_moment(world: World, rng: random.Random) -> None:
    """A live view that is closed without a word."""
    method = rng.choice(("logs.follow", "requests.follow", "events.follow"))
    async with await trio.open_unix_socket(str(world.home / "control.sock")) as stream:
        await stream.send_all(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).encode() + b"\n")
        with trio.move_on_after(0.3):
            while await stream.receive_some(4096):
                pass


DISTURBANCES: dict[str, Callable[[World, random.Random], Awaitable[None]]] = {
    function.__name__: function
    for function in (
        switch,
        disable,
        refresh,
        refresh_all,
        replace,
        sign_in_again,
        rotate,
        tune,
        spoil_settings,
        hang_up_signal,
        touch_logins,
        lock_usage,
        cancel_request,
        look,
        explain,
        verify,
        follow_for_a_moment,
    )
}
