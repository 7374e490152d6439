"""The real clients in the middle of a turn while codexd restarts: their users don't notice it."""

from __future__ import annotations

import pytest
import trio
from clients.claude_code import make_claude
from clients.codex_cli import find_codex
from clients.test_codex_cli_responses import CONFIG, Codex
from support.daemon_process import open_daemon

pytestmark = pytest.mark.client

HELD = {"output": [{"text": "This is the beginning of"}], "hold": "for good", "after_events": 5}
"""A turn that outlasts the drain."""

WHOLE = {"output": [{"text": "Whole after the restart."}]}


def turns_of(daemon):
    return [each for each in daemon.simulator.requests if each.path.endswith("/codex/responses")]


async def restart_during(daemon, first, run):
    """Run a client, and restart as soon as its turn of the prompt ``first`` has begun; what the client said."""
    said = []

    async def talk():
        said.append(await run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        with trio.fail_after(60):
            while not any(first in str(each.body) for each in turns_of(daemon)):
                await trio.sleep(0.01)
        old = await daemon.read_pid()
        status, _, error = await daemon.codexctl("restart")
        assert status == 0, error
        assert await daemon.read_pid() != old
    return said[0]


async def test_claude_code(tmp_path):
    async with open_daemon(tmp_path / "daemon", drain_s=0.5) as daemon:
        claude = make_claude(tmp_path, daemon.address)
        daemon.simulator.load({"replies": [HELD, WHOLE], "then": "agent"})
        result = await restart_during(daemon, "Restart now", lambda: claude.run("Restart now."))
        assert (result.status, result.stdout.strip()) == (0, "Whole after the restart.")
        assert len(turns_of(daemon)) == 2


async def test_codex_cli(tmp_path):
    async with open_daemon(tmp_path / "daemon", drain_s=0.5) as daemon:
        home = tmp_path / "codex"
        (home / "work").mkdir(parents=True)
        (home / "config.toml").write_text(CONFIG.format(model="gpt-5.5", address=daemon.address, more=""))
        codex = Codex(find_codex(), home)
        daemon.simulator.load({"replies": [HELD, WHOLE], "then": "agent"})
        out, _ = await restart_during(daemon, "Restart now", lambda: codex.run("Restart now."))
        assert out.strip().endswith("Whole after the restart.")
        assert len(turns_of(daemon)) == 2
