"""The official OpenAI SDK on codexd: Responses."""

from __future__ import annotations

from functools import partial

import openai
import pytest
import trio
from pydantic import BaseModel
from support.harness import start_daemon

QUESTION = {"model": "gpt-5.5", "input": "hi"}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "strict": True, "parameters": PARAMETERS}


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


@pytest.fixture
def sdk(running):
    with openai.OpenAI(base_url=f"{running.address}/v1", api_key="local", max_retries=0) as client:
        yield client


async def in_thread(call, *args, **kwargs):
    return await trio.to_thread.run_sync(partial(call, *args, **kwargs))


async def test_create(running, sdk):
    running.load(
        {"output": [{"text": "Hello."}], "usage": {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}}
    )
    response = await in_thread(sdk.responses.create, **{**QUESTION, "model": "opus"})
    assert response.output_text == "Hello."
    assert (response.model, response.status, response.error) == ("opus", "completed", None)
    assert (response.usage.input_tokens, response.usage.output_tokens_details.reasoning_tokens) == (10, 0)
    assert response._request_id.startswith("req_")


async def test_a_tool_is_called_and_its_result_given_back(running, sdk):
    running.load(
        {"output": [{"reasoning": {}}, {"call": {"name": "get_weather", "arguments": {"city": "Bonn"}}}]},
        {"output": [{"text": "Sunny."}]},
    )
    asked = {**QUESTION, "tools": [WEATHER], "tool_choice": "required"}
    first = await in_thread(sdk.responses.create, **asked)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Bonn"}')
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    items = [{"role": "user", "content": "hi"}, *first.output, result]
    second = await in_thread(sdk.responses.create, **{**asked, "input": items})
    assert second.output_text == "Sunny."
    sent = running.asked[1].body["input"]
    assert [item["type"] for item in sent] == ["message", "reasoning", "function_call", "function_call_output"]
    assert sent[1]["encrypted_content"] == first.output[0].encrypted_content
    assert (sent[3]["call_id"], sent[3]["output"]) == (call.call_id, "sunny")


def stream_all(sdk, **kwargs):
    with sdk.responses.stream(**kwargs) as stream:
        events = list(stream)
        return events, stream.get_final_response()


async def test_the_stream_helper_accumulates_what_create_returns(running, sdk):
    reply = {
        "output": [
            {"reasoning": {"summary": ["**One**"]}},
            {"text": "Looking both up.", "phase": "commentary"},
            {"call": {"name": "get_weather", "call_id": "call_1", "arguments": {"city": "Bonn"}}},
            {"call": {"name": "get_weather", "call_id": "call_2", "arguments": {"city": "Köln"}}},
        ],
        "interleave": True,
    }
    running.load(reply, then="repeat-last")
    asked = {**QUESTION, "tools": [WEATHER], "reasoning": {"effort": "low", "summary": "auto"}}
    events, streamed = await in_thread(stream_all, sdk, **asked)
    created = await in_thread(sdk.responses.create, **asked)
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")][:3] == [0, 1, 2]
    assert streamed.output_text == created.output_text == "Looking both up."
    assert [item.type for item in streamed.output] == [item.type for item in created.output]
    assert [item.parsed_arguments for item in streamed.output[2:]] == [{"city": "Bonn"}, {"city": "Köln"}]


async def test_parse_with_a_schema(running, sdk):
    running.load({"when": {"output_format": "json_schema"}, "output": [{"text": '{"name": "Ada", "age": 36}'}]})
    response = await in_thread(sdk.responses.parse, **QUESTION, text_format=Person)
    assert response.output_parsed == Person(name="Ada", age=36)
    form = running.asked[0].body["text"]["format"]
    assert (form["name"], form["strict"], form["schema"]["required"]) == ("Person", True, ["name", "age"])


async def test_an_incomplete_answer_says_why(running, sdk):
    running.load({"output": [{"text": "Hel"}], "incomplete": "max_output_tokens"})
    response = await in_thread(sdk.responses.create, **QUESTION)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output_text == "Hel"


async def test_max_output_tokens_cuts_the_answer_in_the_apis_own_form(running, sdk):
    running.load({"output": [{"text": "one two three four five six"}]}, then="repeat-last")
    created = await in_thread(sdk.responses.create, **QUESTION, max_output_tokens=3)
    kinds = await in_thread(
        lambda: [event.type for event in sdk.responses.create(**QUESTION, max_output_tokens=3, stream=True)]
    )
    assert created.output_text == "one two three"
    assert (created.status, created.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert kinds[-3:] == ["response.content_part.done", "response.output_item.done", "response.incomplete"]


async def test_compact_and_input_tokens(running, sdk):
    compacted = await in_thread(sdk.responses.compact, **QUESTION)
    assert compacted.output[-1].type == "compaction"
    # Pydantic would warn of the user's message, which the SDK's own types have no place for.
    history = [item.model_dump(exclude_unset=True, warnings=False) for item in compacted.output]
    items = [*history, {"role": "user", "content": "go"}]
    again = await in_thread(sdk.responses.create, model="gpt-5.5", input=items)
    assert again.status == "completed"
    assert (await in_thread(sdk.responses.input_tokens.count, **QUESTION)).input_tokens < 30


async def test_errors_are_the_sdks_own(running, sdk):
    with pytest.raises(openai.BadRequestError, match="'resp_1' not found") as caught:
        await in_thread(sdk.responses.create, **QUESTION, previous_response_id="resp_1")
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    with pytest.raises(openai.NotFoundError, match="stores responses"):
        await in_thread(sdk.responses.retrieve, "resp_1")
    with pytest.raises(openai.NotFoundError):
        await in_thread(sdk.responses.delete, "resp_1")
    running.load({"error": {"status": 429, "body": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}})
    with pytest.raises(openai.RateLimitError) as limited:
        await in_thread(sdk.responses.create, **QUESTION)
    assert limited.value.request_id.startswith("req_")


@pytest.mark.parametrize("how", ["failed", "both"])
async def test_a_failure_in_the_stream_is_known(running, sdk, how):
    running.load({"output": [{"text": "begun"}], "failed": {"code": "server_error"}, "as": how, "after_items": 1})

    def read():
        return [event.type for event in sdk.responses.create(**QUESTION, stream=True)]

    if how == "failed":
        assert (await in_thread(read))[-1] == "response.failed"
    else:
        with pytest.raises(openai.APIError):
            await in_thread(read)


async def test_a_stream_that_is_cut_ends_in_a_failed_response(running, sdk):
    running.load({"output": [{"text": "begun"}], "cut": "eof"})
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        await in_thread(stream_all, sdk, **QUESTION)
