"""The unit files in ``systemd/``: what systemd and launchd think of them, and whether codexctl has them at hand."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "systemd"
NAMES = {"codexd.service", "codexd.socket", "io.github.codexd.plist"}
PROGRAM = "%h/.local/bin/codexd"
"""In the service; ``codexctl service install`` puts the path of its own codexd here."""


@pytest.fixture
def analyze():
    program = shutil.which("systemd-analyze")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is not installed")
    return program


@pytest.fixture
def installed(tmp_path):
    """The units with a program that exists."""
    for name in ("codexd.service", "codexd.socket"):
        (tmp_path / name).write_text((UNITS / name).read_text().replace(PROGRAM, sys.executable))
    return tmp_path


def test_the_units_pass_verification_without_a_word(analyze, installed):
    runtime = installed / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        [analyze, "verify", "--user", installed / "codexd.service", installed / "codexd.socket"],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_plist_survives_a_round_trip():
    agent = plistlib.loads((UNITS / "io.github.codexd.plist").read_bytes())
    assert plistlib.loads(plistlib.dumps(agent)) == agent
    assert agent["Label"] == "io.github.codexd"
    assert agent["ProgramArguments"] == ["/Users/you/.local/bin/codexd"]
    assert list(agent["Sockets"]) == ["http"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ExitTimeOut"] > 32


def test_codexctl_finds_them_here():
    assert {each.name for each in (resources.files("codexctl") / "units").iterdir()} == NAMES
    assert PROGRAM in (resources.files("codexctl") / "units" / "codexd.service").read_text()


def test_a_wheel_carries_them(tmp_path):
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    for name in ("codexd", "codexctl", "systemd"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    wheels.mkdir()
    build = f"from setuptools import build_meta; print(build_meta.build_wheel({str(wheels)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)
    (wheel,) = wheels.iterdir()
    carried = zipfile.ZipFile(wheel)
    for name in NAMES:
        assert carried.read(f"codexctl/units/{name}") == (UNITS / name).read_bytes()
    tops = {name.partition("/")[0].partition("-")[0] for name in carried.namelist()}
    assert tops == {"codexd", "codexctl"}
