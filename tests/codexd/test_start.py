"""What starting a daemon imports, what only a simulated one does, and what a wrong start is told."""

from __future__ import annotations

import subprocess
import sys

import pytest


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


def start(*arguments):
    return subprocess.run([sys.executable, "-m", "codexd", *arguments], capture_output=True, text=True, check=False)


def test_a_real_backend_does_not_fail_on_purpose(tmp_path):
    done = start("--home", str(tmp_path), "--faults", "flaky")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "codexd: --faults: only the simulated backend fails on purpose; add --simulate\n"


def test_the_help_of_faults():
    for more in ((), ("--simulate",)):
        done = start(*more, "--faults", "help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "\n  reset:body " in done.stdout
        assert "\n  flaky " in done.stdout


@pytest.mark.parametrize("spec", ["", "reset=0.1", "status:99=1", "dripped=7"])
def test_a_wrong_spec_of_faults_is_told_what_is_allowed(spec):
    done = start("--simulate", "--port", "0", "--faults", spec)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("codexd: --faults: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
