"""Requests in the form of Responses, answered as Chat completions."""

import json

import pytest
from support.bodies import TAG
from support.responses_bodies import FUNCTION, PARAMETERS, call, find_refusal, message, output

from codexd.errors import ContextOverflow, RequestInvalid
from codexd.translation.chat.api import CHAT
from codexd.translation.chat.request import ChatRequest
from codexd.translation.chat.responses_form import ResponsesFormRequest
from codexd.translation.client_api import Client, Target
from codexd.translation.models.catalogue import BUILT_IN

TARGET = Target(BUILT_IN.describe("gpt-5.5"), TAG)
NESTED = {name: value for name, value in FUNCTION.items() if name != "type"}
CURSOR = {
    "model": "gpt-5.5",
    "stream": True,
    "instructions": "You are a coding agent.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "list the files"}]},
        call(),
        output(),
        {"role": "user", "content": "and now?"},
    ],
    "tools": [FUNCTION, {"type": "custom", "name": "apply_patch", "description": "d"}],
    "tool_choice": "auto",
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "text": {"verbosity": "low"},
    "stream_options": {"include_usage": True},
    "user": "u",
}


def read(**fields):
    body = {name: value for name, value in (CURSOR | fields).items() if value is not None}
    return CHAT.parse(json.dumps(body).encode(), {}, Client.OTHER)


def translate(**fields):
    request = read(**fields)
    body = request.to_backend(TARGET)
    assert find_refusal(body) is None
    return body, {loss.path: loss.kind.value for loss in request.losses}


def test_the_request_of_cursor():
    body, lost = translate()
    assert body["instructions"] == "You are a coding agent."
    assert body["input"] == [
        message("user", "list the files"),
        call(),
        output(),
        {"type": "message", "role": "user", "content": "and now?"},
    ]
    assert [tool["type"] for tool in body["tools"]] == ["function", "custom"]
    assert body["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert body["text"] == {"verbosity": "low"}
    assert lost == {"user": "cosmetic"}


@pytest.mark.parametrize(
    ("fields", "sent", "lost"),
    [
        ({"reasoning": None, "reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}, {}),
        ({"text": None, "verbosity": "high"}, {"text": {"verbosity": "high"}}, {}),
        (
            {
                "text": None,
                "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS}},
            },
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": PARAMETERS}, "verbosity": "low"}},
            {},
        ),
        ({"tools": [{"type": "function", "function": NESTED}]}, {}, {}),
        ({"tools": [{"name": "exec_command", "parameters": PARAMETERS}]}, {}, {}),
        ({"tools": None, "functions": [{"name": "exec_command", "parameters": PARAMETERS}]}, {}, {}),
        ({"temperature": 0.5}, {}, {"temperature": "dropped"}),
    ],
)
def test_fields_of_chat_beside_an_input(fields, sent, lost):
    body, found = translate(**fields)
    assert {name: body[name] for name in sent} == sent
    assert body["tools"][0]["name"] == "exec_command"
    assert found == {"user": "cosmetic", **lost}


def test_the_answer_is_a_chat_completion():
    request = read(max_tokens=2, stop="x")
    assert isinstance(request, ResponsesFormRequest)
    assert (request.model, request.stream, request.include_usage, request.stop) == ("gpt-5.5", True, True, ("x",))
    stream = request.open_stream(request.to_backend(TARGET), TARGET, "req_1")
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": "Hi x"}
    chunks = stream.receive_event(delta, now=1.0)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]) == "Hi "


def test_a_whole_answer_has_its_usage():
    request = read(stream=False, stream_options=None)
    stream, whole = request.open_stream(request.to_backend(TARGET), TARGET, "req_1"), CHAT.make_collector()
    ending = {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}
    whole.receive_events(stream.receive_event(ending, now=1.0))
    assert whole.document["usage"]["total_tokens"] == 5


def test_a_full_context_is_one_of_the_input():
    wire = CHAT.to_wire(ContextOverflow("too long"), Client.OTHER, read(), now=0.0)
    assert wire.param == "input"


def test_messages_come_first():
    assert isinstance(read(messages=[{"role": "user", "content": "hi"}], text=None), ChatRequest)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": 3}, "input"),
        ({"stop": 3}, "stop"),
        ({"stream_options": 3}, "stream_options"),
        ({"tools": [{"type": "mcp"}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    ],
)
def test_what_is_wrong_is_named(fields, path):
    with pytest.raises(RequestInvalid) as refused:
        read(**fields)
    assert refused.value.path == path
