"""Running the real Codex CLI, non-interactively, in a ``CODEX_HOME`` of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import trio
from attrs import frozen

TIMEOUT_S = 60
VERSION = "0.171.0"
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
PACKAGE = f"@openai/codex@{VERSION}-{platform.system().lower()}-{ARCHITECTURE}"
INSTALLED = Path(__file__).parents[2] / ".ci-clients" / "node_modules" / "@openai" / "codex" / "vendor"

CONFIG = """
model = "gpt-5.5"
model_provider = "simulated"
chatgpt_base_url = "{base}/backend-api"

[model_providers.simulated]
name = "simulated"
base_url = "{base}/backend-api/codex"
wire_api = "responses"
requires_openai_auth = true
supports_websockets = false
"""


def find_codex() -> str:
    """The program; a test without it is skipped, but not in CI, where nothing is skipped for want of a tool."""
    found = next(map(str, INSTALLED.glob("*/bin/codex")), None) or shutil.which("codex")
    if found is None:
        reason = f"the Codex CLI is not installed: npm install --prefix .ci-clients --ignore-scripts {PACKAGE}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@frozen
class CodexCli:
    """One user of the Codex CLI. ``base`` is the address of the simulated backend and sign-in server."""

    program: str
    home: Path
    base: str

    def set_up(self, auth_json: str) -> Path:
        """Sign it in; gives its login file."""
        self.home.mkdir(parents=True)
        (self.home / "config.toml").write_text(CONFIG.format(base=self.base))
        file = self.home / "auth.json"
        file.write_text(auth_json)
        return file

    async def run(self, prompt: str) -> str:
        """``codex exec``; what it answered."""
        environ = os.environ | {
            "CODEX_HOME": str(self.home),
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self.base}/oauth/token",
        }
        with trio.fail_after(TIMEOUT_S):
            done = await trio.run_process(
                [self.program, "exec", "--skip-git-repo-check", prompt],
                env=environ,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()
