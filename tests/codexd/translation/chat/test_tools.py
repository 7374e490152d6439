"""Tools and tool choice of Chat requests."""

import pytest
from support.bodies import CLOSED, check_accepted
from support.chat_bodies import (
    ask,
    function,
    losses_of,
    read,
    translate,
)

from codexd.translation.reading.losses import LossKind

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}


EMPTY = {"type": "object", "properties": {}}


FUNCTION = {"type": "function", "name": "bash", "strict": False, "parameters": EMPTY}


GRAMMAR = {"type": "grammar", "definition": "start: x", "syntax": "lark"}


PLACE = {"city": "Bonn", "country": "DE"}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        pytest.param(function(), FUNCTION, id="strict"),
        pytest.param(
            function(parameters=CLOSED, strict=True), {**FUNCTION, "strict": True, "parameters": CLOSED}, id="strict"
        ),
        pytest.param(function(parameters=OPEN, strict=True), {**FUNCTION, "parameters": OPEN}, id="not strict enough"),
        pytest.param(
            {"type": "function", "name": "bash", "parameters": OPEN}, {**FUNCTION, "parameters": OPEN}, id="flat"
        ),
        pytest.param({"name": "bash", "input_schema": OPEN}, {**FUNCTION, "parameters": OPEN}, id="anthropic's"),
        pytest.param(
            {"type": "custom", "name": "bash", "input_schema": OPEN, "cache_control": {"type": "ephemeral"}},
            {**FUNCTION, "parameters": OPEN},
            id="anthropic's, typed",
        ),
        pytest.param(
            function(parameters=OPEN, input_schema=CLOSED), {**FUNCTION, "parameters": OPEN}, id="two schemas"
        ),
        pytest.param(
            {"function": {"name": "bash", "description": "d"}}, {**FUNCTION, "description": "d"}, id="untyped"
        ),
        pytest.param(
            function(parameters={"type": "object", "anyOf": [CLOSED, {"required": ["b"]}]}, description="d"),
            {
                **FUNCTION,
                "description": "d\n\nGive the properties of at least one of: a; or b.",
                "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
            id="alternatives",
        ),
        pytest.param(
            {"type": "custom", "custom": {"name": "p", "description": "d", "format": {"type": "text"}}},
            {"type": "custom", "name": "p", "description": "d", "format": {"type": "text"}},
            id="custom",
        ),
        pytest.param(
            {
                "type": "custom",
                "custom": {
                    "name": "p",
                    "format": {"type": "grammar", "grammar": {"definition": "start: x", "syntax": "lark"}},
                },
            },
            {"type": "custom", "name": "p", "format": GRAMMAR},
            id="grammar",
        ),
        pytest.param(
            {"type": "custom", "name": "p", "format": GRAMMAR},
            {"type": "custom", "name": "p", "format": GRAMMAR},
            id="flat custom",
        ),
        pytest.param(
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "user_location": {"type": "approximate", **PLACE},
            },
            {"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", **PLACE}},
            id="web search",
        ),
        pytest.param(
            {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
            {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
            id="web search in domains",
        ),
        pytest.param(
            {"type": "image_generation", "output_format": "png", "partial_images": 2},
            {"type": "image_generation", "output_format": "png"},
            id="images",
        ),
    ],
)
def test_tools(tool, expected):
    body = translate(ask(tools=[tool]))
    assert body["tools"] == [expected]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", True)
    check_accepted(body)


def test_web_search_options_add_a_tool():
    options = {"search_context_size": "high", "user_location": {"type": "approximate", "approximate": PLACE}}
    body = translate(ask(tools=[function()], web_search_options=options))
    search = {"type": "web_search", "search_context_size": "high", "user_location": {"type": "approximate", **PLACE}}
    assert body["tools"] == [FUNCTION, search]
    assert translate(ask(web_search_options={}))["tools"] == [{"type": "web_search"}]
    check_accepted(body)


def test_functions_are_tools_with_one_call():
    body = translate(ask(functions=[{"name": "bash"}], function_call={"name": "bash"}, parallel_tool_calls=True))
    assert body["tools"] == [FUNCTION]
    assert body["tool_choice"] == {"type": "function", "name": "bash"}
    assert body["parallel_tool_calls"] is False
    assert translate(ask(functions=[{"name": "bash"}], function_call="none"))["tool_choice"] == "none"
    assert read(ask(functions=[{"name": "bash"}])).functions


def test_the_first_of_two_tools_with_one_name_stays():
    tools = [function(), {"type": "custom", "name": "bash"}, {"type": "web_search"}]
    body = ask(tools=tools, web_search_options={})
    assert [tool["type"] for tool in translate(body)["tools"]] == ["function", "web_search"]
    assert losses_of(body) == {"tools[1]": LossKind.DROPPED, "web_search_options": LossKind.DROPPED}


TOOLS = [function("f"), function("a.b"), {"type": "custom", "name": "p"}, {"type": "web_search"}]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        *((word, word) for word in ("none", "auto", "required")),
        ({"type": "required"}, "required"),
        pytest.param(
            {"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}, id="nested-tool-choice"
        ),
        ({"type": "function", "name": "a.b"}, {"type": "function", "name": "a_b_2e7336dc"}),
        ({"type": "custom", "custom": {"name": "p"}}, {"type": "custom", "name": "p"}),
        ({"type": "web_search_preview"}, {"type": "web_search"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "name": "p"}],
                },
            },
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
            },
        ),
    ],
)
def test_tool_choice(choice, expected):
    body = translate(ask(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False))
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (expected, False)
    check_accepted(body)


def test_without_tools_there_is_no_choice():
    asked = ask(tools=[], tool_choice="required", parallel_tool_calls=True)
    body = translate(asked)
    assert {"tools", "tool_choice", "parallel_tool_calls"} & set(body) == set()
    assert losses_of(asked) == {"tool_choice": LossKind.DROPPED}
