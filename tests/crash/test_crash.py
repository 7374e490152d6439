"""kill -9 at a random moment of import, refresh, switch and remove: every account loads afterwards, and no login is lost.

``CODEXD_CRASH_ROUNDS`` says how often, ``CODEXD_CRASH_SEED`` repeats the choices of an earlier run. With ``-s`` the
test prints what was hit. A login whose refresh token the server has already traded in, while the daemon died before
the answer was on its disk, can't be saved by any program: it must then be told as such, and a new sign-in must mend it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import Factory, define

from codexd.simulator.app import Simulator
from codexd.web import server as web

FORK_SERVER = Path(__file__).with_name("fork_server.py")
ROUNDS = int(os.environ.get("CODEXD_CRASH_ROUNDS") or (200 if os.environ.get("CI") else 25))
SEED = int(os.environ.get("CODEXD_CRASH_SEED") or random.randrange(2**32))
EMAILS = tuple(f"user{number}@example.com" for number in range(6))
KINDS = ("import", "refresh", "switch", "remove")
LEAST_ACCOUNTS = 2
KILLED_AT_START = 0.1
FIRST_SPAN_S = 0.05
ROUND_LIMIT_S = 30.0


class Daemons:
    """One daemon after the other, forked from one process that has its modules loaded."""

    def __init__(self, process: trio.Process, order: dict[str, str]) -> None:
        self._process = process
        self._order = json.dumps(order).encode() + b"\n"
        self._lines = b""
        self._pid = 0

    async def fork(self) -> None:
        await self._process.stdin.send_all(self._order)
        self._pid = int((await self._expect("forked"))[0])

    async def wait_until_ready(self) -> None:
        await self._expect("ready")

    async def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        assert await self._expect("ended", "ready") == [str(int(signal.SIGKILL))]

    async def _expect(self, word: str, passed_over: str = "") -> list[str]:
        """The rest of the next line, which must begin with ``word``."""
        while True:
            while b"\n" not in self._lines:
                data = await self._process.stdout.receive_some()
                assert data, "the fork server has ended"
                self._lines += data
            line, _, self._lines = self._lines.partition(b"\n")
            found, *rest = line.decode().split()
            if found == word:
                return rest
            assert found == passed_over, f"the daemon has {line.decode()} where {word!r} was expected"


@define(eq=False)
class Operation:
    """What was asked of the daemon. ``reply`` is None when it died over it."""

    kind: str
    email: str
    login: dict | None = None
    is_sent: bool = False
    reply: dict | None = None

    @property
    def is_done(self) -> bool:
        """Whether it was acknowledged. An account that was removed meanwhile can't be refreshed or switched to."""
        if self.reply is None or "error" in self.reply:
            return False
        return all(checked["ok"] for checked in self.reply["result"].get("results", ()))

    @property
    def is_cut(self) -> bool:
        return self.is_sent and self.reply is None


@define
class Tally:
    rounds: int = 0
    done: Counter = Factory(Counter)
    killed: Counter = Factory(Counter)
    lost_answers: int = 0
    """Refreshes that the server had granted when the daemon died with nothing on its disk."""
    spans_s: dict[str, float] = Factory(lambda: dict.fromkeys(KINDS, FIRST_SPAN_S))
    """The kill falls within this time. It settles where half of the operations are cut."""

    def count(self, operations: list[Operation]) -> None:
        self.rounds += 1
        self.done.update(operation.kind for operation in operations if operation.is_done)
        self.killed.update(operation.kind for operation in operations if operation.is_cut)
        first = operations[0]
        self.spans_s[first.kind] *= 1.1 if first.reply is None else 0.9


@define(eq=False)
class World:
    """The daemon's home and its sign-in server, and what must be found there after the next kill."""

    home: Path
    simulator: Simulator
    daemons: Daemons
    rng: random.Random
    tally: Tally = Factory(Tally)
    tokens: dict[str, str] = Factory(dict)
    """The refresh token of each account, by e-mail, as it was on disk before the operations."""
    active: str | None = None
    operations: list[Operation] = Factory(list)

    async def play_round(self) -> None:
        await self.daemons.fork()
        if self.rng.random() < KILLED_AT_START:
            await trio.sleep(self.rng.uniform(0, 0.1))
            await self.daemons.kill()
            self.tally.killed["start"] += 1
            await self.daemons.fork()
        await self.daemons.wait_until_ready()
        await self.check()
        self.operations = self.choose_operations()
        await self.operate_and_kill()
        self.tally.count(self.operations)

    def choose_operations(self) -> list[Operation]:
        """One of the kind whose turn it is, and up to two others at the same time."""
        kinds = [KINDS[self.tally.rounds % len(KINDS)], *self.rng.choices(KINDS, k=self.rng.randrange(3))]
        return [self.choose_operation(kind) for kind in kinds]

    def choose_operation(self, kind: str) -> Operation:
        if kind == "import" or len(self.tokens) < LEAST_ACCOUNTS:
            email = self.rng.choice(EMAILS)
            return Operation("import", email, self.simulator.sign_in(email))
        return Operation(kind, self.rng.choice(sorted(self.tokens)))

    async def operate_and_kill(self) -> None:
        delay_s = self.rng.uniform(0, self.tally.spans_s[self.operations[0].kind])
        async with trio.open_nursery() as nursery:
            for operation in self.operations:
                nursery.start_soon(self.operate, operation)
            await trio.sleep(delay_s)
            await self.daemons.kill()

    async def operate(self, operation: Operation) -> None:
        match operation.kind:
            case "import":
                file = self.home.parent / f"{self.operations.index(operation)}.json"
                file.write_text(json.dumps(operation.login))
                await self.call("accounts.import", operation, source=str(file))
            case kind:
                await self.call(f"accounts.{kind}", operation, account=operation.email)

    async def call(self, method: str, operation: Operation | None = None, **params: object) -> dict:
        """The result; into ``operation`` goes the reply, if one comes at all."""
        operation = operation or Operation(method, "")
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
        line = b""
        try:
            async with await trio.open_unix_socket(self.home / "control.sock") as stream:
                await stream.send_all(request)
                operation.is_sent = True
                while not line.endswith(b"\n") and (data := await stream.receive_some()):
                    line += data
        except (OSError, trio.BrokenResourceError):
            pass
        if line.endswith(b"\n"):
            operation.reply = json.loads(line)
        return (operation.reply or {}).get("result") or {}

    async def check(self) -> None:
        """What the last round may have left behind, and nothing else."""
        status, listed = await self.call("daemon.status"), await self.call("accounts.list")
        accounts = {account["email"]: account for account in listed["accounts"]}
        assert status["problems"] == []
        assert {email: account["state"] for email, account in accounts.items()} == dict.fromkeys(accounts, "ok")
        self.check_presence(set(accounts))
        self.check_files({account["id"] for account in accounts.values()})
        for operation in self.operations:
            self.check_reply(operation)
        self.check_active(next((email for email, account in accounts.items() if account["active"]), None))
        before, self.tokens = self.tokens, {}
        for email, account in accounts.items():
            self.tokens[email] = self.read_token(account["id"])
            self.check_token(email, before.get(email))
        for email in self.find_lost():
            await self.sign_in_again(email)

    def check_presence(self, emails: set[str]) -> None:
        for email in EMAILS:
            imports, removals = self.operations_on(email, "import"), self.operations_on(email, "remove")
            was_there = email in self.tokens
            if not removals and (was_there or any(operation.is_done for operation in imports)):
                assert email in emails
            if not imports and (not was_there or any(operation.is_done for operation in removals)):
                assert email not in emails

    def check_files(self, ids: set[str]) -> None:
        assert {path.name for path in (self.home / "accounts").iterdir()} == ids
        for path in (self.home, *self.home.rglob("*")):
            with suppress(FileNotFoundError):  # the daemon runs: a list of models may just take its name
                mode = path.stat().st_mode
                assert stat.S_ISSOCK(mode) or mode & 0o777 == (0o700 if stat.S_ISDIR(mode) else 0o600), path
        allowed = {
            "accounts",
            "accounts.json",
            "accounts.json.previous",
            "accounts.lock",
            "control.sock",
            "limits.json",
            "models",
            *(f"usage.sqlite3{suffix}" for suffix in ("", "-wal", "-shm", "-journal")),
        }
        assert {path.name for path in self.home.iterdir()} <= allowed
        for account_id in ids:
            assert [path.name for path in (self.home / "accounts" / account_id).iterdir()] == ["auth.json"]

    def check_reply(self, operation: Operation) -> None:
        """Nothing is refused, but for an account that was removed at the same time."""
        if operation.reply is not None and not operation.is_done:
            assert operation.kind != "import", operation.reply
            assert self.operations_on(operation.email, "remove"), operation.reply

    def check_active(self, active: str | None) -> None:
        """A switch that was acknowledged holds; one that was cut holds or does not."""
        switches = [operation for operation in self.operations if operation.kind == "switch"]
        removed = {operation.email for operation in self.operations if operation.kind == "remove"}
        allowed = {operation.email for operation in switches}
        if not any(operation.is_done for operation in switches):
            allowed |= {self.active}
        if None not in allowed and not allowed & removed:  # an import makes its account active when none is
            assert active in allowed
        self.active = active

    def check_token(self, email: str, before: str | None) -> None:
        """The token on disk is the one that was acknowledged."""
        token = self.tokens[email]
        changes = [operation for operation in self.operations_on(email) if operation.kind != "switch"]
        if not changes:
            assert token == before
        elif len(changes) == 1 and changes[0].kind == "import" and changes[0].is_done:
            assert token == changes[0].login["tokens"]["refresh_token"]
        elif all(change.kind == "refresh" and change.is_done for change in changes):
            assert token != before

    def find_lost(self) -> list[str]:
        """The accounts whose token is spent: only a refresh that was cut may do that."""
        lost = [email for email, token in self.tokens.items() if not self.simulator.oauth.is_live(token)]
        for email in lost:
            assert any(operation.is_cut for operation in self.operations_on(email, "refresh")), email
            self.tally.lost_answers += 1
        return lost

    async def sign_in_again(self, email: str) -> None:
        """The account says what happened and what to do, and doing it helps."""
        checked = (await self.call("accounts.refresh", account=email))["results"][0]
        assert not checked["ok"]
        assert "by a refresh whose reply was lost" in checked["message"]
        assert "codexctl accounts add" in checked["message"]
        login = Operation("import", email, self.simulator.sign_in(email))
        self.operations = [login]
        await self.operate(login)
        account = next(each for each in (await self.call("accounts.list"))["accounts"] if each["email"] == email)
        assert account["state"] == "ok"
        self.tokens[email] = self.read_token(account["id"])
        assert self.simulator.oauth.is_live(self.tokens[email])

    def operations_on(self, email: str, *kinds: str) -> list[Operation]:
        return [each for each in self.operations if each.email == email and each.kind in (kinds or KINDS)]

    def read_token(self, account_id: str) -> str:
        auth_json = json.loads((self.home / "accounts" / account_id / "auth.json").read_bytes())
        return auth_json["tokens"]["refresh_token"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_kill_9_loses_no_login(tmp_path, nursery):
    print(f"\nCODEXD_CRASH_SEED={SEED}")
    simulator, listener = Simulator(), web.bind("127.0.0.1", 0)
    nursery.start_soon(partial(web.serve, simulator, [listener], stop=trio.Event(), drain_s=0.0))
    order = {"home": str(tmp_path / "home"), "upstream": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    fork_server = partial(trio.run_process, [sys.executable, str(FORK_SERVER)])
    process = await nursery.start(partial(fork_server, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    world = World(tmp_path / "home", simulator, Daemons(process, order), random.Random(SEED))
    while world.tally.rounds < ROUNDS:
        with trio.fail_after(ROUND_LIMIT_S):
            await world.play_round()
    tally = world.tally
    print(f"{tally.rounds} rounds; done {dict(tally.done)}; killed {dict(tally.killed)}")
    print(f"refreshes whose answer was on its way: {tally.lost_answers}")
    if ROUNDS >= 100:
        assert all(tally.done[kind] and tally.killed[kind] for kind in KINDS)
