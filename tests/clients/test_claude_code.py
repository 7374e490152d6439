"""The real Claude Code on codexd, against scripted answers of the backend."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from clients.claude_code import make_claude
from support.harness import start_daemon

from codexd.translation.reading.tool_names import shorten

pytestmark = pytest.mark.client

SCRIPTS = Path(__file__).parent / "scripts"
RED_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "daemon")


@pytest.fixture
async def claude(running, tmp_path):
    return make_claude(tmp_path, running.address)


def load(running, name, **replaced):
    text = (SCRIPTS / f"{name}.json").read_text()
    for mark, value in replaced.items():
        text = text.replace(f"@{mark.upper()}@", value)
    running.simulator.load(text)


def items_of(running, index, kind):
    return [item for item in running.asked[index].body["input"] if item["type"] == kind]


async def test_a_plain_answer(running, claude):
    load(running, "plain")
    result = await claude.run("What is the answer?")
    assert (result.status, result.stdout.strip()) == (0, "Forty-two.")
    fields = await running.request_fields()
    assert fields["client"].startswith("claude-cli/")
    assert fields["model_used"] == "gpt-5.5"


async def test_it_runs_a_tool_and_the_result_goes_back(running, claude):
    load(running, "bash")
    result = await claude.run("Find the number.")
    assert (result.status, result.stdout.strip()) == (0, "The number was 42.")
    (output,) = items_of(running, 1, "function_call_output")
    assert (output["call_id"], output["output"]) == ("call_pwd", "out-of-42")


async def test_it_runs_two_tools_of_one_reply(running, claude):
    load(running, "two_tools")
    result = await claude.run("Do both.")
    assert (result.status, result.stdout.strip()) == (0, "Both are done.")
    outputs = {item["call_id"]: item["output"] for item in items_of(running, 1, "function_call_output")}
    assert outputs == {"call_one": "first-2", "call_two": "second-4"}


ODD_TOOL = "mcp__odd__find_" + "very_" * 12 + "long"


async def test_a_tool_with_a_schema_and_a_name_that_the_backend_refuses(running, claude, tmp_path):
    """The backend refuses neither turn, and calls come back under the long name: deferred, loaded, in the history."""
    server = {"command": sys.executable, "args": [str(SCRIPTS / "odd_tool_server.py")]}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"odd": server}}))
    call = {"name": shorten(ODD_TOOL), "arguments": {"name": "a"}}
    running.load(
        {"output": [{"call": {"name": "ToolSearch", "call_id": "c0", "arguments": {"query": f"select:{ODD_TOOL}"}}}]},
        {"output": [{"call": {**call, "call_id": "c1"}}]},
        {"output": [{"call": {**call, "call_id": "c2"}}]},
        {"output": [{"text": "Found."}]},
    )
    result = await claude.run("Find it.", "--mcp-config", str(config), "--strict-mcp-config")
    assert (result.status, result.stdout.strip()) == (0, "Found.")
    outputs = {item["call_id"]: item["output"] for item in items_of(running, 3, "function_call_output")}
    assert outputs["c1"] == outputs["c2"] == "found-by-the-odd-tool"
    (sent,) = [tool for tool in running.asked[3].body["tools"] if tool["name"] == shorten(ODD_TOOL)]
    assert "Must match the regular expression" in sent["parameters"]["properties"]["name"]["description"]


async def test_an_image_that_it_reads_reaches_the_backend(running, claude):
    (claude.folder / "red.png").write_bytes(RED_PIXEL)
    load(running, "image", folder=str(claude.folder))
    result = await claude.run("What colour is red.png?")
    assert (result.status, result.stdout.strip()) == (0, "It is red.")
    (output,) = items_of(running, 1, "function_call_output")
    images = [part for part in output["output"] if part["type"] == "input_image"]
    assert images[0]["image_url"].startswith("data:image/")


async def test_thinking_comes_back_as_the_same_encrypted_reasoning(running, claude):
    load(running, "thinking")
    assert (await claude.run("Think.")).stdout.strip() == "Thought through."
    (reasoning,) = items_of(running, 1, "reasoning")
    kinds = [item["type"] for item in running.asked[1].body["input"]]
    assert kinds.index("reasoning") + 1 == kinds.index("function_call")
    assert (await claude.run("--continue", "And now?")).stdout.strip() == "Still remembered."
    later = items_of(running, 2, "reasoning")
    assert later[0] == reasoning
    assert len(later) == 2
    assert [request.status for request in running.asked] == [200, 200, 200]


async def test_a_used_up_plan_stops_it_at_once_with_the_reset_time(running, claude):
    load(running, "usage_limit")
    result = await claude.run("Hello")
    assert result.status == 1
    assert "The usage limit has been reached" in result.stdout + result.stderr
    assert re.search(r"available again in 2 h 0 min|in 1 h 60 min", result.stdout + result.stderr)
    assert len(running.asked) == 1


async def test_an_expired_token_is_refreshed_without_the_user_noticing(running, claude):
    await running.let_token_expire()
    load(running, "plain")
    result = await claude.run("What is the answer?")
    assert (result.status, result.stdout.strip()) == (0, "Forty-two.")
    assert running.refreshes == 1


async def test_it_compacts_after_a_context_overflow(running, claude):
    load(running, "overflow")
    assert (await claude.run("The first question")).stdout.strip() == "The first answer."
    assert (await claude.run("--continue", "The second question")).stdout.strip() == "The second answer."
    result = await claude.run("--continue", "The third question")
    assert (result.status, result.stdout.strip()) == (0, "The third answer.")
    assert "They talked about numbers." in json.dumps(running.asked[-1].body)
    assert [request.status for request in running.asked] == [200, 200, 400, 200, 200]


async def test_on_codexd_simulate_it_runs_a_tool(tmp_path):
    """The program as a newcomer starts it."""
    command = [sys.executable, "-m", "codexd", "--simulate", "--port", "0"]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, check=False, stdout=-1, stderr=-1))
        greeting = b""
        while b"logs -f" not in greeting:
            greeting += await process.stdout.receive_some()
        address = re.search(rb"listens on (http://\S+)", greeting)[1].decode()
        claude = make_claude(tmp_path, address)
        (claude.folder / "treasure-map.txt").touch()
        result = await claude.run("Please list the files here.")
        process.terminate()
    assert result.status == 0
    assert "treasure-map.txt" in result.stdout
    assert process.returncode == 0
