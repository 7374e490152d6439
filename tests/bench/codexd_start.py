"""CPU time of ``codexd --version`` and ``codexd --help``, beside ``python -c pass`` in the same environment.

The runs alternate, and the least of each counts: what else the machine does only ever makes a run dearer.

    python tests/bench/codexd_start.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence

LIMIT = 5.0
"""The most that each may take, in starts of Python."""

PROGRAM = "import sys; from codexd.__main__ import main; sys.exit(main())"
"""What the console script ``codexd`` does."""

RUNS = {
    "pass": ("-c", "pass"),
    "version": ("-c", PROGRAM, "--version"),
    "help": ("-c", PROGRAM, "--help"),
}


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of CPU of each program, and how the dearer one compares with Python alone."""
    for arguments in RUNS.values():
        _take_cpu_s(arguments)  # pip compiles what it installs; here the first run does
    rows = [[_take_cpu_s(arguments) * 1000 for arguments in RUNS.values()] for _ in range(rounds)]
    pass_ms, version_ms, help_ms = (min(column) for column in zip(*rows, strict=True))
    return {
        "pass_ms": pass_ms,
        "version_ms": version_ms,
        "help_ms": help_ms,
        "ratio": max(version_ms, help_ms) / pass_ms,
        "limit": LIMIT,
    }


def _take_cpu_s(arguments: Sequence[str]) -> float:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Prints the numbers; exit status 1 when the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="runs of each (default 30)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json:
        print(json.dumps(found))
    else:
        print(f"python -c pass    {found['pass_ms']:6.1f} ms")
        print(f"codexd --version  {found['version_ms']:6.1f} ms")
        print(f"codexd --help     {found['help_ms']:6.1f} ms")
        print(f"ratio {found['ratio']:.2f}, at most {LIMIT:.0f}")
    return 0 if found["ratio"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
