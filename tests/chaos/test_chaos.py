"""Chaos: thousands of concurrent turns of all APIs, on a backend that fails in every way, with odd clients, while
accounts, settings and files change.

Each turn must end in bounded time, whole or with a proper error of its API, and never with another turn's words.
Afterwards the daemon must be as before. ``CODEXD_CHAOS_TURNS`` says how many turns, ``CODEXD_CHAOS_SEED`` repeats the
choices of an earlier run (their order in time is the scheduler's). With ``-s`` the figures are printed.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define, field
from chaos.answers import Answer, IllegalError, Outcome, check
from chaos.client import TURNS_AT_ONCE, Clients, Manner, choose_manner
from chaos.turns import Turn, make_turn
from chaos.world import ACTIVE, OTHERS, SECRET, Sizes, World, run_world

TURNS = int(os.environ.get("CODEXD_CHAOS_TURNS") or (5_000 if os.environ.get("CI") else 300))
SEED = int(os.environ.get("CODEXD_CHAOS_SEED") or random.randrange(2**32))
FAULTS = os.environ.get("CODEXD_CHAOS_FAULTS") or "hostile"
AT_ONCE = min(200, max(20, TURNS // 25))
TURN_S = 150.0
"""The bound of a turn. The longest wait for the backend is some seconds, of which a turn may have a few; the rest is for
a machine that has other things to do."""
QUIET_S = 45.0
DISTURBANCE_PAUSE_S = 0.15
WARM_UP_TURNS = 60
EXAMPLES = 3
STOPPED_TURNS = 30

KEPT_DESCRIPTORS = 2 * 20 + 10
"""Kept connections to the simulator, 20 with both ends in the daemon, and what comes and goes."""
KEPT_MEMORY_MB = 60.0
"""Histories that have not been full after the warm-up: log entries, requests, sessions, and the allocator's spare."""
_VARIABLE = re.compile(r"\d+|mk[0-9a-f]{16}|\(request .*|'.*'")

LEAST_WHOLE = 0.4
"""A run in which hardly a turn succeeds tests nothing."""


@define
class Tally:
    """What happened."""

    outcomes: Counter[Outcome] = field(factory=Counter)
    kinds: Counter[tuple[str, Outcome]] = field(factory=Counter)
    statuses: Counter[str] = field(factory=Counter)
    faults: defaultdict[str, list[str]] = field(factory=lambda: defaultdict(list))
    """What went wrong, with enough to find it, by the kind of reason."""
    longest_s: float = 0.0

    def count(self, turn: Turn, outcome: Outcome, reason: str = "") -> None:
        self.outcomes[outcome] += 1
        self.kinds[turn.kind, outcome] += 1
        if outcome in (Outcome.ILLEGAL, Outcome.HUNG):
            self.faults[_VARIABLE.sub("*", reason)[:60]].append(f"{outcome.value}: {turn.kind} {turn.marker}: {reason}")

    def list_faults(self) -> list[str]:
        """How often each kind of fault was seen, with some examples of it."""
        return [f"{len(seen)} x {example}" for seen in self.faults.values() for example in seen[:EXAMPLES]]

    def take_answer(self, turn: Turn, answer: Answer) -> None:
        self.statuses[f"{answer.status}"] += 1
        try:
            if SECRET.search(answer.body):
                raise IllegalError("a token in the answer")
            self.count(turn, check(turn, answer))
        except IllegalError as fault:
            self.count(turn, Outcome.ILLEGAL, f"{fault} (request {answer.headers.get('x-request-id')})")
        except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError) as fault:
            self.count(turn, Outcome.ILLEGAL, f"an odd shape: {fault!r}: {answer.body[-300:]!r}")


@define
class Load:
    """The clients: they share ``left`` turns."""

    clients: Clients
    tally: Tally
    rng: random.Random
    left: int

    async def run(self, at_once: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(self._run_client)
        await self.clients.close()

    async def _run_client(self) -> None:
        while self.left > 0:
            manner = choose_manner(self.rng)
            turns = [make_turn(self.rng) for _ in range(TURNS_AT_ONCE.get(manner, 1))]
            self.left -= len(turns)
            await self._ask(turns, manner)

    async def _ask(self, turns, manner) -> None:
        begun = trio.current_time()
        unanswered = list(turns)

        def take(turn: Turn, answer: Answer) -> None:
            unanswered.remove(turn)
            self.tally.take_answer(turn, answer)

        clients = Clients(self.clients.host, self.clients.port, take, self.clients.kept)
        try:
            with trio.fail_after(TURN_S):
                await clients.ask(turns, manner, random.Random(self.rng.random()))
            outcome, reason = Outcome.LEFT, ""
        except trio.TooSlowError:
            outcome, reason = Outcome.HUNG, f"nothing after {TURN_S:.0f} s ({manner.value})"
        except IllegalError as fault:
            outcome, reason = Outcome.ILLEGAL, str(fault)
        except (OSError, trio.BrokenResourceError) as failure:
            outcome, reason = Outcome.ILLEGAL, f"{failure!r} ({manner.value})"
        for turn in unanswered:
            self.tally.count(turn, outcome, reason)
        self.tally.longest_s = max(self.tally.longest_s, trio.current_time() - begun)


async def disturb(world: World, rng: random.Random) -> None:
    while True:
        await world.disturb(rng)
        await trio.sleep(DISTURBANCE_PAUSE_S)


@asynccontextmanager
async def following_logs(world: World):
    """``codexctl logs -f`` runs all the time; a user has left it open."""
    command = [sys.executable, "-m", "codexctl", "--socket", str(world.home / "control.sock"), "logs", "-f", "--json"]
    with (world.folder / "codexctl.out").open("wb") as output:
        async with trio.open_nursery() as nursery:
            process = await nursery.start(partial(trio.run_process, command, stdout=output, stderr=output, check=False))
            yield process
            process.terminate()


async def wait_until_quiet(world: World) -> dict:
    """The status once nothing is in flight."""
    with trio.fail_after(QUIET_S):
        while True:
            status = await world.call("daemon.status")
            if status["streams_in_flight"] == 0:
                return status
            await trio.sleep(0.1)


async def wait_for_sizes(world: World, before: Sizes) -> Sizes:
    """What the daemon holds once idle connections are gone, or after a while."""
    give_up_at = trio.current_time() + QUIET_S
    while True:
        now = Sizes.of(world.process.pid)
        if now.descriptors <= before.descriptors + KEPT_DESCRIPTORS or trio.current_time() > give_up_at:
            return now
        await trio.sleep(0.5)


async def find_lost(world: World) -> list[str]:
    """The accounts whose login no longer works: the faults of the run take none."""
    accounts = (await world.call("accounts.list"))["accounts"]
    lost = [account["email"] for account in accounts if account["state"] == "needs_login"]
    return lost + sorted({ACTIVE, *OTHERS} - {account["email"] for account in accounts})


async def load(world: World, tally: Tally, rng: random.Random, turns: int, at_once: int) -> None:
    clients = Clients(world.host, world.port, tally.take_answer)
    await Load(clients, tally, rng, turns).run(at_once)


def print_figures(tally: Tally, world: World, figures: dict[str, object]) -> None:
    print(f"\nCODEXD_CHAOS_SEED={SEED} CODEXD_CHAOS_TURNS={TURNS} ({AT_ONCE} at once)")
    print("  turns:", ", ".join(f"{tally.outcomes[outcome]} {outcome.value}" for outcome in Outcome))
    print("  HTTP statuses:", dict(sorted(tally.statuses.items())))
    print("  disturbances:", dict(sorted(world.disturbed.items())), "refused:", dict(sorted(world.refused.items())))
    print(" ", ", ".join(f"{name}: {value}" for name, value in figures.items()))
    for fault in tally.list_faults():
        print("  !", fault[:600])


@pytest.mark.skipif(sys.platform != "linux" or not Path("/proc/self/fd").exists(), reason="reads /proc")
async def test_turns_end_whole_or_with_a_proper_error(tmp_path):
    rng, tally, begun = random.Random(SEED), Tally(), time.monotonic()
    async with run_world(tmp_path, f"{FAULTS},seed={SEED}") as world:
        await load(world, Tally(), rng, WARM_UP_TURNS, 10)
        pid = (await wait_until_quiet(world))["pid"]
        before = Sizes.of(world.process.pid)
        async with following_logs(world), trio.open_nursery() as nursery:
            nursery.start_soon(disturb, world, random.Random(SEED + 1))
            await load(world, tally, rng, TURNS, AT_ONCE)
            nursery.cancel_scope.cancel()
        seconds = time.monotonic() - begun
        status = await wait_until_quiet(world)
        after = await wait_for_sizes(world, before)
        lost = await find_lost(world)
    text = world.log.read_text(errors="replace")
    tracebacks = text.count("Traceback")
    figures = {
        "seconds": f"{seconds:.0f}",
        "longest turn": f"{tally.longest_s:.1f} s",
        "descriptors": f"{before.descriptors} -> {after.descriptors}",
        "memory": f"{before.memory_mb:.0f} -> {after.memory_mb:.0f} MB",
        "lost logins": lost,
        "tracebacks": tracebacks,
    }
    print_figures(tally, world, figures)
    assert tally.outcomes[Outcome.HUNG] == 0, tally.list_faults()
    assert tally.outcomes[Outcome.ILLEGAL] == 0, tally.list_faults()
    assert tally.outcomes[Outcome.WHOLE] >= LEAST_WHOLE * sum(tally.outcomes.values())
    assert status["pid"] == pid == world.process.pid
    assert [(task["name"], task["state"], task["restarts"]) for task in status["tasks"]] == [
        (task["name"], "running", 0) for task in status["tasks"]
    ]
    assert after.descriptors <= before.descriptors + KEPT_DESCRIPTORS
    assert after.memory_mb <= before.memory_mb + KEPT_MEMORY_MB
    assert lost == []
    assert tracebacks == 0, text[text.index("Traceback") - 500 :][:3000]
    assert world.find_secrets() == []


async def test_a_stop_ends_every_turn_properly(tmp_path):
    """SIGTERM in the middle of many turns: each that has begun gets all of its answer, or an error of its API."""
    rng, tally = random.Random(SEED), Tally()
    async with run_world(tmp_path, "dripped=0.7,stalled:body=0.2,event:comments=0.1") as world:
        async with trio.open_nursery() as nursery:
            for _ in range(STOPPED_TURNS):
                nursery.start_soon(ask_once, world, tally, make_turn(rng))
            while tally.outcomes.total() + (await world.call("daemon.status"))["streams_in_flight"] < STOPPED_TURNS:
                await trio.sleep(0.01)
            world.stop()
    assert not tally.faults, tally.list_faults()
    assert tally.outcomes[Outcome.WHOLE] >= 1


async def ask_once(world: World, tally: Tally, turn: Turn) -> None:
    clients = Clients(world.host, world.port, tally.take_answer)
    try:
        await clients.ask([turn], Manner.PLAIN, random.Random(0))
    except IllegalError as fault:
        tally.count(turn, Outcome.ILLEGAL, str(fault))
    except (OSError, trio.BrokenResourceError) as failure:
        tally.count(turn, Outcome.ILLEGAL, repr(failure))
