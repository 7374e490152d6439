"""Running the real Claude Code, non-interactively, in a home of its own."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import field, frozen

TIMEOUT_S = 120
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
PACKAGE = f"@anthropic-ai/claude-code-{platform.system().lower()}-{ARCHITECTURE}"
INSTALLED = Path(__file__).parents[2] / ".ci-clients" / "node_modules" / PACKAGE / "claude"


def find_claude() -> str:
    """The program; a test without it is skipped, but not in CI, where nothing is skipped for want of a tool."""
    found = str(INSTALLED) if INSTALLED.exists() else shutil.which("claude")
    if found is None:
        reason = f"Claude Code is not installed: npm install --prefix .ci-clients --ignore-scripts {PACKAGE}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@frozen
class Result:
    status: int
    stdout: str
    stderr: str


@frozen
class ClaudeCode:
    """One user of Claude Code: a home, a working folder, and the address of the daemon."""

    program: str
    home: Path
    folder: Path
    address: str
    environ: dict[str, str] = field(factory=dict)

    async def run(self, *arguments: str) -> Result:
        """``claude -p`` with ``arguments``; every tool is allowed."""
        with trio.fail_after(TIMEOUT_S):
            done = await trio.run_process(
                [*self._command, *arguments],
                **self._place,
                capture_stdout=True,
                capture_stderr=True,
                stdin=b"",
                check=False,
            )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    async def talk(self, *turns: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Several turns in one process: the ``result`` message of each.

        Each of ``turns`` is a user message's content; a slash command is one, too.
        """
        command = [*self._command, "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
        with trio.fail_after(TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                start = partial(trio.run_process, command, **self._place, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                process = await nursery.start(start)
                talk = Talk(process)
                results = [await talk.say(turn) for turn in turns]
                await process.stdin.aclose()
        return results

    @property
    def _command(self) -> list[str]:
        return [self.program, "-p", "--dangerously-skip-permissions"]

    @property
    def _place(self) -> dict[str, Any]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "ANTHROPIC_BASE_URL": self.address,
            "ANTHROPIC_AUTH_TOKEN": "local",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "IS_SANDBOX": "1",  # it refuses to skip permissions as root without this
            **self.environ,
        }
        return {"env": environ, "cwd": self.folder}


class Talk:
    """Messages to and from a Claude Code that speaks ``stream-json``, one JSON object a line."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = b""

    async def say(self, content: str | list[dict[str, Any]]) -> dict[str, Any]:
        """The ``result`` message that ends the turn."""
        message = {"type": "user", "message": {"role": "user", "content": content}}
        await self._process.stdin.send_all(json.dumps(message).encode() + b"\n")
        while True:
            received = await self._receive()
            if received["type"] == "result":
                return received

    async def _receive(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            chunk = await self._process.stdout.receive_some()
            assert chunk, "Claude Code ended in the middle of a turn"
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)


def make_claude(tmp_path: Path, address: str) -> ClaudeCode:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    return ClaudeCode(find_claude(), home, folder, address)
