"""What codexd adds to a stream, beside a raw Trio byte forwarder and no proxy at all.

    python tests/bench/streams.py
    python tests/bench/streams.py --api all --rounds 9 --events 800 --json
    python tests/bench/streams.py --upstream-port 9000 --peer other=http://127.0.0.1:9100@4242

A peer is another proxy with Anthropic's Messages API; start it yourself with the fake backend as its backend
(``--upstream-port`` keeps its address) and, for CPU and memory, name its process id after ``@``.
Everything runs on this machine, each part in a process of its own, pinned where there are two CPUs or more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from load import Load
from processes import BenchError, die_with_parent, pin, read_cpu_s, read_rss_mb
from targets import APIS, FLOOR, HERE, Setup, Target

PATIENCE_S = 30.0
"""What a run of the load may take beyond the pace of its streams."""


@dataclass(frozen=True)
class Case:
    """``per_s`` 0 is a burst; each of ``streams`` connections sends ``requests`` and one more before them."""

    name: str
    streams: int
    requests: int
    deltas: int
    per_s: float

    @property
    def answer_s(self) -> float:
        return self.deltas / self.per_s if self.per_s else 0.0


def make_cases(events: int) -> list[Case]:
    """The first shows what a request costs by itself; the others hold that cost spread over their deltas."""
    return [
        Case("one delta, 1 stream", 1, 20, 1, 0),
        Case("burst, 1 stream", 1, 20, events, 0),
        Case("burst, 1 long stream", 1, 3, events * 25, 0),
        Case("paced 200/s, 1 stream", 1, 5, max(events // 4, 1), 200),
        Case("paced 20/s, 50 streams", 50, 1, max(events // 8, 1), 20),
    ]


@dataclass(frozen=True)
class Round:
    """One run of a case against a target."""

    events_per_s: float
    ttft_ms: float
    cpu_ms: float | None
    rss_mb: float | None


@dataclass(frozen=True)
class Row:
    """The medians over the rounds. ``x_`` is the ratio to the floor; ``cpu_ms`` is for 1,000 events."""

    case: str
    target: str
    events_per_s: float
    x_events_per_s: float
    cpu_ms: float | None
    x_cpu: float | None
    ttft_ms: float
    x_ttft: float
    rss_mb: float | None


def run_round(case: Case, target: Target, cpu: int | None) -> Round:
    load = Load(
        target.host, target.port, target.head, target.body, case.streams, case.requests, case.deltas, case.answer_s
    )
    before_s = read_cpu_s(target.pid) if target.pid else 0.0
    timings = run_load(load, cpu, PATIENCE_S + (case.requests + 2) * case.answer_s * 2)
    events = case.streams * (case.requests + 1) * case.deltas
    return Round(
        events_per_s=case.streams * median(deltas / whole_s for deltas, _, whole_s in timings),
        ttft_ms=1e3 * median(ttft_s for _, ttft_s, _ in timings),
        cpu_ms=(read_cpu_s(target.pid) - before_s) * 1e6 / events if target.pid else None,
        rss_mb=read_rss_mb(target.pid) if target.pid else None,
    )


def run_load(load: Load, cpu: int | None, timeout_s: float) -> list[tuple[int, float, float]]:
    def prepare() -> None:
        die_with_parent()
        pin(0, cpu)

    done = subprocess.run(
        [sys.executable, HERE / "load.py"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        preexec_fn=prepare,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the load failed: {done.stderr[-2000:]}")
    answer: Any = json.loads(done.stdout)
    if isinstance(answer, dict):
        raise BenchError(answer["error"])
    return [(deltas, ttft_s, whole_s) for deltas, ttft_s, whole_s in answer]


def measure_case(case: Case, targets: list[Target], rounds: int, cpu: int | None) -> list[Row]:
    """Round by round over all targets, so that a slow minute of the machine falls on each of them."""
    measured: dict[str, list[Round]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            try:
                measured[target.name].append(run_round(case, target, cpu))
            except BenchError as error:
                raise BenchError(f"{target.name}, {case.name}: {error}") from None
    floor = measured[FLOOR]
    return [make_row(case, name, done, floor) for name, done in measured.items()]


def make_row(case: Case, target: str, done: list[Round], floor: list[Round]) -> Row:
    def find(name: str, rounds: list[Round] = done) -> Any:
        values = [getattr(each, name) for each in rounds]
        return None if None in values else median(values)

    cpu_ms = find("cpu_ms")
    return Row(
        case=case.name,
        target=target,
        events_per_s=find("events_per_s"),
        x_events_per_s=find("events_per_s") / find("events_per_s", floor),
        cpu_ms=cpu_ms,
        x_cpu=None if cpu_ms is None else cpu_ms / find("cpu_ms", floor),
        ttft_ms=find("ttft_ms"),
        x_ttft=find("ttft_ms") / find("ttft_ms", floor),
        rss_mb=find("rss_mb"),
    )


COLUMNS = (
    ("events/s", 10),
    ("x floor", 9),
    ("CPU ms/1000 ev", 16),
    ("x floor", 9),
    ("TTFT ms", 10),
    ("x floor", 9),
    ("RSS MB", 8),
)


def show_machine() -> str:
    load = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load average {load}; medians over the rounds"


def show_case(rows: list[Row]) -> str:
    heading = f"{'target':<17}" + "".join(f"{name:>{width}}" for name, width in COLUMNS)
    return "\n".join([f"\n{rows[0].case}", heading, *map(show_row, rows)])


def show_row(row: Row) -> str:
    def show(value: float | None, width: int, digits: int) -> str:
        return f"{'-':>{width}}" if value is None else f"{value:>{width},.{digits}f}"

    return (
        f"{row.target:<17}{show(row.events_per_s, 10, 0)}{show(row.x_events_per_s, 9, 2)}"
        f"{show(row.cpu_ms, 16, 1)}{show(row.x_cpu, 9, 2)}{show(row.ttft_ms, 10, 2)}{show(row.x_ttft, 9, 2)}"
        f"{show(row.rss_mb, 8, 1)}"
    )


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that the children are stopped and the folder is removed."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parse_options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="streams.py"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds, whose median counts (default 5)")
    parser.add_argument(
        "--events",
        type=int,
        default=400,
        help="deltas of a stream (default 400); a long burst has 25 times as many, paced ones fewer",
    )
    parser.add_argument(
        "--api", choices=(*APIS, "all"), default="messages", help="of which client API (default messages)"
    )
    parser.add_argument("--case", help="only the cases whose name contains this")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL[@PID]", help="another proxy")
    parser.add_argument("--upstream-port", type=int, default=0, help="of the fake backend (default: any free one)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    rows: list[Row] = []
    with stopping_on_sigterm(), ExitStack() as stack:
        setup = Setup(stack, options.upstream_port)
        targets = setup.make_targets(APIS if options.api == "all" else [options.api], options.peer)
        if not options.json:
            print(show_machine())
        for case in make_cases(options.events):
            if options.case and options.case not in case.name:
                continue
            setup.set_script(case.deltas, case.per_s)
            done = measure_case(case, targets, options.rounds, setup.load_cpu)
            rows += done
            if not options.json:
                print(show_case(done), flush=True)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        sys.exit(f"streams.py: {error}")
