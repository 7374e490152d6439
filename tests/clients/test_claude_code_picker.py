"""The model picker of the real Claude Code, at a terminal, with its discovery of models switched on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest
import trio
from clients.claude_code import make_claude
from support.harness import start_daemon

pytestmark = pytest.mark.client

PATIENCE_S = 60
ROWS, COLUMNS = 60, 140
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?<>=]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>()][0-9A-B]?|[78])|\s")


class Screen:
    """What a program at a terminal of its own has written so far, without spaces: it moves the cursor instead."""

    def __init__(self, command, **place):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **place
        )
        os.close(theirs)
        self._written = b""

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} was not shown, but {self.text[-3000:]!r}"
            if select.select([self._ours], [], [], 0.2)[0]:
                self._written += os.read(self._ours, 65536)

    @property
    def text(self):
        return _CONTROL.sub("", self._written.decode("utf-8", "replace"))

    def type(self, text):
        os.write(self._ours, text.encode())

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


def open_picker(screen):
    screen.wait_for("ClaudeCodev")
    screen.wait_for("?forshortcuts")
    screen.type("/model")
    screen.wait_for("/model")
    screen.type("\r")
    screen.wait_for("Selectmodel")


async def test_the_picker_shows_the_accounts_models_and_what_they_run_on(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = make_claude(tmp_path, running.address)
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(claude.folder): trusted}}
    (claude.home / ".claude.json").write_text(json.dumps(state))
    await running.call("claude.proxy", config_dir=str(claude.home / ".claude"))
    place = claude._place
    place["env"] |= {"TERM": "xterm-256color"}

    screen = Screen([claude.program, "--permission-mode", "default"], **place)
    try:
        await trio.to_thread.run_sync(open_picker, screen)
        for text in ("Opusongpt-5.5(Codex)", "GPT-6.2-Sol(Codex)", "gpt-6.2-solthroughcodexd,500,000tokensofcontext"):
            await trio.to_thread.run_sync(screen.wait_for, text)
        assert "Mtok" not in screen.text  # Anthropic's prices
    finally:
        screen.close()


@pytest.mark.parametrize(("model", "window"), [("claude-gpt-6.2-sol", "500k"), ("claude-gpt-5.5", "272k")])
async def test_each_model_has_its_true_window(nursery, tmp_path, model, window):
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = make_claude(tmp_path, running.address)
    await running.call("claude.proxy", config_dir=str(claude.home / ".claude"))
    shown = await claude.run("--model", model, "/context")
    assert f" / {window} (" in shown.stdout
