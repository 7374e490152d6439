"""``codexctl codex``: the real Codex CLI works after it, by its file alone, and as before when undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import frozen
from clients.codex_cli import TIMEOUT_S, find_codex
from support.harness import start_daemon

pytestmark = pytest.mark.client

CONFIG = b"""\
# mine\r
model = "gpt-5.5"\r
model_provider = 'nowhere' # by me\r
approval_policy = "never"\r
sandbox_mode = "danger-full-access"\r
\r
[model_providers.nowhere]\r
name = "nowhere"\r
base_url = "http://127.0.0.1:9/v1"\r
request_max_retries = 0\r
stream_max_retries = 0"""
"""Port 9 is the discard service's; nobody listens."""

OWN = "cli@example.com"
"""The Codex CLI's own login."""


@frozen
class Codex:
    """One user of the Codex CLI."""

    program: str
    home: Path
    socket: Path
    sign_in_url: str

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    async def exec(self, *arguments, status=0):
        """``codex exec``: what it wrote to stdout and stderr."""
        return await self._run(self.program, "exec", "--skip-git-repo-check", *arguments, status=status)

    async def list_models(self):
        listed, _ = await self._run(self.program, "debug", "models")
        return json.loads(listed)["models"]

    async def codexctl(self, *arguments, status=0):
        command = [sys.executable, "-m", "codexctl", "--socket", str(self.socket), *arguments]
        out, _ = await self._run(*command, status=status)
        return out

    async def read_limits(self):
        """What its ``/status`` shows, asked of the server that is behind the CLI's own screen."""
        calls = [
            {"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "test", "version": "1"}}},
            {"method": "initialized"},
            {"id": 1, "method": "account/rateLimits/read"},
        ]
        with trio.fail_after(TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
                start = partial(trio.run_process, [self.program, "app-server"], **self._place, **pipes)
                process = await nursery.start(start)
                for call in calls:
                    await process.stdin.send_all(json.dumps(call).encode() + b"\n")
                answer = await _receive(process.stdout, 1)
                await process.stdin.aclose()
        assert "error" not in answer, answer
        return answer["result"]["rateLimits"]

    async def _run(self, *command, status=0):
        with trio.fail_after(TIMEOUT_S):
            done = await trio.run_process(
                command,
                **self._place,
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert done.returncode == status, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()

    @property
    def _place(self):
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(self.home),
            "CODEX_HOME": str(self.home),
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"{self.sign_in_url}/oauth/token",
        }
        return {"env": environ, "cwd": self.home / "work"}


async def _receive(stream, call_id):
    received = b""
    while True:
        chunk = await stream.receive_some()
        assert chunk, "the Codex CLI's server ended"
        received += chunk
        *lines, received = received.split(b"\n")
        for answer in map(json.loads, lines):
            if answer.get("id") == call_id:
                return answer


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "daemon")


@pytest.fixture
async def codex(running, tmp_path):
    """Its file leads nowhere: it can only work by what codexctl writes into it."""
    program, home = find_codex(), tmp_path / "codex"
    (home / "work").mkdir(parents=True)
    (home / "work" / "here.txt").touch()
    (home / "config.toml").write_bytes(CONFIG)
    flow = await running.call("accounts.login.start", method="manual")
    return Codex(program, home, running.places.socket, flow["url"].partition("/oauth/")[0])


def sign_in(running, codex):
    """The CLI has a login of its own, which the backend takes."""
    (codex.home / "auth.json").write_text(json.dumps(running.simulator.sign_in(OWN)))


def callers(running):
    """By whose token the backend was asked for answers."""
    return [request.headers["authorization"] for request in running.asked]


async def test_it_works_after_codex_proxy_and_all_is_as_before_after_reset(running, codex):
    assert "It works: gpt-5.5 answered in" in await codex.codexctl("codex", "proxy")
    answer, _ = await codex.exec("list the files")
    assert "The tool answered" in answer
    assert "here.txt" in running.asked[-1].body["input"][-1]["output"]

    running.load({"output": [{"text": "Back again."}]})
    answer, _ = await codex.exec("resume", "--last", "and now?")
    assert "Back again." in answer
    before, after = running.asked[-2].body, running.asked[-1].body
    assert after["input"][: len(before["input"])] == before["input"]

    await codex.codexctl("codex", "reset")
    assert codex.config.read_bytes() == CONFIG
    assert [path.name for path in codex.home.glob("config*")] == ["config.toml"]


async def test_a_file_that_codexd_made_goes_again(running, codex):
    codex.config.unlink()
    await codex.codexctl("codex", "proxy")
    running.load({"output": [{"text": "Forty-two."}]})
    answer, _ = await codex.exec("What is the answer?")
    assert "Forty-two." in answer
    await codex.codexctl("codex", "reset")
    assert not codex.config.exists()


@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_a_switch_of_accounts_holds_from_the_next_request_of_a_session_on(running, codex, is_signed_in):
    if is_signed_in:
        sign_in(running, codex)
    await codex.codexctl("codex", "proxy")
    await codex.exec("list the files")
    await running.sign_in("spare@example.com")
    await codex.codexctl("accounts", "switch", "spare@example.com")
    answer, _ = await codex.exec("resume", "--last", "list the files again")
    assert "The tool answered" in answer
    assert callers(running) == ["simulated@example.com"] * 3 + ["spare@example.com"] * 2
    assert running.asked[-1].body["prompt_cache_key"] == running.asked[1].body["prompt_cache_key"]


async def test_its_list_of_models_is_the_accounts(running, codex):
    sign_in(running, codex)
    await codex.codexctl("codex", "proxy")
    models = await codex.list_models()
    assert {model["description"] for model in models} == {"Served by a simulated backend: no model is behind it"}


async def test_its_status_shows_the_limits_of_the_active_account(running, codex):
    sign_in(running, codex)
    await codex.codexctl("codex", "proxy")
    running.simulator.set_used("simulated@example.com", "primary", 42)
    await codex.exec("hi")
    limits = await codex.read_limits()
    assert (limits["primary"]["usedPercent"], limits["primary"]["windowDurationMins"]) == (42, 300)

    await running.sign_in("spare@example.com", plan="pro")
    await codex.codexctl("accounts", "switch", "spare@example.com")
    limits = await codex.read_limits()
    assert (limits["primary"]["usedPercent"], limits["planType"]) == (0, "pro")
    assert OWN not in callers(running)


async def test_its_own_login_is_neither_used_nor_refreshed(running, codex):
    sign_in(running, codex)
    login = (codex.home / "auth.json").read_bytes()
    await codex.codexctl("codex", "proxy")
    _, told = await codex.exec("hi")
    assert "ERROR" not in told
    await codex.read_limits()
    assert OWN not in str([dict(request.headers) for request in running.simulator.requests])
    token = json.loads(login)["tokens"]["access_token"]
    assert token not in running.log_text()

    await running.call("accounts.clear")
    _, told = await codex.exec("hi", status=1)
    assert "codexctl accounts add" in told
    assert "Reconnecting" not in told
    assert running.refreshes == 0
    assert (codex.home / "auth.json").read_bytes() == login
