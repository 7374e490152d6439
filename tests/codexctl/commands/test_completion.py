"""``codexctl __complete`` and its scripts, in the shells that are here."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ACCOUNT = {
    "id": "acc_1",
    "email": "work@example.com",
    "label": "work@example.com",
    "plan": "plus",
    "state": "ok",
    "active": True,
    "simulated": False,
}
TIMEOUT_S = 30


def setting(name, **changes):
    value = {"value": "info", "default": "info", "choices": None, "type": "string", "secret": False, "meaning": name}
    return {"name": name} | value | changes


@pytest.fixture
def answering(daemon):
    settings = [setting("log.level", choices=["debug", "info"]), setting("server.api_key", value="hush", secret=True)]
    settings += [setting("rotation.enabled", type="boolean", value=False, default=False), setting("models.opus")]
    settings += [setting("kilo.model", value="a:free", default="b:free")]
    daemon.answers = {
        "accounts.list": {"accounts": [ACCOUNT], "active": "acc_1"},
        "settings.list": {"settings": settings},
        "requests.list": {
            "requests": [
                {"id": "req_old", "state": "done", "model": "opus", "model_used": "gpt-5.4", "client": "claude-cli"},
                {"id": "req_new", "state": "running", "model": None, "model_used": None, "client": "x"},
            ]
        },
        "accounts.models": {"models": [{"id": "gpt-5.5", "name": "GPT", "listed": True}]},
        "kilo.models": {"models": [{"id": "c:free", "name": "C"}]},
    }
    return daemon


@pytest.fixture
def complete(piped):
    def ask(*words, **changes):
        process = piped("__complete", "--", *words, **changes)
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err) == (0, "")
        return out.splitlines()

    return ask


def test_what_the_daemon_knows(answering, complete):
    assert complete("accounts", "switch", "w") == ["work@example.com\tplus, ok, active"]
    assert complete("settings", "get", "log") == ["log.level\tinfo: log.level"]
    assert complete("settings", "set", "log.level", "") == ["debug\t", "info\tnow, default"]
    assert complete("settings", "set", "rotation.enabled", "") == ["true\t", "false\tnow, default"]
    assert complete("settings", "set", "models.opus", "g") == ["gpt-5.4\t", "gpt-5.5\t"]
    assert complete("test", "hello", "--model", "g") == ["gpt-5.4\tused", "gpt-5.5\tGPT"]
    assert complete("settings", "set", "kilo.model", "") == ["a:free\tnow", "b:free\tdefault", "c:free\t"]
    assert complete("why", "") == ["req_new\trunning, no model, from x", "req_old\tdone, opus, from claude-cli"]
    assert complete("accounts", "import", "x") == [":files"]


def test_a_secret_is_no_candidate(answering, complete):
    assert complete("settings", "set", "server.api_key", "") == []


def test_accounts_that_share_an_email_are_named_by_their_labels(answering, complete):
    labels = "work@example.com/3f9c2a1b", "work@example.com/b0b5e2d4"
    accounts = [ACCOUNT | {"label": labels[0]}, ACCOUNT | {"label": labels[1], "active": False}]
    answering.answers["accounts.list"] = {"accounts": accounts, "active": "acc_1"}
    assert complete("quota", "") == [f"{labels[0]}\tplus, ok, active", f"{labels[1]}\tplus, ok"]


def test_without_a_daemon_there_is_nothing_and_no_word_of_it(complete, tmp_path):
    absent = str(tmp_path / "absent.sock")
    assert complete("accounts", "switch", "", CODEXD_SOCKET=absent) == []
    assert complete("--socket", absent, "accounts", "switch", "") == []
    assert complete("accounts", "sw", CODEXD_SOCKET=absent) == ["switch\tMake an account the active one"]


def test_a_refusal_is_no_candidate_either(answering, complete, scripting):
    _, refusal = scripting
    answering.answers["accounts.list"] = refusal("broken")
    assert complete("accounts", "switch", "") == []


LEAD_SESSION = "import fcntl,os,sys,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
"""What an interactive shell expects: a terminal that controls it."""


class Shell:
    """An interactive shell in which codexctl is completed; run, it only notes its arguments."""

    def __init__(self, command, environ, folder):
        self._noted = folder / "noted"
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", LEAD_SESSION, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=folder,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text):
        os.write(self._ours, text.encode())

    def wait_for(self, is_there):
        deadline = time.monotonic() + TIMEOUT_S
        while not is_there():
            assert time.monotonic() < deadline, f"shown: {self.shown!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def run(self, line):
        """The arguments that codexctl got."""
        self._noted.unlink(missing_ok=True)
        self.type(f"{line}\r")
        self.wait_for(self._noted.exists)
        return self._noted.read_text().splitlines()

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


def make_program(folder):
    """A codexctl for the PATH that completes, and else notes its arguments."""
    program = folder / "bin" / "codexctl"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
[ "$1" = __complete ] && exec {sys.executable} -m codexctl "$@"
printf '%s\\n' "$@" > {folder}/noting && mv {folder}/noting {folder}/noted
""")
    program.chmod(0o755)
    return program.parent


def start(name, folder, environ):
    """``name`` with our script loaded, and nothing of its user's."""
    command = [sys.executable, "-m", "codexctl", "completion", name]
    script = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    path = f"{make_program(folder)}{os.pathsep}{os.environ['PATH']}"
    homes = dict.fromkeys(("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
    environ = environ | homes | {"PATH": path, "PYTHONPATH": str(Path(__file__).parents[3])}
    if name == "bash":
        (folder / "rc").write_text(f"PATH={path}\nPS1='READY '\n{script}")
        return Shell(["bash", "--noprofile", "--rcfile", folder / "rc", "-i"], environ, folder)
    if name == "zsh":
        lines = f"PATH={path}\nPS1='READY '\nunsetopt zle_bracketed_paste\nautoload -Uz compinit; compinit -u -D\n"
        (folder / ".zshrc").write_text(lines + script)
        return Shell(["zsh", "-d", "-i"], environ, folder)
    (folder / "fish").mkdir()
    (folder / "fish" / "config.fish").write_text(f"function fish_prompt; echo -n 'READY '; end\n{script}")
    return Shell(["fish", "-i"], environ, folder)


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, answering, environ, tmp_path):
    if shutil.which(request.param) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{request.param} is not installed")
    started = start(request.param, tmp_path, environ)
    started.wait_for(lambda: "READY " in started.shown)
    yield started
    started.close()


def test_a_shell_completes_commands_accounts_values_and_files(shell, tmp_path):
    (tmp_path / "login file.json").write_text("{}")
    for typed, expected in (
        ("codexctl acc\tswi\tw\t--dry\t", ["accounts", "switch", "work@example.com", "--dry-run"]),
        ("codexctl accounts switch work@ex\t", ["accounts", "switch", "work@example.com"]),
        ("codexctl settings set log.level deb\t", ["settings", "set", "log.level", "debug"]),
        ("codexctl logs --level=warn\t", ["logs", "--level=warning"]),
        ("codexctl accounts import login\t", ["accounts", "import", "login file.json"]),
    ):
        assert shell.run(typed) == expected
