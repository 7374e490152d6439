"""A soak by hand: streams for half an hour, and whether the daemon's memory stays flat.

::

    PYTHONPATH=tests .venv/bin/python -m chaos.soak --streams 50 --minutes 30

In the first five minutes the streams ask without a pause, so that every history of the daemon is full.
Prints a row a minute, and at the end whether memory stayed within 5 % after the first five minutes. Exits with 1 if it
did not, or if a turn did not end whole. Linux.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import trio
from attrs import define, evolve, field
from chaos.answers import Answer, IllegalError, Outcome, check
from chaos.client import Clients, Manner
from chaos.turns import Turn, make_turn
from chaos.world import Sizes, World, run_world

from codexd import bounds

SETTLED_S = 5 * 60.0
FLAT = 0.05
SAMPLE_S = 10.0
TURN_S = 60.0
LARGE_CHARS = 1_000_000


@define
class Soak:
    """What the streams have done so far, and the daemon's sizes over time."""

    world: World
    rng: random.Random
    pause_s: float
    turns: int = 0
    bad: int = 0
    samples: list[tuple[float, Sizes]] = field(factory=list)

    async def stream(self) -> None:
        """One client that asks again and again over its own connections."""
        clients = Clients(self.world.host, self.world.port, self.take)
        while True:
            await self.ask(clients, make_turn(self.rng))
            settled = self.samples and self.samples[-1][0] >= SETTLED_S
            await trio.sleep(self.pause_s if settled else 0)

    async def fill(self) -> None:
        """Fill what the daemon remembers of answers, which small conversations would do only in hours."""
        clients = Clients(self.world.host, self.world.port, self.take)
        for number in range(bounds.REMEMBERED_BYTES // LARGE_CHARS + 1):
            turn = make_turn(self.rng)
            while turn.path != "/v1/responses" or turn.body is None:
                turn = make_turn(self.rng)
            opening = {"role": "user", "content": f"{number} ".ljust(LARGE_CHARS, "x")}
            asked = {"role": "user", "content": turn.body["input"]}
            await self.ask(clients, evolve(turn, body=turn.body | {"input": [opening, asked]}))

    async def ask(self, clients: Clients, turn: Turn) -> None:
        try:
            with trio.fail_after(TURN_S):
                await clients.ask([turn], Manner.KEPT, self.rng)
        except (IllegalError, trio.TooSlowError, OSError, trio.BrokenResourceError) as failure:
            self.note_bad(repr(failure))

    def take(self, turn: Turn, answer: Answer) -> None:
        self.turns += 1
        outcome = check(turn, answer)
        if outcome is not Outcome.WHOLE:
            self.note_bad(f"{turn.kind}: {outcome.value} {answer.status} {answer.body[-200:]!r}")

    def note_bad(self, reason: str) -> None:
        self.bad += 1
        print(f"  ! {reason}", flush=True)

    async def sample(self, seconds: float) -> None:
        begun = trio.current_time()
        while (at := trio.current_time() - begun) < seconds:
            sizes = Sizes.of(self.world.process.pid)
            self.samples.append((at, sizes))
            if len(self.samples) % 6 == 1:
                columns = (f"{at / 60:4.0f} min", f"{sizes.memory_mb:7.1f} MB", f"{sizes.descriptors:4} descriptors")
                print("  ".join((*columns, f"{self.turns:8} turns", f"{self.bad:4} bad")), flush=True)
            await trio.sleep(SAMPLE_S)

    def is_flat(self) -> bool:
        """Whether memory stays within 5 % of what it was after the first five minutes, or the first sample."""
        settled = [sizes.memory_mb for at, sizes in self.samples if at >= SETTLED_S] or [self.samples[-1][1].memory_mb]
        change = max(settled) / settled[0] - 1
        print(
            f"memory after the first five minutes: {settled[0]:.1f} MB, at most {max(settled):.1f} MB ({change:+.1%})"
        )
        return change <= FLAT


async def main(streams: int, minutes: float, pause_s: float, faults: str, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with run_world(Path(folder), faults, settings="") as world, trio.open_nursery() as nursery:
            soak = Soak(world, random.Random(seed), pause_s)
            for _ in range(streams):
                nursery.start_soon(soak.stream)
            nursery.start_soon(soak.fill)
            await soak.sample(minutes * 60)
            nursery.cancel_scope.cancel()
        return 0 if soak.is_flat() and (soak.bad == 0 or faults != "asked") else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--pause", type=float, default=0, help="seconds between two turns of a stream, after the first five minutes"
    )
    parser.add_argument(
        "--faults", default="asked", help="as for codexd --faults; without any, every turn must be whole"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(trio.run(main, options.streams, options.minutes, options.pause, options.faults, options.seed))
