"""The benchmark runs to its end and leaves nothing behind; what it measures is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STREAMS = Path(__file__).with_name("streams.py")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bench_prints_a_row_for_each_case_and_target():
    command = [sys.executable, STREAMS, "--api", "all", "--rounds", "1", "--events", "8", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    cases = {row["case"] for row in rows}
    assert {(row["case"], row["target"]) for row in rows} == {
        (case, target)
        for case in cases
        for target in ("direct", "floor", "codexd/messages", "codexd/chat", "codexd/responses")
    }
    assert len(cases) == 5
    measured = [row for row in rows if row["target"] != "direct"]
    assert all(row["cpu_ms"] > 0 and row["rss_mb"] > 0 for row in measured)
    assert all(row["events_per_s"] > 0 and row["ttft_ms"] > 0 for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_failing_peer_ends_the_bench_with_its_name():
    command = [sys.executable, STREAMS, "--rounds", "1", "--events", "8", "--peer", "nobody=http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "nobody, one delta, 1 stream" in done.stderr
