"""Which running daemon a command talks to."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack

import pytest

from codexctl import daemons
from codexctl.client import NoDaemon
from codexctl.daemons import choose_socket


@pytest.fixture
def world(tmp_path, monkeypatch):
    """``run(name)`` notes a daemon that listens, or one that was killed; ``environ`` leads to a default socket."""
    with ExitStack() as stack:
        yield World(tmp_path, monkeypatch, stack)


class World:
    def __init__(self, folder, monkeypatch, stack):
        self.folder, self.stack, self.told = folder, stack, []
        (folder / "running").mkdir()
        (folder / "runtime" / "codexd").mkdir(parents=True)
        self.environ = {"XDG_RUNTIME_DIR": str(folder / "runtime")}
        self.default = folder / "runtime" / "codexd" / "control.sock"
        monkeypatch.setattr(daemons, "find_running_folder", lambda: folder / "running")

    def run(self, path, *, pid=7, killed=False, noted=True):
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()
            if not killed:
                self.stack.push(stack.pop_all())
        note = {"pid": pid, "socket": str(path), "address": f"http://127.0.0.1:{pid}", "home": str(self.folder)}
        if noted:
            text = json.dumps({**note, "simulated": True, "version": "0.1.0"})
            (self.folder / "running" / f"{pid}.json").write_text(text)
        return path

    def choose(self, **environ):
        return choose_socket(self.environ | environ, self.told.append)


OLD_ACCOUNT = {"id": "1", "email": "a@example.com", "plan": "plus", "state": "ok", "active": True}
OLD_ANSWERS = {
    "daemon.status": {"version": "0.0.9", "pid": 7, "simulated": True, "tasks": [], "problems": []},
    "accounts.list": {"accounts": [OLD_ACCOUNT], "active": "1"},
    "settings.list": {"settings": []},
    "requests.list": {"requests": []},
}
AGE = "codexd 0.0.9 (pid 7) is an older build than this codexctl"


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["accounts"], ["accounts", "--ids"]])
def test_an_older_daemon_is_named_with_its_version(daemon, piped, words):
    daemon.answers = OLD_ANSWERS
    process = piped(*words)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert AGE in out + err
    assert "codexctl stop" in out + err
    assert "Traceback" not in err


def test_an_older_daemon_offers_no_names_to_complete(daemon, piped):
    daemon.answers = OLD_ANSWERS
    assert piped("__complete", "--", "accounts", "switch", "").communicate(timeout=20) == ("", "")


def test_top_leaves_the_screen_of_an_older_daemon(daemon, terminal):
    daemon.answers = OLD_ANSWERS
    top = terminal("top", size=(24, 80))
    assert top.end() == 1
    assert AGE in top.shown.replace("\n", " ")
    assert "Traceback" not in top.shown


def test_the_shell_says_that_the_daemon_is_older_and_goes_on(daemon, terminal):
    daemon.answers = OLD_ANSWERS
    shell = terminal("shell", size=(24, 120))
    shell.wait_for("codexctl>")
    shell.type("exit\r")
    assert shell.end() == 0
    assert AGE in shell.shown
    assert "Traceback" not in shell.shown


def test_none_runs(world):
    assert world.choose() == world.default
    world.run(world.folder / "killed.sock", killed=True)
    assert world.choose() == world.default
    assert world.told == []


def test_the_default_one_is_taken_without_a_word(world):
    world.run(world.default, noted=False)
    world.run(world.folder / "other.sock")
    assert world.choose() == world.default
    assert world.told == []


def test_else_the_only_one_which_is_told(world):
    world.run(world.default, killed=True)
    world.run(world.folder / "killed.sock", pid=3, killed=True)
    only = world.run(world.folder / "only.sock")
    assert world.choose() == only
    [told] = world.told
    assert "http://127.0.0.1:7 (simulated, pid 7" in told


def test_a_note_that_was_left_behind_beside_its_successors_counts_once(world):
    only = world.run(world.folder / "only.sock")
    note = world.folder / "running" / "7.json"
    (note.parent / "6.json").write_text(note.read_text().replace('"pid": 7', '"pid": 6'))
    assert world.choose() == only


def test_several_are_listed(world):
    paths = [world.run(world.folder / f"{pid}.sock", pid=pid) for pid in (1, 2)]
    with pytest.raises(NoDaemon) as caught:
        world.choose()
    assert all(f"--socket {path}  http://127.0.0.1:" in str(caught.value) for path in paths)


@pytest.mark.parametrize("name", ["CODEXD_SOCKET", "CODEXD_HOME"])
def test_the_environment_decides(world, name):
    world.run(world.folder / "only.sock")
    assert world.choose(**{name: "/elsewhere"}).is_relative_to("/elsewhere")
    assert world.told == []


def test_without_a_home_folder(world, monkeypatch):
    def fail(_environ):
        raise RuntimeError

    monkeypatch.setattr(daemons, "find_socket", fail)
    with pytest.raises(NoDaemon, match="set HOME"):
        world.choose()
