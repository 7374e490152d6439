"""Vercel's AI SDK on codexd, through each of its providers. Its schemas are strict: they refuse a null out of place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import trio
from support.harness import start_daemon

pytestmark = pytest.mark.client

PACKAGES = Path(__file__).parents[2] / ".ci-clients" / "ai-sdk"
SCRIPT = Path(__file__).with_name("ai_sdk.mjs")
INSTALL = "npm install --prefix .ci-clients/ai-sdk ai @ai-sdk/anthropic @ai-sdk/openai @ai-sdk/openai-compatible"
TIMEOUT_S = 60
PROVIDERS = {
    "anthropic": "/v1",
    "openai-responses": "/v1",
    "openai-chat": "/v1",
    "openai-compatible": "/v1",
}
THOUGHT = {"reasoning": {"summary": ["**Thinking**"]}}
CALL = {"call": {"name": "get_weather", "arguments": {"city": "Bonn"}}}


def find_node() -> str:
    """Node; a test without the packages is skipped, but not in CI, where nothing is skipped for want of a tool."""
    node = shutil.which("node")
    if node is None or not (PACKAGES / "node_modules" / "ai").exists():
        if os.environ.get("CI"):
            pytest.fail(f"the AI SDK is not installed: {INSTALL}")
        pytest.skip(f"the AI SDK is not installed: {INSTALL}")
    return node


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


async def talk(running, provider, mode, *questions):
    """What the user of the SDK sees."""
    command = [find_node(), str(SCRIPT), str(PACKAGES), provider, running.address + PROVIDERS[provider], mode]
    with trio.fail_after(TIMEOUT_S):
        done = await trio.run_process([*command, *questions], capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_two_turns_and_a_tool(running, provider, mode):
    running.load(
        {"output": [THOUGHT, CALL]},
        {"output": [THOUGHT, {"text": "It is sunny."}]},
        {"output": [THOUGHT, {"text": "Still sunny."}]},
    )
    seen = await talk(running, provider, mode, "How is the weather?", "And now?")
    assert seen["asked"] == ["Bonn"]
    assert [(turn["text"], turn["finishReason"]) for turn in seen["turns"]] == [
        ("It is sunny.", "stop"),
        ("Still sunny.", "stop"),
    ]
    assert all(turn["inputTokens"] > 0 for turn in seen["turns"])
    kinds = [item["type"] for item in running.asked[2].body["input"]]
    assert [kind for kind in kinds if kind != "reasoning"] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ]
    # The providers for Chat Completions don't send reasoning back.
    assert kinds.count("reasoning") == {"anthropic": 2, "openai-responses": 2}.get(provider, 0)


CITED = {"type": "url_citation", "url": "https://a.example", "title": None, "start_index": 0, "end_index": 5}
PAGE = {**CITED, "title": "A page"}
SEARCH = {"web_search": {"query": "bonn weather", "sources": ["https://a.example"]}}
DELTA = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hi"}
BARE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": BARE}
ENDED = {"id": "resp_1", "created_at": 1_795_000_000, "model": "gpt-5.5", "status": "completed", "output": []}
COMPLETED = {"type": "response.completed", "response": ENDED}


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"output": [{"text": "plain"}]}, "plain"),
        ({"output": [{"text": "half"}], "incomplete": "max_output_tokens"}, "half"),
        ({"output": [{"text": "first"}, {"text": ", second"}]}, "first, second"),
        ({"output": [SEARCH, {"text": "Sunny.", "annotations": [PAGE]}]}, "Sunny."),
        ({"output": [{"text": "plain"}], "usage": "absent"}, "plain"),
        ({"events": [ADDED, DELTA, DELTA, COMPLETED]}, "HiHi"),
    ],
    ids=["plain", "incomplete", "two-messages", "search", "no-usage", "deltas-only"],
)
async def test_answers_of_every_kind(running, provider, mode, reply, text):
    running.load(reply)
    [turn] = (await talk(running, provider, mode, "Hello"))["turns"]
    assert turn["text"] == text


@pytest.mark.parametrize("mode", ["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_refusal_can_be_read(running, provider, mode):
    running.load({"output": [{"refusal": "I can't."}]})
    assert len((await talk(running, provider, mode, "Hello"))["turns"]) == 1


@pytest.mark.parametrize("mode", ["whole", "stream"])
async def test_a_citation_without_a_title_can_be_read(running, mode):
    running.load({"output": [SEARCH, {"text": "Sunny.", "annotations": [CITED]}]})
    [turn] = (await talk(running, "anthropic", mode, "Hello"))["turns"]
    assert turn["text"] == "Sunny."
