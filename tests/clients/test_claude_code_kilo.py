"""The real Claude Code on the third-party route: a turn with a tool, and what its user sees before opting in."""

from __future__ import annotations

import pytest
from clients.claude_code import make_claude
from support.harness import start_daemon

MARK = "kilo-was-here"


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "codexd")


def chats(running):
    return [request for request in running.simulator.requests if request.path == "/api/openrouter/chat/completions"]


async def test_a_tool_turn(running, tmp_path):
    await running.call("settings.set", name="kilo.enabled", value=True)
    call = {"name": "Bash", "arguments": f'{{"command":"echo {MARK}","description":"Say it"}}'}
    running.simulator.kilo.load({"reasoning": "Hm.", "text": "I run it.", "calls": [call]}, {"text": "It said so."})
    done = await make_claude(tmp_path, running.address).run("--model", "kilo", "run the command")
    assert (done.status, done.stdout.strip()) == (0, "It said so.")
    results = [message for message in chats(running)[1].body["messages"] if message["role"] == "tool"]
    assert MARK in results[0]["content"]
    assert running.asked == []


async def test_before_opting_in_the_user_is_told_how_at_once(running, tmp_path):
    done = await make_claude(tmp_path, running.address).run("--model", "kilo", "hello")
    assert done.status == 1
    assert "codexctl settings set kilo.enabled true" in done.stdout
    assert chats(running) == []
    assert running.asked == []
