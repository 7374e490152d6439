"""POST /v1/chat/completions against the strict simulated backend, over real sockets."""

from __future__ import annotations

import json
from functools import partial

import httpx
import pytest
import trio
from support.bodies import PNG
from support.chat_bodies import ask, assistant, function, tool, user
from support.chunks import deltas_of, finish_of
from support.harness import hang_up, post, start_daemon

from codexd.simulator.options import Options
from codexd.simulator.wire import Outcome
from codexd.translation.reading.tool_names import shorten
from codexd.web.exchange import Timing

chat = partial(post, path="/v1/chat/completions")
STREAMED = ask(stream=True)


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=10.0, ping_after_s=0.1))


@pytest.fixture
async def running_hastily(nursery, tmp_path):
    """The status line waits for a moment only, so that pings can be seen before the first event."""
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=0.2, ping_after_s=0.1))


def read_frames(text):
    """The data of a stream's frames; comments are left out, and nothing else may be there."""
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [frame.removeprefix("data: ") for frame in frames]


def read_chunks(text):
    *chunks, end = read_frames(text)
    assert end == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def content_of(chunks):
    return "".join(delta.get("content", "") for delta in deltas_of(chunks))


async def test_an_answer_is_one_completion(running):
    running.load({"output": [{"text": "Hello there."}], "usage": {"input_tokens": 10, "output_tokens": 3}})
    response = await chat(running, ask(model="claude-sonnet-5-5"))
    answer = response.json()
    assert response.status_code == 200
    assert (answer["object"], answer["model"]) == ("chat.completion", "claude-sonnet-5-5")
    assert answer["choices"][0]["message"]["content"] == "Hello there."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 13
    assert answer["id"] == response.headers["x-request-id"].replace("req_", "chatcmpl-")
    assert running.asked[0].body["model"] == "gpt-5.5"


async def test_a_whole_answer_to_the_form_of_responses_has_its_usage(running):
    running.load({"output": [{"text": "Hello."}], "usage": {"input_tokens": 10, "output_tokens": 3}})
    answer = (await chat(running, {"model": "gpt-5.5", "input": "hi"})).json()
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert answer["usage"]["total_tokens"] == 13


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_streamed_answer(running, include_usage):
    running.load({"output": [{"text": "Hello there."}]})
    response = await chat(running, {**STREAMED, "stream_options": {"include_usage": include_usage}})
    chunks = read_chunks(response.text)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert content_of(chunks) == "Hello there."
    assert finish_of(chunks) == "stop"
    assert ("usage" in chunks[-1]) is include_usage
    assert (chunks[-1]["choices"] == []) is include_usage


async def test_parallel_calls_and_their_results(running):
    calls = [{"call": {"name": name, "arguments": {"command": name * 30}}} for name in ("first", "second")]
    running.load({"output": calls, "interleave": True}, {"output": [{"text": "both"}]})
    tools = [function(name) for name in ("first", "second")]
    response = await chat(running, {**STREAMED, "tools": tools})
    entries = [entry for delta in deltas_of(read_chunks(response.text)) for entry in delta.get("tool_calls", ())]
    arguments = ["".join(entry["function"]["arguments"] for entry in entries if entry["index"] == at) for at in (0, 1)]
    assert [json.loads(text) for text in arguments] == [{"command": "first" * 30}, {"command": "second" * 30}]
    whole = [
        {**entry, "function": {**entry["function"], "arguments": arguments[entry["index"]]}}
        for entry in entries
        if "id" in entry
    ]
    history = [user("hi"), assistant(None, *whole), *(tool(call["id"], "ok") for call in whole)]
    answer = (await chat(running, ask(*history, tools=tools))).json()
    assert answer["choices"][0]["message"]["content"] == "both"
    kinds = [item["type"] for item in running.asked[1].body["input"]]
    assert kinds == ["message", "function_call", "function_call", "function_call_output", "function_call_output"]


async def test_a_custom_call_and_its_result(running):
    running.load({"output": [{"custom_call": {"name": "patch", "input": '*** "raw"'}}]}, {"output": [{"text": "done"}]})
    tools = [{"type": "custom", "custom": {"name": "patch"}}]
    message = (await chat(running, ask(tools=tools))).json()["choices"][0]["message"]
    assert message["tool_calls"][0]["custom"] == {"name": "patch", "input": '*** "raw"'}
    history = [user("hi"), message, tool(message["tool_calls"][0]["id"], "ok")]
    assert (await chat(running, ask(*history, tools=tools))).status_code == 200
    kinds = [item["type"] for item in running.asked[1].body["input"]]
    assert kinds == ["message", "custom_tool_call", "custom_tool_call_output"]


async def test_functions_are_answered_in_the_old_form(running):
    running.load({"output": [{"call": {"name": "f", "arguments": {"a": 1}}}]}, {"output": [{"text": "done"}]})
    functions = [{"name": "f", "parameters": {"type": "object", "properties": {}}}]
    choice = (await chat(running, ask(functions=functions))).json()["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["finish_reason"] == "function_call"
    history = [user("hi"), choice["message"], {"role": "function", "name": "f", "content": "ok"}]
    assert (await chat(running, ask(*history, functions=functions))).status_code == 200


async def test_reasoning_makes_the_round_trip(running):
    running.load({"output": [{"reasoning": {"summary": ["**Plan**"]}}, {"call": {"name": "f", "call_id": "call_1"}}]})
    asked = {"tools": [function("f")], "reasoning_effort": "low"}
    message = (await chat(running, ask(**asked))).json()["choices"][0]["message"]
    assert message["reasoning_content"] == "**Plan**"
    answer = await chat(running, ask(user("hi"), message, tool(), **asked))
    assert answer.status_code == 200
    assert "codexd-losses" not in answer.headers
    items = running.asked[1].body["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "function_call", "function_call_output"]
    assert items[1]["encrypted_content"].startswith("gAAAA")


async def test_stale_reasoning_is_left_out_and_sent_again(running):
    running.load(
        {"output": [{"reasoning": {"encrypted": "gAAAAforeign"}}, {"text": "one"}]}, {"output": [{"text": "two"}]}
    )
    message = (await chat(running, ask(reasoning_effort="low"))).json()["choices"][0]["message"]
    answer = await chat(running, ask(user("hi"), message, user("go")))
    assert answer.json()["choices"][0]["message"]["content"] == "two"
    assert [request.status for request in running.asked] == [200, 400, 200]


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the body is not JSON", None),
        (b"[1]", "the body must be a JSON object", None),
        ({**ask(), "model": None}, "model: required", "model"),
        ({**ask(), "messages": []}, "messages: at least one message is required", "messages"),
        pytest.param(ask(n=2), "n: must be 1; the backend gives one answer", "n", id="two-answers"),
        (ask(logprobs=True), "logprobs: is not supported: the backend has no log probabilities", "logprobs"),
        (ask(user([{"type": "text"}])), "messages[0].content[0].text: required", "messages[0].content[0].text"),
    ],
)
async def test_bad_input_gets_a_400_that_names_the_field(running, body, message, param):
    response = await chat(running, body)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", None, param)
    assert message in error["message"]
    assert running.asked == []


async def test_a_get_is_refused_in_openais_shape(running):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        response = await client.get("/v1/chat/completions")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_supported")


USAGE_LIMIT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}
OVERFLOW = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}


@pytest.mark.parametrize(
    ("reply", "status", "kind", "code", "headers"),
    [
        (
            {"error": {"status": 429, "body": {"error": USAGE_LIMIT}}},
            429,
            "usage_limit_reached",
            "usage_limit_reached",
            {"x-should-retry": "false", "retry-after": "3600"},
        ),
        (
            {
                "error": {
                    "status": 429,
                    "body": {"error": {"code": "rate_limit_exceeded", "message": "Please try again in 11.054s."}},
                }
            },
            429,
            "rate_limit_error",
            "rate_limit_exceeded",
            {"retry-after": "12"},
        ),
        ({"failed": OVERFLOW}, 400, "invalid_request_error", "context_length_exceeded", {}),
        (
            {"failed": {"code": "server_is_overloaded", "message": "busy"}, "as": "both"},
            503,
            "server_error",
            "server_is_overloaded",
            {},
        ),
        ({"failed": {"code": "server_error", "message": "oops"}}, 502, "server_error", "server_error", {}),
        ({"error": {"status": 502, "body": "<html>Bad gateway</html>"}}, 502, "server_error", "server_error", {}),
        ({"cut": "eof", "after_events": 2}, 502, "server_error", "stream_disconnected", {}),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_before_the_first_content_are_http_errors(running, reply, status, kind, code, headers, stream):
    running.load(reply)
    response = await chat(running, ask(stream=stream))
    error = response.json()["error"]
    assert response.status_code == status
    assert (error["type"], error["code"]) == (kind, code)
    assert "<html>" not in response.text
    assert response.headers["x-request-id"] == response.headers["request-id"]
    for name, value in headers.items():
        assert response.headers[name] == value


async def test_a_failure_after_content_is_one_last_frame_without_an_end_mark(running):
    failed = {"code": "server_error", "message": "oops"}
    running.load({"output": [{"text": "begun"}], "failed": failed, "as": "both", "after_items": 1})
    response = await chat(running, STREAMED)
    *chunks, last = map(json.loads, read_frames(response.text))
    assert response.status_code == 200
    assert content_of(chunks) == "begun"
    assert last == {"error": {"message": "oops", "type": "server_error", "param": None, "code": "server_error"}}


async def test_silence_is_filled_with_comments(running_hastily):
    running_hastily.load({"hold": "thinking", "output": [{"text": "at last"}]})
    seen = b""
    async with httpx.AsyncClient(base_url=running_hastily.address, trust_env=False) as client:
        async with client.stream("POST", "/v1/chat/completions", json=STREAMED) as response:
            async for data in response.aiter_raw():
                seen += data
                if seen.count(b": ping\n") == 2:
                    running_hastily.simulator.release("thinking")
    assert seen.startswith(b": ping\n: ping\n")
    assert content_of(read_chunks(seen.decode())) == "at last"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_ends_the_upstream_request(running, stream):
    running.load({"output": [{"text": "begun"}], "hold": "for ever", "after_items": 1 if stream else 0})
    assert await hang_up(running, ask(stream=stream), "/v1/chat/completions") is Outcome.CUT_BY_CLIENT


async def test_a_stop_ends_the_answer_and_the_upstream_request(running):
    running.load({"output": [{"text": "one two END three"}], "hold": "for ever", "after_items": 1})
    chunks = read_chunks((await chat(running, {**STREAMED, "stop": "END"})).text)
    assert (content_of(chunks), finish_of(chunks)) == ("one two ", "stop")
    with trio.fail_after(1):
        await running.asked[0].ended.wait()


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_token_limit_cuts_the_answer(running, name):
    running.load({"output": [{"text": "word " * 500}]})
    choice = (await chat(running, ask(**{name: 10}))).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert 20 < len(choice["message"]["content"]) < 80


async def test_an_empty_answer_is_asked_for_again_and_then_an_error(running):
    running.load({"output": []}, {"output": [{"text": "now"}]}, {"output": [], "times": 2})
    assert (await chat(running, ask())).json()["choices"][0]["message"]["content"] == "now"
    assert (await chat(running, ask())).status_code == 502
    assert len(running.asked) == 4


async def test_an_empty_answer_to_a_tool_result_is_a_message_without_content(running):
    running.load({"output": [], "times": 2})
    call = {"id": "c", "type": "function", "function": {"name": "run", "arguments": "{}"}}
    messages = [
        user("go"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    choice = (await chat(running, ask(*messages))).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
    assert (await chat(running, ask(*messages, stream=True))).status_code == 200
    assert len(running.asked) == 2


LOSSY = ask(user([{"type": "text", "text": "hi"}, {"type": "reasoning", "text": "x"}]), seed=5, user="me")


@pytest.mark.parametrize("stream", [True, False])
async def test_losses_are_counted_in_a_header_and_listed_with_the_request(running, stream):
    response = await chat(running, {**LOSSY, "stream": stream})
    assert response.status_code == 200
    assert response.headers["codexd-losses"] == "2"
    (request,) = (await running.call("requests.list"))["requests"]
    losses = {loss["path"]: loss["kind"] for loss in request["losses"]}
    assert losses == {"seed": "dropped", "user": "cosmetic", "messages[0].content[1]": "approximated"}


async def test_strict_translation_refuses_what_it_would_drop(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_TRANSLATION_STRICT": "true"})
    response = await chat(running, LOSSY)
    assert response.status_code == 400
    assert "translation.strict" in response.json()["error"]["message"]
    assert (await chat(running, ask(user="me"))).status_code == 200


async def test_the_agent_of_the_simulator_answers_in_json(running):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    content = (await chat(running, ask(response_format=wanted))).json()["choices"][0]["message"]["content"]
    assert set(json.loads(content)) == {"city"}
    assert (await chat(running, ask(response_format={"type": "json_object"}))).status_code == 200


async def test_an_overflow_is_openais(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(context_window_tokens=500))
    response = await chat(running, ask(user("word " * 5000)))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")


LONG = "mcp__a_server_with_a_long_name__" + "x" * 60


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "called",
    [
        {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": LONG, "arguments": "{}"}}]},
        {"function_call": {"name": LONG, "arguments": "{}"}},
    ],
    ids=["tool-calls", "function-call"],
)
async def test_a_short_name_that_only_the_history_has_is_restored(running, stream, called):
    running.load({"output": [{"call": {"name": shorten(LONG), "call_id": "c2"}}]})
    answered = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
    if "function_call" in called:
        answered = {"role": "function", "name": LONG, "content": "ok"}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, **called}, answered]
    answer = await post(running, {"model": "gpt-5.5", "stream": stream, "messages": messages}, "/v1/chat/completions")
    assert f'"name":"{LONG}"' in answer.text
    assert shorten(LONG) not in answer.text


# -- images and files -------------------------------------------------------------------------------

NO_URL = "must be a base64 data URL or start with https://; the backend loads no other URLs"
IMAGE_WORDS = "The image data you provided does not represent a valid image. "


@pytest.mark.parametrize(
    ("part", "message", "param"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG[:100]}"}},
            f"{IMAGE_WORDS}messages[0].content[1].image_url.url: is broken or cut off",
            "messages[0].content[1].image_url.url",
        ),
        (
            {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}},
            f"{IMAGE_WORDS}messages[0].content[1].image_url.url: {NO_URL}",
            "messages[0].content[1].image_url.url",
        ),
        (
            {"type": "file", "file": {"file_data": "UEs=", "filename": "a.pdf"}},
            "messages[0].content[1].file.file_data: is not a PDF",
            "messages[0].content[1].file.file_data",
        ),
    ],
)
async def test_what_no_model_could_read_is_refused_in_openais_words(running, part, message, param):
    response = await chat(running, ask(user([{"type": "text", "text": "Look."}, part])))
    assert response.status_code == 400
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": "invalid_value"}
    assert response.json() == {"error": error}
    assert running.asked == []


async def test_an_image_that_the_backend_refuses_has_the_clients_path(running):
    refusal = {"message": "No.", "type": "invalid_request_error", "param": "input[1].content[0].image_url"}
    running.load({"error": {"status": 400, "body": {"error": refusal}}})
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    messages = [{"role": "system", "content": "s"}, user([image, {"type": "text", "text": "Look."}])]
    error = (await chat(running, ask(*messages))).json()["error"]
    assert (error["message"], error["param"]) == ("No.", "messages[1].content[0]")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_in_the_form_of_responses_is_answered_as_chat(running, stream):
    running.load({"output": [{"call": {"name": "run", "arguments": {"cmd": "ls"}}}]})
    tool = {"type": "function", "name": "run", "parameters": {"type": "object", "properties": {}}}
    items = [{"role": "user", "content": [{"type": "input_text", "text": "list the files"}]}]
    response = await chat(
        running, {"model": "gpt-5.5", "instructions": "I", "input": items, "tools": [tool], "stream": stream}
    )
    assert response.status_code == 200
    if stream:
        chunks = read_chunks(response.text)
        assert finish_of(chunks) == "tool_calls"
    else:
        [choice] = response.json()["choices"]
        assert choice["message"]["tool_calls"][0]["function"] == {"name": "run", "arguments": '{"cmd":"ls"}'}
    assert running.asked[0].body["instructions"] == "I"


async def test_the_real_question_reaches_the_backend(running):
    """It did not while its part had a name of another API."""
    parts = [{"type": "input_text", "text": "the real question"}]
    assert (await chat(running, ask(user(parts)))).status_code == 200
    assert running.asked[0].body["input"][-1]["content"] == parts
    refused = await chat(running, ask(user([{"type": "hologram", "text": "the real question"}])))
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "messages[0].content[0].type")
    assert "send text, an image or a file" in error["message"]
