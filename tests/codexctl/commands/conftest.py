"""codexctl on a machine with the stand-ins for systemd's programs, whose codexd is scripted."""

import os
import socket

import pytest
from support.control_answers import SERVICE_STATUS
from support.service_managers import Programs


@pytest.fixture
def install():
    """The command line, with a port that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "service", "install", "--port", str(listener.getsockname()[1])


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path / "programs")


@pytest.fixture
def codexctl(piped, daemon, tmp_path, programs):
    """Runs codexctl on a machine with the stand-ins for systemd, whose codexd is scripted."""
    daemon.answers["daemon.status"] = SERVICE_STATUS
    environ = {
        "HOME": str(tmp_path / "home"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": f"{programs.folder}:{os.environ['PATH']}",
    }

    def run(*arguments, **more):
        process = piped(*arguments, **environ | more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    run.environ = environ
    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / ".config" / "systemd" / "user"
