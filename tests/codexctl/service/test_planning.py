import json
import socket
from pathlib import Path

import pytest

from codexctl.service.manager import find_manager
from codexctl.service.planning import plan_install, plan_uninstall
from codexctl.service.steps import Move, Run, Write, take


@pytest.fixture
def planned(machine, installation, definition, monkeypatch, tmp_path):
    """Plans an installation; the keywords change what is given."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def plan(on=machine, installed=installation, wanted=definition, **given):
        options = {"linger": False, "replace": False, "take_over": False} | given
        return plan_install(on, find_manager(on, installed.executable), installed, wanted, **options)

    return plan


@pytest.fixture
def units(machine):
    return find_manager(machine, Path("codexd")).paths()


def test_on_an_empty_machine(planned, units, definition):
    plan = planned()
    assert not plan.obstacles
    assert [step.path for step in plan.steps if isinstance(step, Write)] == units
    assert plan.address.sockets == (f"127.0.0.1:{definition.port}",)
    [note] = plan.notes
    assert "stops when you log out" in note


def test_twice_is_nothing_to_do(planned, machine):
    take(planned().steps, machine, lambda _: None)
    assert planned().steps == []


@pytest.mark.parametrize("change", ["edit", "foreign", "link"])
def test_a_file_that_is_not_as_we_wrote_it_stands_in_the_way_until_it_may_be_replaced(planned, machine, units, change):
    take(planned().steps, machine, lambda _: None)
    unit = units[1]
    match change:
        case "edit":
            unit.write_text(unit.read_text() + "Nice=5\n")
        case "foreign":
            unit.write_text("[Service]\nExecStart=/usr/local/bin/codexd --home /srv\n")
        case "link":
            unit.rename(unit.with_name("real"))
            unit.symlink_to("real")
    [obstacle] = planned().obstacles
    assert str(unit) in obstacle
    assert "--replace" in obstacle
    before = unit.read_text()
    plan = planned(replace=True)
    assert not plan.obstacles
    assert [step.target.name for step in plan.steps if isinstance(step, Move)] == ["codexd.service.before"]
    take(plan.steps, machine, lambda _: None)
    assert unit.with_name("codexd.service.before").read_text() == before
    assert planned().steps == []


def test_what_a_foreign_unit_runs_is_said(planned, machine, units):
    units[1].parent.mkdir(parents=True)
    units[1].write_text("[Service]\nExecStart=/usr/local/bin/codexd --home /srv\n")
    [obstacle] = planned().obstacles
    assert "/usr/local/bin/codexd --home /srv" in obstacle


def test_a_masked_unit_is_not_replaced(planned, units):
    units[1].parent.mkdir(parents=True)
    units[1].symlink_to("/dev/null")
    for replace in (False, True):
        assert "systemctl --user unmask codexd.service" in planned(replace=replace).obstacles[0]


def test_a_unit_of_another_installation(planned, machine, definition, tmp_path):
    other = tmp_path / "other" / "codexd"
    other.parent.mkdir()
    other.touch()
    take(planned(wanted=definition._replace(executable=other)).steps, machine, lambda _: None)
    [obstacle] = planned().obstacles
    assert str(other) in obstacle
    assert str(definition.executable) in obstacle
    assert not planned(replace=True).obstacles
    other.unlink()
    assert not planned().obstacles


@pytest.fixture
def note(tmp_path):
    """Notes a running daemon, whose control socket accepts connections."""
    listeners = []

    def add(**values):
        path = tmp_path / f"s{len(listeners)}"
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[-1].bind(str(path))
        listeners[-1].listen()
        running = tmp_path / "state" / "codexd" / "running"
        running.mkdir(parents=True, exist_ok=True)
        about = {"pid": 4242, "socket": str(path), "address": "http://127.0.0.1:1", "home": "/elsewhere"}
        about |= {"simulated": False, "version": "0.1.0"} | values
        (running / "4242.json").write_text(json.dumps(about))
        return path

    yield add
    for each in listeners:
        each.close()


@pytest.mark.parametrize("same", ["port", "home"])
def test_a_running_daemon_with_the_same_port_or_home(planned, note, definition, same):
    about = {"port": {"address": f"http://127.0.0.1:{definition.port}"}, "home": {"home": str(definition.home)}}
    path = note(**about[same])
    [obstacle] = planned().obstacles
    assert f"codexctl --socket {path} stop" in obstacle
    assert "--now" in obstacle
    plan = planned(take_over=True)
    assert not plan.obstacles
    assert "stop codexd 0.1.0" in plan.steps[0].summary


def test_a_daemon_with_nothing_in_common_is_left_alone(planned, note):
    note()
    assert not planned().obstacles


def test_the_service_itself_is_not_a_rival(planned, note, machine, programs, definition):
    take(planned().steps, machine, lambda _: None)
    note(pid=find_manager(machine, Path("codexd")).state().pid, home=str(definition.home))
    assert not planned().obstacles


def test_a_port_that_another_program_uses(planned, definition):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [obstacle] = planned(wanted=definition._replace(port=port)).obstacles
        assert f"the service can't listen on 127.0.0.1:{port}: Address already in use." in obstacle
        assert "--port N" in obstacle
    assert planned(wanted=definition._replace(port=port)).obstacles == []
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_of_another_program_is_seen_before_anything_is_stopped(planned, note, definition, machine):
    with socket.create_server(("127.0.0.1", definition.port)):
        note(home=str(definition.home))
        [obstacle] = planned(take_over=True).obstacles
        assert "can't listen on" in obstacle
    note(home="/elsewhere")
    take(planned().steps, machine, lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        [obstacle] = planned(wanted=definition._replace(port=taken.getsockname()[1])).obstacles
        assert "can't listen on" in obstacle


def test_what_the_service_itself_holds_is_free_for_it(planned, note, definition, machine, programs, units):
    take(planned().steps, machine, lambda _: None)
    with socket.create_server(("127.0.0.1", definition.port)):
        assert planned().obstacles == []
        units[0].unlink()
        units[1].write_text("[Service]\nExecStart=/mine\n")
        programs.write(active=["codexd.service"])
        state = find_manager(machine, Path("codexd")).state()
        note(pid=state.pid, address=f"http://127.0.0.1:{definition.port}")
        assert (state.active, state.listening) == (True, False)
        assert planned(replace=True).obstacles == []


def test_settings_that_can_not_be_used(planned, definition):
    definition.home.mkdir()
    (definition.home / "settings.toml").write_text("[server]\nhost = '0.0.0.0'\n")
    assert "server.api_key" in planned().obstacles[0]


def test_an_installation_that_can_not_be_used(planned, installation):
    assert planned(installed=installation._replace(problem="it is in a cache")).obstacles == ["it is in a cache"]


def test_variables_that_the_service_would_not_see(planned, machine, programs, definition):
    shell = {"HTTPS_PROXY": "http://p", "CODEXD_PORT": "1", "NO_PROXY": "", "SSL_CERT_FILE": "/ca", "PORT": "3"}
    on = machine._replace(environ={**machine.environ, **shell})
    [said] = [note for note in planned(on=on).notes if "shell" in note]
    assert said.endswith("add --env CODEXD_PORT --env HTTPS_PROXY --env SSL_CERT_FILE.")
    programs.write(environment={"HTTPS_PROXY": "http://p", "SSL_CERT_FILE": "/other"})
    wanted = definition._replace(environment={"CODEXD_PORT": "1"})
    [said] = [note for note in planned(on=on, wanted=wanted).notes if "shell" in note]
    assert said.startswith("SSL_CERT_FILE is set")


def test_drop_ins_and_other_units_are_told(planned, machine, units):
    folder = units[1].with_name("codexd.service.d")
    folder.mkdir(parents=True)
    (folder / "my.conf").touch()
    (machine.root / "etc/systemd/user").mkdir(parents=True)
    (machine.root / "etc/systemd/user/codexd.service").touch()
    notes = " ".join(planned().notes)
    assert str(folder / "my.conf") in notes
    assert str(machine.root / "etc/systemd/user/codexd.service") in notes


def commands(steps):
    return [step.command for step in steps if isinstance(step, Run)]


def test_lingering_is_turned_off_only_if_it_was_turned_on_here(planned, machine, programs):
    linger = machine.root / "var/lib/systemd/linger/me"
    linger.parent.mkdir(parents=True)
    take(planned(linger=True).steps, machine, lambda _: None)
    linger.touch()
    off = ("loginctl", "disable-linger", "me")
    take(planned().steps, machine, lambda _: None)
    steps = plan_uninstall(find_manager(machine, Path("codexd"))).steps
    assert off in commands(steps)
    take(steps, machine, lambda _: None)
    take(planned(linger=True).steps, machine, lambda _: None)
    assert off not in commands(plan_uninstall(find_manager(machine, Path("codexd"))).steps)


def test_a_failed_start_leaves_the_machine_as_it_was(planned, machine, programs):
    programs.write(fail={"systemctl --user enable": "Job for codexd.service failed."})
    with pytest.raises(Exception, match=r"Job for codexd\.service failed"):
        plan = planned()
        take(plan.steps, machine, lambda _: None, plan.after_undo)
    assert not [path for path in machine.home.rglob("*") if path.is_file()]
    assert programs.state["loaded"] == []


def test_a_failed_update_goes_on_with_what_ran_before(planned, machine, programs, definition, units, port):
    take(planned().steps, machine, lambda _: None)
    before = [unit.read_text() for unit in units]
    programs.write(fail={"systemctl --user enable": "Job for codexd.service failed."}, calls=[])
    plan = planned(wanted=definition._replace(host="127.0.0.2"))
    with pytest.raises(Exception, match="Job"):
        take(plan.steps, machine, lambda _: None, plan.after_undo)
    assert [unit.read_text() for unit in units] == before
    assert programs.calls()[-3:] == [
        "systemctl --user daemon-reload",
        "systemctl --user reset-failed",
        "systemctl --user start codexd.socket codexd.service",
    ]
    assert programs.state["active"] == ["codexd.service", "codexd.socket"]


def test_uninstalling_keeps_what_is_not_ours(planned, machine, units):
    take(planned().steps, machine, lambda _: None)
    units[0].write_text(units[0].read_text() + "# mine\n")
    units[1].write_text("[Service]\n")
    plan = plan_uninstall(find_manager(machine, Path("codexd")))
    assert not plan.obstacles
    assert str(units[1]) in plan.notes[0]
    assert [step.target.name for step in plan.steps if isinstance(step, Move)] == ["codexd.socket.before"]
    assert "codexd.socket.before" in plan.notes[1]
    take(plan.steps, machine, lambda _: None)
    again = plan_uninstall(find_manager(machine, Path("codexd")))
    assert not again.steps
    assert str(units[1]) in again.obstacles[0]


def test_a_service_whose_files_were_deleted_is_stopped(planned, machine, units, programs):
    take(planned().steps, machine, lambda _: None)
    for unit in units:
        unit.unlink()
    take(plan_uninstall(find_manager(machine, Path("codexd"))).steps, machine, lambda _: None)
    assert (programs.state["active"], programs.state["enabled"], programs.state["loaded"]) == ([], [], [])


def test_uninstalling_nothing(machine):
    plan = plan_uninstall(find_manager(machine, Path("codexd")))
    assert (list(plan.steps), plan.obstacles) == ([], [])
