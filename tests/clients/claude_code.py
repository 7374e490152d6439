"""Running the real Claude Code, non-interactively, in a home of its own."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest
import trio
from attrs import frozen

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

    async def run(self, *arguments: str) -> Result:
        """``claude -p`` with ``arguments``; every tool is allowed."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ANTHROPIC_BASE_URL": self.address,
            "ANTHROPIC_AUTH_TOKEN": "local",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "IS_SANDBOX": "1",  # it refuses to skip permissions as root without this
        }
        command = [self.program, "-p", "--dangerously-skip-permissions", *arguments]
        with trio.fail_after(TIMEOUT_S):
            done = await trio.run_process(
                command, env=environ, cwd=self.folder, capture_stdout=True, capture_stderr=True, stdin=b"", check=False
            )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def make_claude(tmp_path: Path, address: str) -> ClaudeCode:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    return ClaudeCode(find_claude(), home, folder, address)
