"""The real Codex CLI as others run it: its app server under the name of a desktop app or an editor, and compressed."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import trio
from clients.codex_cli import TIMEOUT_S, find_codex
from support.harness import start_daemon

pytestmark = pytest.mark.client

CONFIG = """
model = "gpt-5.5"
model_provider = "codexd"

[model_providers.codexd]
name = "codexd"
base_url = "{address}/v1"
wire_api = "responses"
supports_websockets = false
"""
OWN_PROVIDER = """
model = "gpt-5.5"
openai_base_url = "{address}/v1"
chatgpt_base_url = "{address}/backend-api"
"""


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "home")


def make_home(tmp_path, config):
    home = tmp_path / "codex"
    (home / "work").mkdir(parents=True)
    (home / "config.toml").write_text(config)
    return home


async def run_turn(home, host):
    """The last notification about one turn of an app server whose host calls itself ``host``."""
    command = [find_codex(), "app-server"]
    process = await trio.lowlevel.open_process(
        command,
        env=os.environ | {"CODEX_HOME": str(home)},
        cwd=home / "work",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        with trio.fail_after(TIMEOUT_S):
            return await _talk(process, host, home / "work")
    finally:
        process.kill()
        await process.wait()


async def _talk(process, host, folder):
    async def send(**message):
        await process.stdin.send_all(json.dumps(message).encode() + b"\n")

    client = {"name": host, "title": host, "version": "26.1.0"}
    await send(id=1, method="initialize", params={"clientInfo": client})
    data = b""
    while True:
        data += await process.stdout.receive_some()
        *lines, data = data.split(b"\n")
        for line in filter(None, lines):
            match json.loads(line):
                case {"id": 1, "result": _}:
                    await send(method="initialized")
                    await send(id=2, method="thread/start", params={"cwd": str(folder)})
                case {"id": 2, "result": {"thread": {"id": thread}}}:
                    words = [{"type": "text", "text": "Hello"}]
                    await send(id=3, method="turn/start", params={"threadId": thread, "input": words})
                case {"method": "turn/completed", "params": {"turn": turn}}:
                    return turn


@pytest.mark.parametrize("host", ["Codex Desktop", "zed", "t3code_desktop"])
async def test_an_app_server_is_a_codex_client_under_any_name(running, tmp_path, host):
    running.load({"output": [{"text": "Hello there."}]})
    turn = await run_turn(make_home(tmp_path, CONFIG.format(address=running.address)), host)
    assert turn["status"] == "completed"
    [asked] = running.asked
    assert {"thread-id", "x-codex-window-id", "x-codex-turn-metadata"} <= set(asked.headers)
    assert "x-codex-installation-id" in asked.body["client_metadata"]
    [listed] = (await running.call("requests.list"))["requests"]
    assert listed["client"].startswith(f"{host}/")
    assert not [loss for loss in listed["losses"] if loss["kind"] == "dropped"]


async def test_without_an_account_it_says_so_at_once(running, tmp_path):
    await running.call("accounts.clear")
    turn = await run_turn(make_home(tmp_path, CONFIG.format(address=running.address)), "Codex Desktop")
    assert turn["status"] == "failed"
    assert "codexctl accounts add" in turn["error"]["message"]


async def test_bodies_in_zstd_are_read(running, tmp_path):
    """It compresses them for OpenAI's own provider with a ChatGPT login."""
    running.load({"output": [{"text": "Unpacked."}]})
    home = make_home(tmp_path, OWN_PROVIDER.format(address=running.address))
    (home / "auth.json").write_text(json.dumps(running.simulator.sign_in()))
    with trio.fail_after(TIMEOUT_S):
        done = await trio.run_process(
            [find_codex(), "exec", "--skip-git-repo-check", "Hello"],
            env=os.environ | {"CODEX_HOME": str(home)},
            cwd=home / "work",
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert "Unpacked." in done.stdout.decode(), done.stderr.decode()
