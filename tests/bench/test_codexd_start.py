"""The benchmark runs. What it measures depends on the machine; ``tests/codexd/test_main.py`` asserts the reason."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("codexd_start.py")


def run(*arguments):
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done


def test_it_prints_a_ratio():
    done = run("--rounds", "2", "--json")
    found = json.loads(done.stdout)
    assert found["ratio"] == max(found["version_ms"], found["help_ms"]) / found["pass_ms"] > 0
    assert done.returncode == (found["ratio"] > found["limit"])
    assert "ratio " in run("--rounds", "1").stdout
