"""Starting, pinning, watching and stopping the processes of the benchmark.

Linux: what a process has used is read from its CPU clock and from /proc.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 30.0
STOP_S = 5.0
_PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """A process of the benchmark did not do its part; the message shows its last words."""


@contextmanager
def running(
    arguments: Sequence[str], *, cpu: int | None, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Python process that has printed its first line, and that line. It ends with the context, or with us."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environ,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - this program has one thread
        )
    try:
        pin(process.pid, cpu)
        yield process, _read_line(process, log)
    finally:
        _stop(process)


def _read_line(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise BenchError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")
    return line.strip()


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def die_with_parent() -> None:
    """The kernel kills this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def choose_cpus() -> tuple[int, int, int]:
    """For the server, for the fake backend, for the load: the server shares its own only if there is but one."""
    cpus = sorted(os.sched_getaffinity(0))
    others = cpus[1:] or cpus
    return cpus[0], others[0], others[-1]


def pin(pid: int, cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(pid, {cpu})


def read_cpu_s(pid: int) -> float:
    """User and system time of all threads, to the nanosecond; the clock's number is clock_getcpuclockid(3)'s."""
    return time.clock_gettime((~pid << 3) | 2)


def read_rss_mb(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024
