"""The official Anthropic SDK on codexd."""

from __future__ import annotations

from functools import partial

import anthropic
import pytest
import trio
from support.harness import start_daemon

QUESTION = {"model": "claude-sonnet-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]}
WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


@pytest.fixture
def sdk(running):
    with anthropic.Anthropic(base_url=running.address, api_key="local", max_retries=0) as client:
        yield client


async def in_thread(call, *args, **kwargs):
    return await trio.to_thread.run_sync(partial(call, *args, **kwargs))


async def test_create(running, sdk):
    running.load({"output": [{"text": "Hello."}], "usage": {"input_tokens": 10, "output_tokens": 3}})
    message = await in_thread(sdk.messages.create, **QUESTION)
    assert message.content[0].text == "Hello."
    assert (message.model, message.stop_reason, message.role) == ("claude-sonnet-5-5", "end_turn", "assistant")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 3)
    assert message._request_id.startswith("req_")


async def test_create_with_a_tool(running, sdk):
    running.load({"output": [{"call": {"name": "get_weather", "arguments": {"city": "Bonn"}}}]})
    message = await in_thread(sdk.messages.create, **QUESTION, tools=[WEATHER])
    assert message.stop_reason == "tool_use"
    assert (message.content[0].name, message.content[0].input) == ("get_weather", {"city": "Bonn"})


def stream_all(sdk, **kwargs):
    with sdk.messages.stream(**kwargs) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_message()


async def test_stream_helper_accumulates_what_create_returns(running, sdk):
    reply = {
        "output": [
            {"reasoning": {"summary": ["**One**", "**Two**"]}},
            {"text": "Looking both up."},
            {"call": {"name": "get_weather", "call_id": "call_1", "arguments": {"city": "Bonn"}}},
            {"call": {"name": "get_weather", "call_id": "call_2", "arguments": {"city": "Köln"}}},
        ],
        "interleave": True,
    }
    running.load(reply, then="repeat-last")
    asked = {**QUESTION, "max_tokens": 3000, "tools": [WEATHER], "thinking": {"type": "enabled", "budget_tokens": 1024}}
    kinds, streamed = await in_thread(stream_all, sdk, **asked)
    created = await in_thread(sdk.messages.create, **asked)
    assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert streamed.content[0].thinking == "**One**\n\n**Two**"
    assert [block.input for block in streamed.content[2:]] == [{"city": "Bonn"}, {"city": "Köln"}]
    unlike = {"signature": "", "citations": None}  # each request has ciphertext of its own
    assert [block.to_dict() | unlike for block in created.content] == [
        block.to_dict() | unlike for block in streamed.content
    ]
    assert kinds[-1] == "message_stop"


async def test_count_tokens(running, sdk):
    short = await in_thread(sdk.messages.count_tokens, model="claude-opus-5-5", messages=QUESTION["messages"])
    long = [{"role": "user", "content": "hello world " * 500}]
    assert (await in_thread(sdk.messages.count_tokens, model="claude-opus-5-5", messages=long)).input_tokens >= 1000
    assert short.input_tokens < 30
    assert running.asked == []


async def test_models_list_pages_through_the_catalogue(running, sdk):
    models = await in_thread(lambda: list(sdk.models.list(limit=2)))
    names = [model.id for model in models]
    assert "claude-gpt-5.5" in names
    assert len(names) == len(set(names)) > 4
    one = await in_thread(sdk.models.retrieve, "claude-gpt-5.5")
    assert (one.display_name, one.max_input_tokens, one.lifecycle) == ("GPT-5.5 (Codex)", 272_000, "active")
    assert (one.capabilities.effort.xhigh.supported, one.capabilities.effort.max.supported) == (True, False)
    assert one.capabilities.thinking.types.adaptive.supported
    opus = await in_thread(sdk.models.retrieve, "claude-opus-5-5")
    assert (opus.display_name, opus.line) == ("Opus on gpt-5.5 (Codex)", "opus")
    with pytest.raises(anthropic.NotFoundError):
        await in_thread(sdk.models.retrieve, "claude-gpt-1")


async def test_errors_are_the_sdks_own(running, sdk):
    running.load({"error": {"status": 429, "body": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}})
    with pytest.raises(anthropic.RateLimitError) as caught:
        await in_thread(sdk.messages.create, **QUESTION)
    assert caught.value.request_id.startswith("req_")
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.text: required"):
        await in_thread(
            sdk.messages.create, **{**QUESTION, "messages": [{"role": "user", "content": [{"type": "text"}]}]}
        )
