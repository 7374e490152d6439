"""What the backend refuses, in its own words: one row per rule."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulator_checks import (
    ABSENT,
    OWN,
    PARAMETERS,
    PDF,
    PNG,
    call,
    expect_error,
    find_refusal,
    function,
    make_body,
    output,
    say,
    schema,
)

from codexd.simulator.prompts import seal_reasoning

ACCEPTED = {
    "the minimal request": {},
    "without instructions": {"instructions": ABSENT},
    "a message without type": {"input": [{"role": "user", "content": "hi"}]},
    "a developer message anywhere": {
        "input": [
            {"role": "user", "content": "a"},
            {"role": "developer", "content": "b"},
            {"role": "user", "content": ""},
        ]
    },
    "images and files": say(
        {"type": "input_image", "image_url": PNG, "detail": "high"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
    ),
    "an answer in JSON": {
        **say({"type": "input_text", "text": "as JSON"}, role="developer"),
        "text": {"format": {"type": "json_object"}},
    },
    "a call and its output": {"input": [call(id="fc_1"), output(id="fco_1")]},
    "an output with parts": {"input": [call(), output(output=[{"type": "input_image", "image_url": PNG}])]},
    "a local shell call": {"input": [{"type": "local_shell_call", "call_id": "call_1"}, output()]},
    "outputs out of order": {"input": [call("a"), call("b"), output("b"), output("a")]},
    "own reasoning": {
        "input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal_reasoning(OWN, "rs_1")}]
    },
    "a function tool": function(description="d", strict=False),
    "a strict function": schema(additionalProperties=False) | {"tool_choice": {"type": "function", "name": "x"}},
    "hosted and custom tools": {
        "tools": [
            {"type": "web_search", "search_context_size": "medium", "filters": {"allowed_domains": ["example.com"]}},
            {"type": "custom", "name": "apply_patch", "description": "d"},
            {"type": "namespace", "name": "web", "tools": function(defer_loading=True)["tools"]},
        ],
        "tool_choice": {"type": "web_search"},
    },
    "efforts and summaries": {"reasoning": {"effort": "xhigh", "summary": "auto"}},
    "a null summary": {"reasoning": {"effort": "low", "summary": None}},
    "a format": {
        "text": {
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "t", "strict": False, "schema": {**PARAMETERS}},
        }
    },
    "priority": {"service_tier": "priority"},
    "the rest": {
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"session_id": "s"},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "stream_options": {"reasoning_summary_delivery": "sequential_cutoff"},
    },
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_in_order_is_accepted(name: str) -> None:
    assert find_refusal(make_body(**ACCEPTED[name])) is None


DETAILS = [
    ({"store": ABSENT}, "Store must be set to false"),
    ({"store": True}, "Store must be set to false"),
    ({"stream": ABSENT}, "Stream must be set to true"),
    ({"stream": False}, "Stream must be set to true"),
    ({"input": "hi"}, "Input must be a list"),
    ({"instructions": None}, "Instructions are not valid"),
    ({"stream_options": {"include_usage": True}}, "Unsupported parameter: stream_options"),
    ({"input": [{"role": "system", "content": "x"}]}, "System messages are not allowed"),
    ({"service_tier": "fast"}, "Unsupported service_tier: fast"),
    ({"tools": [{"type": "web_search_preview"}]}, "Unsupported tool type: web_search_preview"),
    ({"model": "gpt-5"}, "The 'gpt-5' model is not supported when using Codex with a ChatGPT account."),
    *(
        ({name: 1}, f"Unsupported parameter: {name}")
        for name in (
            "max_output_tokens",
            "max_tokens",
            "temperature",
            "top_p",
            "metadata",
            "user",
            "truncation",
            "context_management",
            "previous_response_id",
            "prompt_cache_retention",
            "safety_identifier",
            "generate",
            "messages",
            "stop",
            "nonsense",
        )
    ),
]


@pytest.mark.parametrize(("changes", "text"), DETAILS)
def test_the_gateways_refusals(changes: dict[str, Any], text: str) -> None:
    assert find_refusal(make_body(**changes)) == (400, {"detail": text})


ROOT_COMBINATOR = (
    "Invalid schema for function 'x': schema must have type 'object' and not have "
    "'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
)
NAME_PATTERN = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."


ERRORS: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    # changes, message, param, code
    ({"model": ABSENT}, "Missing required parameter: 'model'.", "model", "missing_required_parameter"),
    (
        {"reasoning": {"effort": "none"}},
        (
            "Unsupported value: 'none' is not supported with the 'gpt-5.5' model. "
            "Supported values are: 'low', 'medium', 'high', and 'xhigh'."
        ),
        "reasoning.effort",
        "unsupported_value",
    ),
    (
        {"model": "gpt-6-astra", "reasoning": {"effort": "ultra"}},
        (
            "Unsupported value: 'ultra' is not supported with the 'gpt-6-astra' model. "
            "Supported values are: 'low', 'medium', 'high', 'xhigh', and 'max'."
        ),
        "reasoning.effort",
        "unsupported_value",
    ),
    (
        {"reasoning": {"summary": "none"}},
        "Invalid value: 'none'. Supported values are: 'auto', 'concise', and 'detailed'.",
        "reasoning.summary",
        "invalid_value",
    ),
    (
        {"text": {"verbosity": "max"}},
        (
            "Unsupported value: 'max' is not supported with the 'gpt-5.5' model. "
            "Supported values are: 'low', 'medium', and 'high'."
        ),
        "text.verbosity",
        "unsupported_value",
    ),
    (
        {"prompt_cache_key": ""},
        (
            "Invalid 'prompt_cache_key': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead."
        ),
        "prompt_cache_key",
        "empty_string",
    ),
    # tools
    (
        {"tools": [{"type": "function", "function": {"name": "x"}}]},
        "Missing required parameter: 'tools[0].name'.",
        "tools[0].name",
        "missing_required_parameter",
    ),
    (function(name="a.b"), f"Invalid 'tools[0].name': {NAME_PATTERN}", "tools[0].name", "invalid_value"),
    (
        function(name="a" * 65),
        (
            "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead."
        ),
        "tools[0].name",
        "string_above_max_length",
    ),
    (
        function(cache_control={}),
        "Unknown parameter: 'tools[0].cache_control'.",
        "tools[0].cache_control",
        "unknown_parameter",
    ),
    (
        function(defer_loading=True),
        "Unknown parameter: 'tools[0].defer_loading'.",
        "tools[0].defer_loading",
        "unknown_parameter",
    ),
    (
        function(parameters=ABSENT),
        "Missing required parameter: 'tools[0].parameters'.",
        "tools[0].parameters",
        "missing_required_parameter",
    ),
    (
        function(parameters={"type": "object"}),
        "Invalid schema for function 'x': In context=(), object schema missing properties.",
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    (
        function(parameters={"type": "string"}),
        "Invalid schema for function 'x': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    *(
        (schema(**{combinator: []}), ROOT_COMBINATOR, "tools[0].parameters", "invalid_function_parameters")
        for combinator in ("oneOf", "anyOf", "allOf", "enum", "not")
    ),
    (
        schema(properties={"tags": {"type": "array"}}),
        "Invalid schema for function 'x': In context=('properties', 'tags'), array schema missing items.",
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    (
        function(strict=True),
        (
            "Invalid schema for function 'x': In context=(), 'additionalProperties' is required to be supplied "
            "and to be false."
        ),
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    (
        function(strict=True, parameters={**PARAMETERS, "additionalProperties": False, "required": []}),
        (
            "Invalid schema for function 'x': In context=(), 'required' is required to be supplied and to be an array "
            "including every key in properties. Missing 'city'."
        ),
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    (
        {"tools": function()["tools"] * 2},
        "Duplicate tool name: 'x'.",
        "tools[1].name",
        "invalid_value",
    ),
    (
        {"tools": [{"type": "image_generation", "n": 2}]},
        "Unknown parameter: 'tools[0].n'.",
        "tools[0].n",
        "unknown_parameter",
    ),
    (
        {"tool_choice": {"type": "tool", "name": "x"}},
        (
            "Invalid value: 'tool'. Supported values are: 'function', 'custom', 'web_search', 'image_generation', "
            "and 'allowed_tools'."
        ),
        "tool_choice.type",
        "invalid_value",
    ),
    (
        {"tool_choice": "any"},
        "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'.",
        "tool_choice",
        "invalid_value",
    ),
    (
        function() | {"tool_choice": {"type": "function", "name": "y"}},
        "Tool choice 'y' not found in 'tools' parameter.",
        "tool_choice",
        None,
    ),
    (
        {"tool_choice": "required"},
        "Tool choice 'required' must be specified with 'tools' parameter.",
        "tool_choice",
        None,
    ),
    (
        {"text": {"format": {"type": "json_schema", "name": "t", "strict": True, "schema": PARAMETERS}}},
        (
            "Invalid schema for response_format 't': In context=(), 'additionalProperties' is required to be supplied "
            "and to be false."
        ),
        "text.format.schema",
        "invalid_json_schema",
    ),
    (
        {"instructions": "JSON please", "text": {"format": {"type": "json_object"}}},
        (
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'."
        ),
        "input",
        None,
    ),
]


@pytest.mark.parametrize(("changes", "message", "param", "code"), ERRORS)
def test_the_model_apis_refusals(changes: dict[str, Any], message: str, param: str | None, code: str | None) -> None:
    expect_error(changes, message, param, code)


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_a_body_that_is_no_object(body: Any) -> None:
    assert find_refusal(body) == (400, {"detail": "Bad Request"})


def test_instructions_can_be_required() -> None:
    refusal = find_refusal(make_body(instructions=ABSENT), instructions_required=True)
    assert refusal == (400, {"detail": "Instructions are required"})
    assert find_refusal(make_body(), instructions_required=True) is None
