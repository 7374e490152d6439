"""How long ``codexctl accounts list`` takes, start to end, beside ``python -c pass`` in the same environment.

A small daemon at a real socket answers, so that what is measured is the program's start and not codexd's work. The
runs alternate, and the fastest of each counts: what the machine does besides only ever makes a run longer.

    python tests/bench/codexctl_start.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from codexd import rpc

LIMIT = 4.0
"""The most that it may take, in starts of Python."""

PASS = ("-c", "pass")
LIST = ("-c", "import sys; from codexctl.__main__ import main; sys.exit(main(['accounts', 'list']))")
"""What the console script ``codexctl`` does."""

ACCOUNT = {
    "id": "acc_1",
    "label": "work@example.com",
    "email": "work@example.com",
    "plan": "plus",
    "active": True,
    "state": "ok",
    "reason": None,
    "expires_at": None,
    "added_at": 0.0,
    "last_used": None,
    "quota": [{"name": "5h", "used_percent": 42.0, "window_seconds": 18000.0, "resets_at": 4e9, "limit": None}],
    "quota_stale": False,
    "limited_until": None,
    "followed": None,
    "simulated": False,
    "workspace": "",
}


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """A daemon with one account."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the listener was shut down
            return
        with connection:
            reader = rpc.Connection()
            while data := connection.recv(65536):
                for message in reader.receive_data(data):
                    assert isinstance(message, rpc.Request)
                    result = {"accounts": [ACCOUNT], "active": "acc_1"}
                    connection.sendall(rpc.encode(rpc.Result(message.id, result)))


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of each program, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control.sock"
        # pip compiles what it installs; here the first run does.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ = kept | {"CODEXD_SOCKET": str(path)}
        with answering(path):
            _take_s(LIST, environ)
            pairs = [(_take_s(PASS, environ), _take_s(LIST, environ)) for _ in range(rounds)]
    passes, lists = zip(*pairs, strict=True)
    pass_ms, list_ms = min(passes) * 1000, min(lists) * 1000
    return {
        "pass_ms": pass_ms,
        "list_ms": list_ms,
        "ratio": list_ms / pass_ms,
        "median_ratio": statistics.median(lists) / statistics.median(passes),
        "limit": LIMIT,
    }


def _take_s(arguments: Sequence[str], environ: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> int:
    """Prints the numbers; exit status 1 when the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="runs of each (default 30)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found = measure(given.rounds)
    if given.json:
        print(json.dumps(found))
    else:
        print(f"python -c pass          {found['pass_ms']:6.1f} ms")
        print(f"codexctl accounts list  {found['list_ms']:6.1f} ms")
        print(f"ratio {found['ratio']:.2f} (of the medians {found['median_ratio']:.2f}), at most {LIMIT:.0f}")
    return 0 if found["ratio"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
