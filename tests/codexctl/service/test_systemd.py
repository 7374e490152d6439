import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from codexctl.service.definition import Address, Definition, Origin, parse
from codexctl.service.manager import LogsWanted, read_template
from codexctl.service.steps import take
from codexctl.service.systemd import SERVICE, SOCKET, UNITS, Systemd, quote, render

TEMPLATES = {name: read_template(name) for name in UNITS}
LOOPBACK = Address("localhost", 9000, ("127.0.0.1", "::1"))
FIT = ["with space", "100%", "cash$HOME", "ümlaut", "semi;colon", "#hash", "a=b", "-dash", "$HOME"]
UNFIT = ['quo"te', "apo'strophe", "back\\slash"]
ODD = [*FIT, *UNFIT]


def directives(text, name):
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_the_units_run_this_codexd_and_listen_where_the_settings_say():
    definition = Definition(Path("/opt/codexd"), environment={"HTTPS_PROXY": "http://proxy:1"})
    units = render(TEMPLATES, definition, LOOPBACK)
    assert directives(units[SERVICE], "ExecStart") == ["/opt/codexd"]
    assert "HTTPS_PROXY=http://proxy:1" in directives(units[SERVICE], "Environment")
    assert directives(units[SOCKET], "ListenStream") == [
        "127.0.0.1:9000",
        "[::1]:9000",
        "%t/codexd/control.sock",
    ]
    for name, text in units.items():
        assert parse(Path(name), text).origin is Origin.OURS


def test_a_home_moves_the_control_socket_and_options_are_quoted():
    definition = Definition(Path("/opt/my $codexd"), Path("/srv/100% $mine"), port=9000)
    units = render(TEMPLATES, definition, LOOPBACK)
    [command] = directives(units[SERVICE], "ExecStart")
    assert command == '"/opt/my $codexd" --home "/srv/100%% $$mine" --port 9000'
    assert directives(units[SOCKET], "ListenStream")[-1] == "/srv/100%% $mine/control.sock"


def test_codexd_socket_moves_the_control_socket_in_both_units():
    units = render(TEMPLATES, Definition(Path("/x"), socket=Path("/run/a b")), LOOPBACK)
    assert '"CODEXD_SOCKET=/run/a b"' in directives(units[SERVICE], "Environment")
    assert directives(units[SOCKET], "ListenStream")[-1] == "/run/a b"


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("/plain/path-1.0_x", "/plain/path-1.0_x"),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("50%", '"50%%"'),
        ("a\nb", '"a\\nb"'),
        ("", '""'),
    ],
)
def test_words_are_quoted(word, quoted):
    assert quote(word) == quoted


@pytest.mark.skipif(
    not shutil.which("systemd-analyze") and "CI" not in os.environ, reason="needs systemd-analyze, of Debian's systemd"
)
@pytest.mark.parametrize(("folder", "home"), [("plain", odd) for odd in ODD] + [(odd, "plain") for odd in FIT])
def test_systemd_reads_the_units_without_a_word(tmp_path, folder, home):
    program = tmp_path / folder / "codexd"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    definition = Definition(program, tmp_path / home, environment={"A": f"{home} x"})
    for name, text in render(TEMPLATES, definition, LOOPBACK).items():
        (tmp_path / name).write_text(text)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", *(str(tmp_path / name) for name in UNITS)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", ["plain", *FIT])
def test_a_path_that_systemd_runs(systemd, folder):
    assert systemd.refuse(Path("/opt") / folder / "codexd") is None


@pytest.mark.parametrize("folder", UNFIT)
def test_a_path_that_systemd_does_not_run(systemd, folder):
    assert "another folder" in systemd.refuse(Path("/opt") / folder / "codexd")


@pytest.fixture
def systemd(machine):
    return Systemd(machine)


def install(systemd, machine, definition, address=LOOPBACK, *, linger=False):
    wanted = systemd.render(definition, address)
    before = {path: parse(path, path.read_text()) if path.exists() else make_absent(path) for path in wanted}
    steps = systemd.plan_install(wanted, before, linger=linger)
    take(steps, machine, lambda _: None)
    return steps


def make_absent(path):
    return parse(path, "")._replace(origin=Origin.ABSENT)


def test_installing_writes_the_units_and_starts_them(systemd, machine, definition, programs):
    install(systemd, machine, definition, linger=True)
    assert programs.calls() == [
        "loginctl enable-linger me",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now codexd.socket codexd.service",
    ]
    state = systemd.state()
    assert (state.loaded, state.enabled, state.active, state.listening) == (True,) * 4
    assert (state.word, state.restarts, state.pid) == ("active (running)", 2, os.getppid())
    assert state.since is not None


@pytest.mark.parametrize(
    ("shown", "word", "said"),
    [
        ({"LoadState": "masked"}, "inactive (dead)", "codexd.service is masked, so it can't be started."),
        ({"LoadState": "bad-setting"}, "inactive (dead)", "`systemctl --user status codexd.service` says why."),
        ({"ActiveState": "failed", "Result": "watchdog"}, "failed (watchdog)", "codexd.service has failed (watchdog)."),
        ({"NeedDaemonReload": "yes"}, "inactive (dead)", "Run `systemctl --user daemon-reload`."),
        ({"ActiveState": "activating", "SubState": ""}, "activating", None),
        ({"ActiveState": "", "SubState": ""}, "unknown", None),
    ],
)
def test_what_is_wrong_with_a_unit(systemd, programs, shown, word, said):
    programs.write(shown={"codexd.service": shown})
    state = systemd.state()
    assert state.word == word
    assert [said in each for each in state.problems] == ([] if said is None else [True])


def test_installing_again_changes_nothing(systemd, machine, definition):
    install(systemd, machine, definition)
    assert install(systemd, machine, definition) == []


def test_another_address_opens_the_socket_anew(systemd, machine, definition, programs):
    install(systemd, machine, definition)
    programs.write(calls=[])
    install(systemd, machine, definition, LOOPBACK._replace(port=9001))
    assert programs.calls() == [
        "systemctl --user stop codexd.socket codexd.service",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now codexd.socket codexd.service",
    ]


def test_a_changed_service_restarts_behind_its_open_socket(systemd, machine, definition, programs):
    install(systemd, machine, definition)
    [_, path] = systemd.paths()
    wanted = systemd.render(definition, LOOPBACK)
    before = {each: parse(each, text) for each, text in wanted.items()}
    before[path] = before[path]._replace(text="older\n")
    programs.write(calls=[])
    take(systemd.plan_install(wanted, before, linger=False), machine, lambda _: None)
    assert programs.calls() == ["systemctl --user daemon-reload", "systemctl --user restart codexd.service"]


def test_uninstalling_leaves_nothing(systemd, machine, definition, programs):
    install(systemd, machine, definition._replace(lingering=True), linger=True)
    programs.write(calls=[])
    files = [parse(path, path.read_text()) for path in systemd.paths()]
    take(systemd.plan_uninstall(files), machine, lambda _: None)
    assert programs.calls() == [
        "systemctl --user disable --now codexd.socket codexd.service",
        "systemctl --user daemon-reload",
        "systemctl --user reset-failed codexd.socket codexd.service",
        "loginctl disable-linger me",
    ]
    assert [path for path in systemd.paths() if path.exists()] == []
    assert programs.state["active"] == programs.state["enabled"] == programs.state["loaded"] == []


def test_a_restart_goes_on_behind_the_open_socket(systemd, machine, definition, programs):
    install(systemd, machine, definition)
    programs.write(calls=[])
    assert systemd.restart() is None
    assert programs.calls("systemctl --user reset-failed") == [
        "systemctl --user daemon-reload",
        "systemctl --user restart codexd.service",
    ]


def test_a_restart_opens_a_socket_that_is_closed(systemd, machine, definition, programs):
    install(systemd, machine, definition)
    programs.write(calls=[], active=[SERVICE])
    assert systemd.restart() is None
    assert programs.calls("systemctl --user reset-failed") == [
        "systemctl --user daemon-reload",
        "systemctl --user stop codexd.service",
        "systemctl --user start codexd.socket",
        "systemctl --user restart codexd.service",
    ]


def test_a_restart_that_fails_says_why(systemd, machine, definition, programs):
    install(systemd, machine, definition)
    programs.write(fail={"systemctl --user restart": "Job for codexd.service failed."})
    assert systemd.restart() == "Job for codexd.service failed."


def test_the_folder_is_the_one_that_the_manager_searches(machine, tmp_path, programs):
    folder = machine.home / ".config" / "systemd" / "user"
    shell = {"HOME": str(machine.home), "XDG_CONFIG_HOME": str(tmp_path / "elsewhere")}
    elsewhere = machine._replace(home=tmp_path / "other", environ={**machine.environ, **shell})
    assert Systemd(elsewhere).paths()[0].parent == folder
    programs.write(fail={"systemctl --user show --property=UnitPath": "no"})
    assert Systemd(machine).paths()[0].parent == folder


def test_the_log_commands(systemd):
    assert systemd.logs(LogsWanted(5, follow=True, since=1796086300.5, as_json=False)) == [
        "journalctl",
        "--user",
        "--unit=codexd.service",
        "--unit=codexd.socket",
        "--no-pager",
        "--lines=5",
        "--follow",
        "--since=@1796086300",
        "--output=short-iso",
    ]
    assert systemd.last_words() == ["its last words"]


def test_units_in_other_places_and_lingering_are_found(systemd, machine):
    for name in ("etc/systemd/user/codexd.service", "var/lib/systemd/linger/me"):
        (machine.root / name).parent.mkdir(parents=True)
        (machine.root / name).touch()
    assert systemd.others() == [str(machine.root / "etc/systemd/user/codexd.service")]
    assert systemd.state().lingering


def test_an_unreachable_manager_says_why(systemd, programs):
    assert systemd.unusable_reason() is None
    programs.write(fail={"systemctl --user show": "Failed to connect to bus: No medium found"})
    assert systemd.unusable_reason() == "Failed to connect to bus: No medium found"
