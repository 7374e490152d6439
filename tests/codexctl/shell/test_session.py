"""The shell, driven by what is typed: over a pipe in this process, and as a program at a terminal."""

import argparse
import io
import json
import os
from contextlib import asynccontextmanager

import pytest
import trio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output
from support.control_answers import SERVING
from support.control_server import NOW, auth_json, make_control, serving

from codexctl.command import Command, Invocation
from codexctl.shell import session as shell_session
from codexctl.shell import watch as shell_watch
from codexd.accounts.store.store import AccountStore
from codexd.api.records import LogEntry

F1 = "\x1bOP"
CTRL_C = "\x03"
CTRL_D = "\x04"


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


class Screen(Vt100_Output):
    """80 columns and 24 rows, of which prompt_toolkit need not ask the terminal how many are free."""

    def __init__(self, written):
        super().__init__(written, lambda: Size(rows=24, columns=80), term="xterm")

    def get_rows_below_cursor_position(self):
        return 24


class Typist:
    """A shell in a thread: what is typed into it, and what is shown: its own screen, and what commands print."""

    def __init__(self, control, capsys, typing):
        self.environ = {"CODEXD_HOME": str(control.places.state_dir), "TERM": "xterm"}
        self.invocation = Invocation(control.places.socket, argparse.Namespace(), self.environ)
        self._screen = io.StringIO()
        self._capsys = capsys
        self._typing = typing
        self._printed = ""

    @property
    def shown(self):
        out, err = self._capsys.readouterr()
        self._printed += out + err
        return self._printed + self._screen.getvalue()

    def run(self):
        with create_app_session(self._typing, Screen(self._screen)):
            shell_session.Shell(self.invocation).run()

    def type(self, text):
        self._typing.send_text(text)

    async def wait_for(self, text, times=1):
        with trio.move_on_after(10):
            while self.shown.count(text) < times:
                await trio.sleep(0.01)
            return
        raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")


@asynccontextmanager
async def shell(control, capsys):
    """A shell at its first prompt. It must end by Ctrl-D."""
    with create_pipe_input() as typing:
        typist = Typist(control, capsys, typing)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, typist.run)
            try:
                await typist.wait_for("codexctl>")
                yield typist
            finally:
                typist.type(CTRL_C + CTRL_D)


def log_entry(message, level="info", at=4_000_000_000.0):
    return LogEntry(0, at, level, "codexd.test", message, None, {})


async def test_a_switch_a_setting_and_a_followed_log(control, store, capsys):
    store.add(auth_json(), now=NOW)
    store.add(auth_json("home@example.com"), now=NOW)
    async with serving(control), shell(control, capsys) as typist:
        await typist.wait_for("work@example.com")  # the toolbar
        typist.type("accounts switch home\r")
        await typist.wait_for("home@example.com is now the active account, instead of work@example.com.")
        assert store.active.email == "home@example.com"
        typist.type("settings set reasoning.opus low\r")
        await typist.wait_for("reasoning.opus is now low.")
        assert control.live.current.reasoning.opus == "low"
        typist.type("logs on info\r")
        await typist.wait_for("logs info")
        typist.type("acc")
        control.logs.append(log_entry("a thing happened"))
        await typist.wait_for("a thing happened")
        typist.type("ounts switch work@\r")  # the line that was being typed is still there
        await typist.wait_for("work@example.com is now the active account")


async def test_log_lines_of_before_below_the_level_and_after_logs_off_are_not_shown(control, capsys):
    control.logs.append(log_entry("long ago", "error", at=NOW - 1_000_000_000))
    async with serving(control), shell(control, capsys) as typist:
        await typist.wait_for("logs warning")
        control.logs.append(log_entry("too quiet"))
        control.logs.append(log_entry("loud enough", "warning"))
        await typist.wait_for("loud enough")
        assert "too quiet" not in typist.shown
        assert "long ago" not in typist.shown
        typist.type("logs off\r")
        typist.type("status\r")
        await typist.wait_for("is running")
        control.logs.append(log_entry("nobody listens", "error"))
        typist.type("help exit\r")
        await typist.wait_for("usage: codexctl exit")
    assert "nobody listens" not in typist.shown


async def test_what_is_logged_while_a_command_runs_is_shown_after_it(control, capsys, monkeypatch):
    def log_something(invocation):
        control.logs.append(log_entry("meanwhile", "warning"))
        invocation.write(["the command has ended"])

    commands = (*shell_session.load_commands(), Command(("busy",), "", "", log_something))
    monkeypatch.setattr(shell_session, "load_commands", lambda: commands)
    async with serving(control), shell(control, capsys) as typist:
        typist.type("busy\r")
        await typist.wait_for("the command has ended")
        await typist.wait_for("meanwhile")


async def test_failures_do_not_end_the_shell(control, capsys, monkeypatch):
    def fail(_invocation):
        raise KeyError("surprise")

    def interrupt(_invocation):
        raise KeyboardInterrupt

    commands = (
        *shell_session.load_commands(),
        Command(("broken",), "", "", fail),
        Command(("interrupted",), "", "", interrupt),
    )
    monkeypatch.setattr(shell_session, "load_commands", lambda: commands)
    async with serving(control), shell(control, capsys) as typist:
        typist.type("accounts switch nobody\r")
        await typist.wait_for("There is no account 'nobody'")
        typist.type("acounts\r")
        await typist.wait_for('"acounts" is not a command. Did you mean "codexctl accounts"?')
        typist.type("logs --level loud\r")
        await typist.wait_for("invalid choice: 'loud'")
        typist.type("test 'half\r")
        await typist.wait_for("can't read the line")
        typist.type("broken\r")
        await typist.wait_for("this is a bug in codexctl")
        typist.type("interrupted\r")
        typist.type("shell\r")
        await typist.wait_for("you are already in the shell")
        typist.type("--json\r")
        await typist.wait_for("you are already in the shell", times=2)
        typist.type("codexctl status\r")
        await typist.wait_for("is running")


async def test_a_daemon_that_goes_and_comes_back(control, capsys, monkeypatch):
    monkeypatch.setattr(shell_watch, "RETRY_S", 0.01)
    async with shell(control, capsys) as typist:
        await typist.wait_for("codexd is not running at")
        await typist.wait_for("codexd is away")
        async with serving(control):
            await typist.wait_for("is back (pid")
            control.logs.append(log_entry("hello again", "warning"))
            await typist.wait_for("hello again")
        await typist.wait_for("Waiting for it to come back.", times=2)
        typist.type("status\r")
        await typist.wait_for("codexd is not running at", times=2)


async def test_help_by_key_and_by_command(control, capsys):
    async with serving(control), shell(control, capsys) as typist:
        typist.type("?")
        await typist.wait_for("Tab completes, Right accepts")
        typist.type("accounts switch wo" + F1)
        await typist.wait_for("usage: codexctl accounts switch")
        typist.type(CTRL_C + "help logs on\r")
        await typist.wait_for("usage: codexctl logs on")
        typist.type("help\r")
        await typist.wait_for("Tab completes, Right accepts", times=2)


async def test_the_history_is_kept_without_secrets(control, capsys, tmp_path):
    async with serving(control), shell(control, capsys) as typist:
        typist.type("settings set server.api_key hunter2\r")
        await typist.wait_for("server.api_key is now set")
        typist.type("status\r")
        await typist.wait_for("is running")
    assert (tmp_path / "shell-history").read_text() == "status\n"


async def test_lines_pasted_together_run_one_after_the_other(control, capsys):
    async with serving(control), shell(control, capsys) as typist:
        typist.type("\x1b[200~status\nhelp exit\x1b[201~\r")
        await typist.wait_for("usage: codexctl exit")
        assert "is running" in typist.shown


async def test_exit(control, capsys):
    with create_pipe_input() as typing:
        typist = Typist(control, capsys, typing)
        async with serving(control), trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, typist.run)
            typist.type("exit\r")


@pytest.mark.parametrize("words", [(), ("shell",)])
def test_at_a_terminal(daemon, terminal, tmp_path, words):
    daemon.answers["daemon.status"] = STATUS
    daemon.answers["accounts.list"] = {"accounts": [], "active": None}
    daemon.answers["settings.list"] = {"settings": []}
    daemon.answers["requests.list"] = {"requests": []}
    shown = terminal(*words, XDG_STATE_HOME=str(tmp_path), COLUMNS="80")
    shown.wait_for("0.1.0 at http://127.0.0.1:8081")
    shown.wait_for("\x1b[6n")  # where is the cursor?
    shown.type("\x1b[5;1R")
    shown.wait_for("codexctl>")
    shown.wait_for("no active account")
    shown.type(CTRL_C)
    shown.type(CTRL_D)
    assert shown.end() == 0


STATUS = {
    "version": "0.1.0",
    "pid": 1,
    "started_at": NOW,
    "addresses": ["http://127.0.0.1:8081"],
    "simulated": False,
    "tasks": [],
    "active_account": None,
    "streams_in_flight": 0,
    "settings_path": "settings.toml",
    "problems": [],
    "serving": SERVING,
    "limited_models": [],
    "last_failure": None,
}


def test_without_a_terminal_it_runs_the_lines_of_its_input(daemon, piped):
    daemon.answers["daemon.status"] = STATUS
    out, err = piped("shell").communicate("status\n\nstatus --json\n")
    assert (out.count("is running"), out.count('"version": "0.1.0"'), err) == (1, 1, "")
    process = piped("shell", "--json")
    out, err = process.communicate("status\nacounts\n")
    assert out.startswith("{")
    assert json.loads(out.splitlines()[-1])["error"]["kind"] == "usage"
    assert err == ""
    assert process.returncode == 2


@pytest.mark.parametrize(("lines", "status"), [("status\nquit\nno more\n", 0), ("acounts\nexit\n", 2), ("quit", 0)])
def test_without_a_terminal_it_can_be_left_too(daemon, piped, lines, status):
    daemon.answers["daemon.status"] = STATUS
    process = piped("shell")
    _, err = process.communicate(lines)
    assert process.returncode == status
    assert "Traceback" not in err
    assert "more" not in err


def test_alone_without_a_terminal_it_shows_the_help(piped):
    process = piped()
    _, err = process.communicate("status\n")
    assert err.startswith("usage: codexctl")
    assert process.returncode == 2


def test_claude_code_is_started_in_a_process_of_its_own(daemon, piped, tmp_path):
    daemon.answers["daemon.status"] = STATUS
    daemon.answers["claude.environment"] = {
        "variables": {},
        "remove": [],
        "settings_path": "s.json",
        "overridden_by": [],
    }
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\necho "this is claude $*"\n')
    program.chmod(0o755)
    out, err = piped("shell", PATH=f"{tmp_path}:{os.environ['PATH']}").communicate("claude run -p hi\nstatus\n")
    assert err == ""
    assert "this is claude --settings s.json -p hi" in out
    assert "is running" in out
