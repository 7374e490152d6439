"""What starting a daemon imports, and what only a simulated one does."""

from __future__ import annotations

import subprocess
import sys


def modules_after(code):
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_a_real_daemon_imports_neither_the_simulator_nor_the_tokenizer():
    imported = modules_after("import codexd.start")
    assert "codexd.daemon" in imported
    assert not any(name.startswith("codexd.simulator") for name in imported)
    assert "splintr" not in imported


def test_a_simulated_one_imports_the_simulator():
    assert "codexd.simulator.app" in modules_after("from codexd.assembly import make_simulator; make_simulator()")
