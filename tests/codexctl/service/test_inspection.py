from pathlib import Path

import pytest
from support.control_answers import LIMITED, SERVING

from codexctl.service.definition import Definition
from codexctl.service.inspection import inspect, install_command
from codexctl.service.manager import find_manager
from codexctl.service.planning import plan_install
from codexctl.service.steps import take
from codexd import __version__


@pytest.fixture
def served(definition, daemon):
    """What is installed: its control socket is the scripted daemon's."""
    daemon.answers["daemon.status"] = {"version": __version__, "serving": SERVING}
    return definition._replace(home=None, socket=daemon.path)


@pytest.fixture
def install(machine, installation, served, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def take_steps(wanted=served, **given):
        options = {"linger": False, "replace": True, "take_over": False} | given
        plan = plan_install(machine, find_manager(machine, Path("codexd")), installation, wanted, **options)
        take(plan.steps, machine, lambda _: None)

    return take_steps


@pytest.fixture
def look(machine, installation):
    def at_the_service(found=installation):
        return inspect(machine, find_manager(machine, Path("codexd")), found)

    return at_the_service


def test_nothing_is_installed(look, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = look()
    assert (found.installed, found.problems, found.notes) == (False, (), ())


def test_all_is_well(install, look, served):
    install()
    found = look()
    assert found.problems == ()
    assert [each for each in found.notes if "log out" not in each] == []
    shown = found.to_json()
    assert shown["files"][0]["state"] == "ours"
    assert shown["listens_on"] == [f"127.0.0.1:{served.port}"]
    assert shown["executable"] == f"{served.executable} --port {served.port}"
    assert shown["daemon"]["serving"] == SERVING


def test_the_texts_of_the_files_have_no_secrets(install, look, served):
    install(served._replace(environment={"HTTPS_PROXY": "http://me:hunter2@proxy", "CODEXD_SERVER_API_KEY": "hunter2"}))
    found = look()
    assert found.problems == ()
    assert all(file.text for file in found.files)
    assert "hunter2" not in str([file.text for file in found.files])
    assert "hunter2" not in str(found.to_json())


def problem(look, *arguments):
    [found] = look(*arguments).problems
    return found


def test_a_changed_setting_makes_the_socket_out_of_date(install, look, served, tmp_path):
    install(served._replace(port=None))
    assert look().problems == ()
    (tmp_path / "config" / "codexd").mkdir(parents=True)
    settings = tmp_path / "config" / "codexd" / "settings.toml"
    settings.write_text("[server]\nport = 19000\n")
    said = problem(look)
    assert said.startswith("codexd.socket is out of date")
    assert "127.0.0.1:19000" in said
    settings.write_text("[server]\nport = 0\n")
    assert "fixed port" in problem(look)


def test_another_installation(install, look, served, installation):
    install()
    other = installation._replace(executable=Path("/opt/other/codexd"))
    said = problem(look, other)
    assert str(served.executable) in said
    assert "/opt/other/codexd" in said
    assert "--replace" in said


def test_an_installation_that_is_gone(install, look, served):
    install()
    served.executable.unlink()
    assert "is gone" in problem(look)


def test_a_missing_unit(install, look, machine, programs):
    install()
    (machine.home / ".config/systemd/user/codexd.socket").unlink()
    assert "codexd.socket is missing" in look().problems[0]


def test_an_edited_unit_is_left_alone(install, look, machine):
    install()
    unit = machine.home / ".config/systemd/user/codexd.service"
    unit.write_text(unit.read_text() + "Nice=5\n")
    found = look()
    assert found.problems == ()
    assert "edited by hand" in found.notes[0]


def test_a_service_that_is_not_enabled(install, look, programs):
    install()
    programs.write(enabled=[])
    assert "not enabled" in problem(look)


def test_a_service_that_waits_for_its_first_request_is_well(install, look, programs, daemon):
    install()
    programs.write(active=["codexd.socket"])
    found = look()
    assert (found.problems, found.daemon) == ((), None)
    assert daemon.calls == []


def test_a_stopped_service(install, look, programs):
    install()
    programs.write(active=[])
    assert "codexctl service restart" in problem(look)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"version": "0.0.1", "serving": SERVING}, "codexctl service restart"),
        ({"version": __version__, "serving": LIMITED}, "no request can be served"),
    ],
)
def test_what_the_daemon_says_of_itself(install, look, daemon, status, said):
    install()
    daemon.answers["daemon.status"] = status
    assert said in problem(look)


def test_a_daemon_that_does_not_answer(install, look, daemon):
    install()
    daemon.close()
    daemon.path.unlink()
    assert "does not answer" in problem(look)


def test_the_command_that_installs_the_same_again(definition):
    given = definition._replace(home=Path("/a b"), host="::1", environment={"HTTPS_PROXY": "secret"})
    command = f"codexctl service install --home '/a b' --host ::1 --port {definition.port} --env HTTPS_PROXY"
    assert install_command(given) == command
    assert install_command(Definition(Path("/x"))) == "codexctl service install"


def test_a_unit_that_is_a_link_is_noted(install, look, machine, tmp_path):
    install()
    unit = machine.home / ".config/systemd/user/codexd.service"
    unit.rename(tmp_path / "kept")
    unit.symlink_to(tmp_path / "kept")
    assert f"{unit} is a link to {tmp_path / 'kept'}." in look().notes
