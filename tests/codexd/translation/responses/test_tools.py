"""Tools of Responses requests from an SDK."""

import pytest
from support.responses_bodies import (
    FUNCTION,
    PARAMETERS,
    find_refusal,
    losses,
    sdk,
    translate,
)

NAMED = {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("fields", "sent", "lost"),
    [
        pytest.param(
            {"tools": [{"type": "web_search_preview"}], "tool_choice": {"type": "web_search_preview_2025_03_11"}},
            {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
            {},
            id="web-search-preview",
        ),
        pytest.param(
            {
                "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            {
                "tools": [
                    {
                        "type": "function",
                        "name": "f",
                        "strict": False,
                        "parameters": {"type": "object", "properties": {}},
                    }
                ],
                "tool_choice": {"type": "function", "name": "f"},
            },
            {"tools[0].function.strict": "approximated"},
            id="nested-function",
        ),
        pytest.param(
            {
                "tools": [{"type": "web_search_preview"}],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search_preview"}]},
            },
            {
                "tools": [{"type": "web_search"}],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
            },
            {},
            id="allowed-tools",
        ),
        pytest.param(
            {"tools": [{**FUNCTION, "defer_loading": True}]},
            {"tools": [FUNCTION]},
            {"tools[0].defer_loading": "approximated"},
            id="deferred",
        ),
        (
            {"tools": [{"type": "apply_patch"}, {"type": "shell", "x": 1}]},
            {"tools": [{"type": "apply_patch"}, {"type": "shell", "x": 1}]},
            {},
        ),
        (
            {"tools": [{**FUNCTION, "parameters": {"anyOf": [PARAMETERS, {"required": ["x"]}]}}]},
            {
                "tools": [
                    {
                        **FUNCTION,
                        "description": "Runs\n\nGive the properties of at least one of: cmd; or x.",
                        "parameters": {"type": "object", "properties": PARAMETERS["properties"]},
                    }
                ]
            },
            {"tools[0].parameters": "approximated"},
        ),
    ],
)
def test_tools(fields, sent, lost):
    body = translate(sdk(**fields))
    assert body == {**translate(sdk()), **sent}
    assert losses(sdk(**fields)) == lost


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}])
def test_a_function_of_a_namespace_needs_no_schema(parameters):
    namespace = {"type": "namespace", "name": "n", "description": "d", "tools": [{**NAMED, **parameters}]}
    (sent,) = translate(sdk(tools=[namespace]))["tools"]
    assert sent["tools"] == [{**NAMED, "parameters": {"type": "object", "properties": {}}}]
    assert find_refusal(translate(sdk(tools=[namespace]))) is None


@pytest.mark.parametrize(
    "nest", [lambda tool: {"type": "function", **tool}, lambda tool: {"type": "function", "function": tool}]
)
def test_the_schema_of_a_function_under_anthropics_name(nest):
    fields = {"tools": [nest({"name": "f", "input_schema": PARAMETERS})]}
    assert translate(sdk(**fields))["tools"] == [{**NAMED, "parameters": PARAMETERS}]
    assert losses(sdk(**fields)) == {}


def test_the_schema_of_a_function_of_a_namespace_under_anthropics_name():
    function = {"type": "function", "name": "f", "input_schema": PARAMETERS}
    (sent,) = translate(sdk(tools=[{"type": "namespace", "name": "n", "description": "d", "tools": [function]}]))[
        "tools"
    ]
    assert sent["tools"] == [{**NAMED, "parameters": PARAMETERS}]
