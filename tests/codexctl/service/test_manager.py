import os
import sys
from pathlib import Path

import pytest

from codexctl.service.definition import Definition
from codexctl.service.launchd import Launchd
from codexctl.service.manager import (
    Machine,
    NoManager,
    current_machine,
    find_manager,
    find_service_places,
    read_template,
)
from codexctl.service.systemd import Systemd

CODEXD = Path("/opt/codexd")
NO_BUS = {"systemctl --user show": "Failed to connect to bus: No medium found", "launchctl print": "no launchd"}


def test_linux_has_systemd_and_macos_launchd(machine):
    assert isinstance(find_manager(machine, CODEXD), Systemd)
    assert isinstance(find_manager(machine._replace(platform="darwin"), CODEXD), Launchd)


def explain(machine):
    with pytest.raises(NoManager) as why:
        find_manager(machine, CODEXD)
    return str(why.value)


def without(machine, *names, **more):
    """``machine`` without systemctl and without these variables, but with ``more``."""
    environ = {name: value for name, value in machine.environ.items() if name not in names}
    return machine._replace(environ={**environ, "PATH": "/none", **more}, root=machine.home / "elsewhere")


def test_sudo_is_refused(machine):
    assert "without sudo" in explain(machine._replace(uid=0, environ={**machine.environ, "SUDO_UID": "1000"}))


def test_root_itself_may_have_a_service(machine):
    assert find_manager(machine._replace(uid=0), CODEXD).name == "systemd"


def test_a_shell_that_no_login_opened(machine, programs):
    programs.write(fail=NO_BUS)
    environ = {name: value for name, value in machine.environ.items() if name != "XDG_RUNTIME_DIR"}
    said = explain(machine._replace(environ=environ))
    assert "sudo loginctl enable-linger me" in said


def test_a_manager_that_does_not_answer(machine, programs):
    programs.write(fail=NO_BUS)
    said = explain(machine)
    assert "No medium found" in said
    assert "user@1000.service" in said
    assert "no launchd" in explain(machine._replace(platform="darwin"))


def test_systemctl_on_a_machine_that_was_booted_without_systemd(machine, programs):
    programs.write(fail=NO_BUS)
    assert "@reboot /opt/codexd" in explain(machine._replace(root=machine.home))


@pytest.mark.parametrize(
    ("files", "environ", "said"),
    [
        ({}, {}, "nohup /opt/codexd"),
        ({".dockerenv": ""}, {}, "docker run --init"),
        ({"run/.containerenv": ""}, {}, "docker run --init"),
        ({}, {"container": "lxc"}, "docker run --init"),
        ({"proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2\n"}, {}, "systemd=true"),
        ({"proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n"}, {}, "nohup /opt/codexd"),
        ({}, {"TERMUX_VERSION": "0.118"}, "Termux:Boot"),
    ],
)
def test_what_to_do_instead(machine, files, environ, said):
    bare = without(machine, **environ)
    for name, text in files.items():
        path = bare.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert said in explain(bare)


def test_this_machine():
    found = current_machine({"HOME": "/home/me", "PATH": "/bin"})
    assert found.home == Path("/home/me")
    assert found.user


def test_the_places_are_those_of_the_service_not_of_the_shell(machine):
    shell = machine._replace(environ={**machine.environ, "CODEXD_HOME": "/elsewhere", "CODEXD_SOCKET": "/other"})
    assert find_service_places(shell, Definition(CODEXD, home=Path("/srv"))).socket == Path("/srv/control.sock")
    default = Path(machine.environ["XDG_RUNTIME_DIR"]) / "codexd" / "control.sock"
    assert find_service_places(shell, Definition(CODEXD)).socket == default
    assert find_service_places(shell, Definition(CODEXD, socket=Path("/s"))).socket == Path("/s")


@pytest.mark.parametrize("name", ["codexd.service", "codexd.socket", "io.github.codexd.plist"])
def test_what_codexd_ships_is_found(name):
    assert read_template(name)


def test_a_program_gets_the_environment_of_the_machine(tmp_path):
    machine = Machine("linux", {"PATH": os.environ["PATH"], "X": "1"}, tmp_path, 0, "me")
    done = machine.run(sys.executable, "-c", "import os; print(os.environ['X'], len(os.environ) < 9)")
    assert done.output == "1 True\n"
