"""The program's arguments: what they say, and how little they import."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIST_MODULES = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "


def codexd(*arguments):
    return subprocess.run([sys.executable, "-m", "codexd", *arguments], capture_output=True, text=True, check=False)


def modules_after(code):
    """What is imported when Python ends after ``code``."""
    done = subprocess.run([sys.executable, "-c", LIST_MODULES + code], capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split())


def test_version_and_help():
    version = codexd("--version")
    assert version.returncode == 0
    assert version.stdout.startswith("codexd ")
    help_ = codexd("--help")
    assert help_.returncode == 0
    assert "--simulate" in help_.stdout
    assert "--log-level {debug,info,warning,error}" in help_.stdout


@pytest.mark.parametrize("arguments", [("--log-level", "loud"), ("--prot", "1")])
def test_wrong_usage(arguments):
    done = codexd(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


@pytest.mark.parametrize("argument", ["--version", "--help", "--prot"])
def test_arguments_are_parsed_before_anything_heavy_is_imported(argument):
    ours = modules_after(f"from codexd.__main__ import main; main([{argument!r}])") - modules_after("pass")
    assert {name for name in ours if name.partition(".")[0] == "codexd"} == {
        "codexd",
        "codexd.__main__",
        "codexd.settings",
    }
    assert {name.partition(".")[0] for name in ours} <= {"codexd"} | sys.stdlib_module_names
    assert not ours & {"asyncio", "json", "logging", "ssl", "tempfile"}
