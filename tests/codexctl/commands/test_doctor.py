import json
import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from support.harness import post, start_daemon
from support.service_managers import Programs

from codexctl.commands import doctor
from codexd.doctor.daemons import Answers
from codexd.paths import RunningDaemon, find_places

SECRETS = {
    "api key": "marked-api-key-0001",
    "prompt": "marked-prompt-0002",
    "proxy": "marked-proxy-0003",
    "foreign": "marked-foreign-0004",
    "claude": "marked-claude-0005",
}


async def run(home, *arguments, **environ):
    """codexctl doctor in a home of its own: status, output, errors."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("CODEX", "CLAUDE"))}
    changes = {"HOME": str(home), "CODEXD_HOME": str(home / "codexd"), "PYTHONUTF8": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "codexctl", "doctor", *map(str, arguments)]
    with trio.fail_after(60):
        done = await trio.run_process(
            command,
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**kept, **changes, **environ},
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def kinds(output):
    return {each["kind"]: each["level"] for section in json.loads(output)["sections"] for each in section["findings"]}


async def test_without_a_daemon(tmp_path):
    code, out, err = await run(tmp_path)
    assert (code, err) == (1, "")
    assert "There is no account yet." in out
    assert "$ codexctl accounts add" in out
    assert not (tmp_path / "codexd").exists()


async def test_a_broken_installation_is_explained(tmp_path):
    (tmp_path / "attrs.py").write_text("raise ImportError('no attrs')")
    code, out, err = await run(tmp_path, PYTHONPATH=str(tmp_path))
    assert (code, out) == (1, "")
    assert err.startswith("codexctl: this installation is broken: no attrs. Install codexd again with `")


async def test_as_json(tmp_path):
    code, out, _ = await run(tmp_path, "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    assert kinds(out)["no_account"] == "problem"
    assert json.loads(out)["network"] is False


async def test_a_healthy_daemon(tmp_path):
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path / "codexd")
        code, out, err = await run(tmp_path, "--json")
        found = kinds(out)
        assert (code, err) == (0, "")
        assert {"running", "serving", "account"} <= {kind for kind, level in found.items() if level == "ok"}
        assert "restart_needed" not in found
        await running.call("settings.set", name="server.host", value="localhost")
        _, changed, _ = await run(tmp_path, "--socket", running.places.socket, "--json", CODEXD_HOME="/nowhere")
        assert kinds(changed)["restart_needed"] == "warning"
        nursery.cancel_scope.cancel()


async def test_a_socket_where_nobody_answers(tmp_path):
    (tmp_path / "codexd").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "codexd/control.sock"))
        listener.listen()
        code, out, err = await run(tmp_path, "--json")
    assert (code, err) == (1, "")
    assert kinds(out)["silent"] == "problem"


async def test_a_socket_that_was_left_behind(tmp_path):
    (tmp_path / "codexd").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "codexd/control.sock"))
    _, out, _ = await run(tmp_path, "--json")
    assert kinds(out)["not_running"] == "warning"
    assert "silent" not in kinds(out)


async def test_a_bundle_has_no_secret(tmp_path):
    host = os.uname().nodename
    environ = {
        "HTTPS_PROXY": f"http://user:{SECRETS['proxy']}@proxy.example:8080",
        "GITHUB_TOKEN": SECRETS["foreign"],
        "ANTHROPIC_AUTH_TOKEN": SECRETS["claude"],
        "CODEXD_SERVER_API_KEY": SECRETS["api key"],
    }
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/settings.json").write_text(json.dumps({"env": {"ANTHROPIC_API_KEY": SECRETS["claude"]}}))
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path / "codexd")
        body = {
            "model": "claude-sonnet-5-5",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": SECRETS["prompt"]}],
        }
        await post(running, body)
        await post(running, body | {"messages": [SECRETS["prompt"]]})
        bundle = tmp_path / "bundle.txt"
        code, _, err = await run(tmp_path, "--bundle", bundle, **environ)
        nursery.cancel_scope.cancel()
    text, auth_json = bundle.read_text(), next((tmp_path / "codexd/accounts").glob("*/auth.json")).read_text()
    login = json.loads(auth_json)
    account = json.loads((tmp_path / "codexd/accounts.json").read_text())["accounts"][0]
    hidden = [*SECRETS.values(), *filter(None, login["tokens"].values()), account["email"], account["user_id"]]
    assert [secret for secret in hidden if secret in text] == []
    assert str(tmp_path) not in text
    assert len(host) < 4 or f" {host} " not in text
    assert (code, err) == (0, "")
    assert bundle.stat().st_mode & 0o777 == 0o600
    for title in ("Findings", "Versions", "Settings", "Environment", "Daemon", "Accounts", "Requests", "Log"):
        assert f"== {title} ==" in text


async def test_a_bundle_overwrites_nothing(tmp_path):
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    code, out, err = await run(tmp_path, "--bundle", kept)
    assert (code, out, kept.read_text()) == (2, "", "mine")
    assert "exists" in err
    code, _, err = await run(tmp_path, "--bundle", tmp_path / "no/folder.txt")
    assert (code, "can't be written" in err) == (1, True)


async def test_a_report_although_the_home_folder_is_unknown(tmp_path):
    code, out, err = await run(tmp_path, "--json", HOME="~", CODEXD_HOME="~nobody-of-this-name/x")
    assert (code, err) == (1, "")
    assert kinds(out)["home_unknown"] == "problem"


@pytest.fixture
def programs(tmp_path):
    """Stand-ins for systemctl and the others, on a PATH of their own."""
    found = Programs(tmp_path / "programs")
    (tmp_path / "runtime").mkdir()
    return {"PATH": f"{found.folder}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}


@pytest.mark.skipif(sys.platform != "linux", reason="the unit files are systemd's")
async def test_the_service(tmp_path, programs):
    _, out, _ = await run(tmp_path, "--json", **programs)
    assert kinds(out)["service_not_installed"] == "note"
    units = tmp_path / ".config/systemd/user"
    units.mkdir(parents=True)
    (units / "codexd.service").write_text(
        "[Service]\nExecStart=/gone/codexd\nEnvironment=CODEXD_SERVER_API_KEY=marked\n"
    )
    bundle = tmp_path / "bundle.txt"
    _, out, _ = await run(tmp_path, "--json", "--bundle", bundle, **programs)
    assert kinds(out)["service_problem"] == "problem"
    assert "== ~/.config/systemd/user/codexd.service ==\n[Service]\nExecStart=/gone/codexd" in bundle.read_text()
    assert "marked" not in bundle.read_text()


async def test_a_question_on_a_terminal_and_nowhere_else(terminal, tmp_path):
    user = partial(terminal, "doctor", HOME=str(tmp_path), NO_COLOR="1")
    asked = user()
    await trio.to_thread.run_sync(asked.wait_for, "[y/N]")
    asked.type("n\n")
    assert await trio.to_thread.run_sync(asked.end) == 1
    assert "No server was contacted" in asked.shown
    told = terminal("doctor", "--no-network", HOME=str(tmp_path), NO_COLOR="1")
    assert await trio.to_thread.run_sync(told.end) == 1
    assert "[y/N]" not in told.shown


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="where a daemon was started from is in /proc")
def test_where_a_daemon_was_started_from():
    assert doctor._find_installation(os.getpid()) in (Path(sys.executable).parent, None)


def test_where_a_daemon_was_started_from_is_not_known_of_a_process_that_is_gone():
    assert doctor._find_installation(2**30) is None


@pytest.mark.parametrize("asked", ["default", "shell", "other"])
def test_the_places_are_those_of_the_daemon_that_was_asked(tmp_path, monkeypatch, asked):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    environ = {"CODEXD_HOME": str(tmp_path / "shell")}
    wanted = {"default": find_places({}), "shell": find_places(environ), "other": find_places({}, tmp_path / "other")}
    places = wanted[asked]._replace(socket=tmp_path / "x.sock")
    running = (RunningDaemon(7, places.socket, "http://127.0.0.1:1", places.state_dir, False, "1"),)
    assert doctor._find_places(environ, Answers(places.socket, True, running=running)) == places
