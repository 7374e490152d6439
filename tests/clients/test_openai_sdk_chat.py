"""Chat Completions with the official OpenAI SDK on codexd."""

from __future__ import annotations

import json
from functools import partial

import openai
import pytest
import trio
from pydantic import BaseModel
from support.harness import start_daemon

from codexd.web.exchange import Timing

QUESTION = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "hi"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TWO_CALLS = {
    "output": [
        {"reasoning": {"summary": ["**One**", "**Two**"]}},
        {"text": "Looking both up."},
        {"call": {"name": "get_weather", "call_id": "call_1", "arguments": {"city": "Bonn"}}},
        {"call": {"name": "get_weather", "call_id": "call_2", "arguments": {"city": "Köln"}}},
    ],
    "interleave": True,
}


class Place(BaseModel):
    city: str
    people: int | None


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=0.2, ping_after_s=0.1))


@pytest.fixture
def sdk(running):
    with openai.OpenAI(base_url=f"{running.address}/v1", api_key="local", max_retries=0) as client:
        yield client


async def in_thread(call, *args, **kwargs):
    return await trio.to_thread.run_sync(partial(call, *args, **kwargs))


async def test_create(running, sdk):
    running.load({"output": [{"text": "Hello."}], "usage": {"input_tokens": 10, "output_tokens": 3}})
    completion = await in_thread(sdk.chat.completions.create, **QUESTION)
    assert completion.choices[0].message.content == "Hello."
    assert (completion.model, completion.choices[0].finish_reason) == ("gpt-5.5", "stop")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (10, 3)
    assert completion._request_id.startswith("req_")


async def test_stream(running, sdk):
    running.load({"output": [{"text": "Hello there."}]})
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = await in_thread(lambda: list(sdk.chat.completions.create(**QUESTION, **options)))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello there."
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


async def test_parallel_calls_streamed_are_those_created(running, sdk):
    running.load(TWO_CALLS, then="repeat-last")
    asked = {**QUESTION, "tools": [WEATHER], "reasoning_effort": "low"}
    created = await in_thread(sdk.chat.completions.create, **asked)

    def stream_all():
        with sdk.chat.completions.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            return kinds, stream.get_final_completion()

    kinds, streamed = await in_thread(stream_all)
    calls = streamed.choices[0].message.tool_calls
    assert [call.function.parsed_arguments for call in calls] == [{"city": "Bonn"}, {"city": "Köln"}]
    assert streamed.choices[0].finish_reason == created.choices[0].finish_reason == "tool_calls"
    assert kinds.count("tool_calls.function.arguments.done") == 2
    plain = [{"id": call.id, "arguments": call.function.arguments} for call in calls]
    assert plain == [
        {"id": call.id, "arguments": call.function.arguments} for call in created.choices[0].message.tool_calls
    ]
    assert streamed.choices[0].message.content == created.choices[0].message.content == "Looking both up."
    assert streamed.choices[0].message.reasoning_content == "**One**\n\n**Two**"


async def test_a_turn_with_tools_goes_on(running, sdk):
    running.load(TWO_CALLS, {"output": [{"text": "Rain."}]})
    asked = {"model": "gpt-5.5", "tools": [WEATHER], "reasoning_effort": "low"}
    message = (await in_thread(sdk.chat.completions.create, **asked, messages=QUESTION["messages"])).choices[0].message
    words = {"call_1": "rain", "call_2": "sun"}
    results = [{"role": "tool", "tool_call_id": id_, "content": word} for id_, word in words.items()]
    history = [*QUESTION["messages"], message, *results]
    second = await in_thread(sdk.chat.completions.create, **asked, messages=history)
    assert second.choices[0].message.content == "Rain."
    items = running.asked[1].body["input"]
    kinds = ["message", "reasoning", "message", *["function_call"] * 2, *["function_call_output"] * 2]
    assert [item["type"] for item in items] == kinds
    assert {item["call_id"]: item["output"] for item in items[-2:]} == words
    assert [json.loads(item["arguments"])["city"] for item in items[3:5]] == ["Bonn", "Köln"]


async def test_parse_gives_an_object_of_the_schema(running, sdk):
    running.load({"output": [{"text": json.dumps({"city": "Bonn", "people": 331_000})}]})
    completion = await in_thread(sdk.chat.completions.parse, **QUESTION, response_format=Place)
    assert completion.choices[0].message.parsed == Place(city="Bonn", people=331_000)
    form = running.asked[0].body["text"]["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", "Place", True)
    assert form["schema"]["required"] == ["city", "people"]
    assert form["schema"]["properties"]["people"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]


async def test_a_stream_is_parsed_into_an_object_of_the_schema(running, sdk):
    running.load({"when": {"output_format": "json_schema"}, "output": [{"text": '{"city": "Bonn", "people": null}'}]})

    def stream_all():
        with sdk.chat.completions.stream(**QUESTION, response_format=Place) as stream:
            return stream.get_final_completion()

    assert (await in_thread(stream_all)).choices[0].message.parsed == Place(city="Bonn", people=None)


async def test_a_refusal(running, sdk):
    running.load({"output": [{"refusal": "I can't help with that."}]})
    message = (await in_thread(sdk.chat.completions.create, **QUESTION)).choices[0].message
    assert (message.content, message.refusal) == (None, "I can't help with that.")


async def test_citations(running, sdk):
    cited = {"type": "url_citation", "url": "https://example.com", "title": "E", "start_index": 0, "end_index": 4}
    running.load({"output": [{"text": "Rain.", "annotations": [cited]}]}, then="repeat-last")
    asked = {**QUESTION, "web_search_options": {}}
    message = (await in_thread(sdk.chat.completions.create, **asked)).choices[0].message
    assert message.annotations[0].url_citation.url == "https://example.com"

    def stream_all():
        with sdk.chat.completions.stream(**asked) as stream:
            return stream.get_final_completion()

    streamed = (await in_thread(stream_all)).choices[0].message
    assert streamed.annotations[0].url_citation.title == "E"


async def test_pings_are_no_chunks(running, sdk):
    running.load({"hold": "thinking", "output": [{"text": "at last"}]})
    texts = []

    def read():
        for chunk in sdk.chat.completions.create(**QUESTION, stream=True):
            texts.extend(choice.delta.content or "" for choice in chunk.choices)

    async with trio.open_nursery() as reading:
        reading.start_soon(trio.to_thread.run_sync, read)
        with trio.fail_after(10):
            while not running.asked:
                await trio.sleep(0.01)
        await trio.sleep(0.5)
        running.simulator.release("thinking")
    assert "".join(texts) == "at last"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            {"error": {"status": 429, "body": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}},
            openai.RateLimitError,
        ),
        ({"failed": {"code": "context_length_exceeded", "message": "too long"}}, openai.BadRequestError),
        ({"failed": {"code": "server_error", "message": "oops"}}, openai.InternalServerError),
    ],
)
async def test_errors_are_the_sdks_own(running, sdk, reply, error):
    running.load(reply)
    with pytest.raises(error) as caught:
        await in_thread(sdk.chat.completions.create, **QUESTION)
    assert caught.value.request_id.startswith("req_")
    assert caught.value.code == (reply.get("failed") or {"code": "rate_limit_exceeded"})["code"]


async def test_a_bad_field_is_named(sdk):
    with pytest.raises(openai.BadRequestError) as caught:
        await in_thread(sdk.chat.completions.create, **QUESTION, n=2)
    assert caught.value.param == "n"


async def test_a_failure_in_the_stream_is_raised(running, sdk):
    running.load(
        {"output": [{"text": "begun"}], "failed": {"code": "server_error", "message": "oops"}, "after_items": 1}
    )
    texts = []

    def read():
        for chunk in sdk.chat.completions.create(**QUESTION, stream=True):
            texts.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError, match="oops"):
        await in_thread(read)
    assert "".join(texts) == "begun"
