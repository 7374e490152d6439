"""``codexctl claude``: the real Claude Code works after it, by the settings file alone, and as before when undone."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from clients.claude_code import Result, make_claude
from support.harness import start_daemon

pytestmark = pytest.mark.client

NOWHERE = "http://127.0.0.1:9"
"""Port 9 is the discard service's; nobody listens."""

TABS = b'{\r\n\t"model": "sonnet",\r\n\t"env": {\r\n\t\t"FOO": "bar"\r\n\t}\r\n}\r\n'


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "daemon")


@pytest.fixture
async def claude(running, tmp_path):
    """Its environment leads nowhere: it can only work by its settings."""
    claude = make_claude(tmp_path, NOWHERE)
    (claude.home / ".claude").mkdir()
    return claude


def settings_of(claude):
    return claude.home / ".claude" / "settings.json"


async def codexctl(running, claude, *arguments, **environ):
    command = [sys.executable, "-m", "codexctl", "--socket", str(running.places.socket), *arguments]
    environ = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **claude._place["env"],
        "PATH": os.pathsep.join([str(Path(claude.program).parent), os.environ["PATH"]]),
        **environ,
    }
    run = partial(trio.run_process, capture_stdout=True, capture_stderr=True, stdin=b"", check=False)
    with trio.fail_after(120):
        done = await run(command, env=environ, cwd=claude.folder)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_it_works_after_claude_proxy_and_all_is_as_before_after_reset(running, claude):
    settings_of(claude).write_bytes(TABS)
    running.load({"output": [{"text": "OK"}]}, {"output": [{"text": "Forty-two."}]})
    done = await codexctl(running, claude, "claude", "proxy")
    assert (done.status, done.stderr) == (0, "")
    assert "It works: gpt-5.5 answered in" in done.stdout
    result = await claude.run("What is the answer?")
    assert (result.status, result.stdout.strip()) == (0, "Forty-two.")
    fields = await running.request_fields()
    assert fields["model"] == "claude-sonnet-5-5"  # the user's own choice, by family
    assert (await codexctl(running, claude, "claude", "reset")).status == 0
    assert settings_of(claude).read_bytes() == TABS
    assert [path.name for path in settings_of(claude).parent.iterdir() if "settings" in path.name] == ["settings.json"]


async def test_claude_run_edits_no_file_and_wins_over_one_that_leads_elsewhere(running, claude):
    elsewhere = {"ANTHROPIC_BASE_URL": NOWHERE, "ANTHROPIC_API_KEY": "sk-ant-1", "ANTHROPIC_MODEL": "glm-4.6"}
    settings_of(claude).write_text(json.dumps({"env": elsewhere}))
    before = settings_of(claude).read_bytes()
    running.load({"output": [{"text": "Forty-two."}]})
    done = await codexctl(running, claude, "claude", "run", "-p", "What is the answer?", CLAUDE_CODE_USE_BEDROCK="1")
    assert (done.status, done.stdout.strip()) == (0, "Forty-two.")
    assert (await running.request_fields())["model"] == "claude-opus-5-5"
    assert settings_of(claude).read_bytes() == before


async def test_claude_run_passes_options_and_the_status_on(running, claude):
    done = await codexctl(running, claude, "claude", "run", "--version")
    assert (done.status, done.stdout.strip().endswith("(Claude Code)")) == (0, True)
    assert (await codexctl(running, claude, "claude", "run", "--no-such-option")).status == 1


async def test_a_compaction_comes_in_time_for_the_models_window(running, claude):
    """Claude Code itself says which window it works with."""
    running.load({"output": [{"text": "OK"}]}, {"output": [{"text": "Hello."}]})
    assert (await codexctl(running, claude, "claude", "proxy")).status == 0
    log = claude.folder / "debug.txt"
    result = await claude.run("hi", "--debug-file", str(log))
    assert result.status == 0
    assert "252000" in log.read_text()  # the window, less the 20,000 tokens that it keeps for an answer
