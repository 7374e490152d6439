"""codexctl on a machine with the stand-ins for systemd's programs, whose codexd is scripted."""

import argparse
import json
import os

import pytest
from support.control_answers import SERVICE_STATUS, SERVING

from codexctl.command import Invocation, Stop
from codexctl.service import actions, parse_port
from codexd import __version__


@pytest.fixture
def install(port):
    """The command line, with a port that nothing uses."""
    return "service", "install", "--port", str(port)


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


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def test_install_status_restart_and_uninstall(codexctl, folder, daemon, programs, install):
    status, out, err = codexctl(*install, "--yes")
    assert (status, err) == (0, "")
    assert "systemctl --user --quiet enable --now codexd.socket codexd.service" in out
    assert f"codexd {__version__} listens on http://127.0.0.1:8081." in out
    assert names(folder) == ["codexd.service", "codexd.socket"]
    status, out, err = codexctl("service")
    assert (status, err) == (0, "")
    assert "The service is active (running)" in out
    status, out, _ = codexctl(*install, "--yes")
    assert status == 0
    assert out.startswith("The service is installed already, and nothing has to change.")
    replies = iter([SERVICE_STATUS | {"pid": 7}, SERVICE_STATUS | {"pid": 8, "version": "9.9"}])
    daemon.answers["daemon.status"] = lambda _: next(replies)
    status, out, err = codexctl("service", "restart")
    assert (status, err) == (0, "")
    assert out.startswith(f"codexd 9.9 (pid 8) has taken over from {__version__} (pid 7).")
    status, out, err = codexctl("service", "uninstall", "--yes")
    assert (status, err) == (0, "")
    assert "Your accounts, settings and usage history stay." in out
    assert not folder.parent.exists()
    assert programs.state["active"] == []
    status, out, _ = codexctl("service", "uninstall", "--yes")
    assert (status, out) == (0, "The service is not installed, so there is nothing to do.\n")


@pytest.mark.parametrize("command", ["install", "uninstall", "status", "logs", "restart"])
def test_where_there_is_no_manager_every_command_says_so(codexctl, programs, command):
    programs.write(fail={"systemctl --user show": "Failed to connect to bus"})
    status, _, err = codexctl("service", command)
    assert status == 1
    assert "codexd" in err or "Log in again" in err


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "٣", ""])
def test_what_is_not_a_port(codexctl, text):
    with pytest.raises(Exception, match="is not a port"):
        parse_port(text)


def test_a_dry_run_shows_the_units_and_changes_nothing(codexctl, folder, programs, install):
    status, out, err = codexctl(*install, "--dry-run")
    assert (status, err) == (0, "")
    assert f"    +ListenStream=127.0.0.1:{install[-1]}" in out.splitlines()
    assert not folder.exists()
    assert programs.calls() == []


def test_without_a_terminal_nobody_can_be_asked(codexctl, folder, install):
    for options in ((), ("--json",)):
        status, out, err = codexctl(*install, *options)
        assert status == 2
        assert "Add --yes" in out + err
    assert not folder.exists()


def test_on_a_terminal_the_user_is_asked(codexctl, folder, terminal, install):
    asked = terminal(*install, **codexctl.environ)
    asked.wait_for("Install the service? [y/N]")
    asked.type("\n")
    assert asked.end() == 1
    assert "nothing was changed" in asked.shown
    assert not folder.exists()
    asked = terminal(*install, **codexctl.environ)
    asked.wait_for("Install the service? [y/N]")
    asked.type("y\n")
    assert asked.end() == 0
    assert names(folder) == ["codexd.service", "codexd.socket"]


def test_json_is_one_document(codexctl, folder, install):
    status, out, err = codexctl(*install, "--json", "--yes")
    done = json.loads(out)
    assert (status, err) == (0, "")
    assert [step["action"] for step in done["steps"]] == ["create", "create", "run", "run"]
    assert done["listens_on"] == [f"127.0.0.1:{install[-1]}"]
    assert done["daemon"]["serving"] == SERVING
    status, out, _ = codexctl("service", "--json")
    found = json.loads(out)
    assert (status, found["installed"], found["enabled"], found["problems"]) == (0, True, True, [])


def test_secrets_of_copied_variables_are_kept_but_not_shown(codexctl, folder, install):
    shell = {"HTTPS_PROXY": "http://me:hunter2@proxy:3128", "CODEXD_SERVER_API_KEY": "sk-hunter2"}
    options = ("--env", "HTTPS_PROXY", "--env", "CODEXD_SERVER_API_KEY")
    shown = ""
    for extra in (("--dry-run",), ("--json", "--dry-run"), ("--yes",)):
        status, out, err = codexctl(*install, *options, *extra, **shell)
        assert (status, err) == (0, "")
        shown += out
    assert "proxy:3128" in shown
    assert "hunter2" not in shown
    unit = folder / "codexd.service"
    assert "HTTPS_PROXY=http://me:hunter2@proxy:3128" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o600


def test_a_variable_that_is_not_set_can_not_be_copied(codexctl, install):
    status, _, err = codexctl(*install, "--env", "NO_SUCH", "--yes")
    assert (status, err) == (2, "codexctl: --env NO_SUCH: this variable is not set in this shell.\n")


def test_a_failed_start_is_explained_and_undone(codexctl, folder, programs, install):
    programs.write(fail={"systemctl --user enable": "Job for codexd.service failed."})
    status, _, err = codexctl(*install, "--yes")
    assert status == 1
    assert err.splitlines() == [
        "codexctl: `systemctl --user --quiet enable --now codexd.socket codexd.service` failed: Job for codexd.service failed.",
        "It was undone.",
        "The log ends with:",
        "  its last words",
    ]
    assert not folder.exists()


def test_obstacles_end_it_before_anything_happens(codexctl, folder, install):
    folder.mkdir(parents=True)
    (folder / "codexd.service").write_text("[Service]\nExecStart=/other\n")
    status, out, err = codexctl(*install, "--yes")
    assert (status, err) == (1, "")
    assert "In the way: " in out
    assert names(folder) == ["codexd.service"]
    status, out, _ = codexctl(*install, "--yes", "--json")
    assert (status, len(json.loads(out)["obstacles"])) == (1, 1)


def test_without_a_service(codexctl):
    status, out, _ = codexctl("service", "status")
    assert status == 1
    assert out.startswith("codexd is not installed as a service of systemd.")
    status, _, err = codexctl("service", "restart")
    assert status == 1
    assert "`codexctl restart`" in err


def test_a_restart_with_broken_settings_leaves_the_old_one_alone(codexctl, programs, daemon, tmp_path, install):
    assert codexctl(*install, "--yes")[0] == 0
    settings = tmp_path / "home" / ".config" / "codexd" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("x = [")
    daemon.answers["settings.check"] = {"problems": ["not TOML"]}
    status, _, err = codexctl("service", "restart")
    assert status == 1
    assert err.splitlines()[-1] == "not TOML"
    assert not [call for call in programs.calls() if "restart" in call]


def test_a_restart_that_fails_shows_the_end_of_the_log(codexctl, programs, install):
    assert codexctl(*install, "--yes")[0] == 0
    programs.write(fail={"systemctl --user restart": "Job for codexd.service failed."})
    status, _, err = codexctl("service", "restart")
    assert (status, err.splitlines()[0]) == (1, "codexctl: Job for codexd.service failed.")
    assert err.splitlines()[-1] == "  its last words"


def test_logs_are_the_journals(codexctl, programs):
    status, out, err = codexctl("service", "logs", "-n", "3", "--since", "10m")
    assert (status, out, err) == (0, "its last words\n", "")
    call = next(call for call in programs.state["calls"] if call.startswith("journalctl"))
    assert "--lines=3" in call
    assert "--since=@" in call


def test_logs_as_json(codexctl):
    _, out, _ = codexctl("service", "logs", "--json")
    entries = [{"at": 1796086300.5, "message": "hello"}, {"at": 1796086301.5, "message": "hi\ufffd"}]
    assert json.loads(out) == {"entries": entries}
    _, out, _ = codexctl("service", "logs", "-f", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [{"entry": entry} for entry in entries]


def test_a_daemon_that_never_answers_is_given_up(machine, definition, monkeypatch):
    monkeypatch.setattr(actions, "SERVES_WITHIN_S", 0.0)
    invocation = Invocation(definition.home / "control.sock", argparse.Namespace(), {})
    with pytest.raises(Stop, match="the service runs, but codexd does not answer yet: "):
        actions.wait_for_daemon(machine, definition, invocation)
