"""A machine with the stand-ins for systemd's and launchd's programs, and nothing else of ours on it."""

import contextlib
import io
import os
import socket

import pytest
from support.service_managers import PROGRAMS, Programs, main

from codexctl.service.definition import Definition
from codexctl.service.installation import Installation, Kind
from codexctl.service.manager import Finished, Machine


class InProcess(Machine):
    """A machine that runs the stand-ins on its PATH without a process each."""

    def run(self, *command):
        program = self.find_program(command[0])
        if program is None or command[0] not in PROGRAMS:
            return super().run(*command)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([program, *command[1:]], self.environ)
        return Finished(status, out.getvalue(), err.getvalue())


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path / "programs")


@pytest.fixture
def machine(tmp_path, programs):
    for name in ("home", "runtime", "root/run/systemd/system"):
        (tmp_path / name).mkdir(parents=True)
    environ = {
        "HOME": str(tmp_path / "home"),
        "XDG_RUNTIME_DIR": str(tmp_path / "runtime"),
        "PATH": f"{programs.folder}:{os.environ['PATH']}",
    }
    return InProcess("linux", environ, tmp_path / "home", 1000, "me", tmp_path / "root")


@pytest.fixture
def codexd(tmp_path):
    """An installed codexd that never runs."""
    path = tmp_path / "venv" / "bin" / "codexd"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def installation(codexd):
    return Installation(Kind.VENV, codexd)


@pytest.fixture
def port():
    """A port that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def definition(codexd, tmp_path, port):
    return Definition(codexd, home=tmp_path / "home of codexd", port=port)
