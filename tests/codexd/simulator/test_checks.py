"""What the backend refuses, in its own words: one row per rule."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from codexd.simulator.checks import check_body
from codexd.simulator.checks_input import ITEM_TYPES
from codexd.simulator.options import Options
from codexd.simulator.prompts import seal_reasoning
from codexd.simulator.refusals import quote_list

OWN, FOREIGN = "account-own", "account-foreign"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n rest").decode()
PDF = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def make_body(**changes: Any) -> dict[str, Any]:
    body = {
        "model": "gpt-5.5",
        "instructions": "",
        "store": False,
        "stream": True,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not ABSENT}


ABSENT = object()


def say(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"input": [{"type": "message", "role": role, "content": list(content)}]}


def call(call_id: str = "call_1", **changes: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": "ls", "arguments": "{}", "call_id": call_id, **changes}


def output(call_id: str = "call_1", **changes: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "a.txt", **changes}


def function(**changes: Any) -> dict[str, Any]:
    tool = {"type": "function", "name": "x", "parameters": PARAMETERS, **changes}
    return {"tools": [{key: value for key, value in tool.items() if value is not ABSENT}]}


def schema(**changes: Any) -> dict[str, Any]:
    return function(parameters={**PARAMETERS, **changes})


def find_refusal(body: Any, **options: Any) -> Any:
    refusal = check_body(body, account_id=OWN, options=Options(**options))
    return None if refusal is None else (refusal.status, refusal.body)


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


NOT_PERSISTED = (
    "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. "
    "Try again with `store` set to true, or remove this item from your input."
)
ROOT_COMBINATOR = (
    "Invalid schema for function 'x': schema must have type 'object' and not have "
    "'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
)
NAME_PATTERN = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."

ANY_VALUE_OF_TYPE = f"Invalid value: 'thinking'. Supported values are: {quote_list(ITEM_TYPES)}."

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
    # items
    (
        {"input": [{"type": "item_reference", "id": "rs_1"}]},
        NOT_PERSISTED,
        "input",
        None,
    ),
    ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, NOT_PERSISTED, "input", None),
    (
        {"input": [call(id="msg_1"), output()]},
        "Invalid 'input[0].id': 'msg_1'. Expected an ID that begins with 'fc'.",
        "input[0].id",
        "invalid_value",
    ),
    (
        {"input": [call(id="fc_" + "a" * 71), output()]},
        (
            "Invalid 'input[0].id': string too long. Expected a string with maximum length 64, "
            "but got a string with length 74 instead."
        ),
        "input[0].id",
        "string_above_max_length",
    ),
    (
        {"input": [call(id="fc_|x"), output()]},
        (
            "Invalid 'input[0].id': 'fc_|x'. Expected an ID that contains letters, numbers, underscores, or dashes, "
            "but this value contained additional characters."
        ),
        "input[0].id",
        "invalid_value",
    ),
    (
        {"input": [call(id=""), output()]},
        "Invalid 'input[0].id': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        "input[0].id",
        "empty_string",
    ),
    (
        {"input": [call("a", id="fc_1"), output("a"), call("b", id="fc_1"), output("b")]},
        "Duplicate item found with id fc_1. Remove duplicate items from your input and try again.",
        "input",
        None,
    ),
    (
        {"input": [call("c" * 65), output("c" * 65)]},
        (
            "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead."
        ),
        "input[0].call_id",
        "string_above_max_length",
    ),
    ({"input": [call()]}, "No tool output found for function call call_1.", "input", None),
    (
        {"input": [output()]},
        "No tool call found for function call output with call_id call_1.",
        "input",
        None,
    ),
    (
        {"input": [output(), call()]},
        "No tool call found for function call output with call_id call_1.",
        "input",
        None,
    ),
    (
        {"input": [call(arguments={}), output()]},
        "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
        "input[0].arguments",
        "invalid_type",
    ),
    (
        {"input": [call(name=""), output()]},
        (
            "Invalid 'input[0].name': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead."
        ),
        "input[0].name",
        "empty_string",
    ),
    (
        {"input": [call(cache_control={}), output()]},
        "Unknown parameter: 'input[0].cache_control'.",
        "input[0].cache_control",
        "unknown_parameter",
    ),
    (
        {"input": [{"type": "thinking"}]},
        ANY_VALUE_OF_TYPE,
        "input[0].type",
        "invalid_value",
    ),
    # parts
    (
        say({"type": "output_text", "text": "x"}),
        (
            "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image', 'input_file', "
            "'input_audio', and 'computer_screenshot'."
        ),
        "input[0].content[0]",
        "invalid_value",
    ),
    (
        say({"type": "input_text", "text": "x"}, role="assistant"),
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        "input[0].content[0]",
        "invalid_value",
    ),
    (
        say({"type": "input_text"}),
        "Missing required parameter: 'input[0].content[0].text'.",
        "input[0].content[0].text",
        "missing_required_parameter",
    ),
    (
        say({"type": "input_text", "text": "x", "cache_control": {}}),
        "Unknown parameter: 'input[0].content[0].cache_control'.",
        "input[0].content[0].cache_control",
        "unknown_parameter",
    ),
    (
        say({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}}),
        "prompt_cache_breakpoint is not supported on this model",
        "input[0].content[0]",
        None,
    ),
    (
        say({"type": "input_image", "image_url": "data:image/png;base64,"}),
        (
            "Invalid 'input[0].content[0].image_url'. Expected a base64-encoded data URL with an image MIME type, "
            "but got empty base64-encoded bytes."
        ),
        "input[0].content[0].image_url",
        "invalid_value",
    ),
    (
        say({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}),
        "The image data you provided does not represent a valid image.",
        "input[0].content[0].image_url",
        "invalid_value",
    ),
    (
        say({"type": "input_file", "file_data": PDF}),
        "Missing required parameter: 'input[0].content[0].filename'.",
        "input[0].content[0].filename",
        "missing_required_parameter",
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
    expected = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert find_refusal(make_body(**changes)) == (400, {"error": expected})


@pytest.mark.parametrize(
    "sealed",
    [
        seal_reasoning(FOREIGN, "rs_1"),
        seal_reasoning(OWN, "rs_1")[:-4] + "AAAA",
        "gAAAA-garbage",
        "gAAAAé",
        "EqQBCkYIBRgCKkBm0ck2",
    ],
)
def test_reasoning_that_is_not_the_accounts_own_cannot_be_verified(sealed: str) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    status, body = find_refusal(make_body(input=[item]))
    assert (status, body["error"]["code"]) == (400, "invalid_encrypted_content")
    assert body["error"]["message"].startswith(f"The encrypted content {sealed[:7]}...")


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_a_body_that_is_no_object(body: Any) -> None:
    assert find_refusal(body) == (400, {"detail": "Bad Request"})


def test_instructions_can_be_required() -> None:
    refusal = find_refusal(make_body(instructions=ABSENT), instructions_required=True)
    assert refusal == (400, {"detail": "Instructions are required"})
    assert find_refusal(make_body(), instructions_required=True) is None


def test_a_listed_model_can_be_refused() -> None:
    status, body = find_refusal(make_body(), refused_models=frozenset({"gpt-5.5"}))
    assert (status, body["detail"]) == (
        400,
        "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.",
    )


UPGRADE = (
    "The 'gpt-5.5' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again."
)
NOT_SUPPORTED = "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, NOT_SUPPORTED),
        ({"version": "0.123.9"}, UPGRADE),
        ({"user-agent": "codexd/0.9.0"}, UPGRADE),
        ({"version": "0.124.0", "user-agent": "codexd/0.9.0"}, None),
        ({"user-agent": "codex_cli_rs/0.161.0"}, None),
    ],
)
def test_the_version_gate(headers: dict[str, str], text: str | None) -> None:
    options = Options(minimal_client_versions={"gpt-5.5": "0.124.0"})
    refusal = check_body(make_body(), account_id=OWN, options=options, headers=headers)
    assert (refusal and refusal.body) == (text and {"detail": text})


@pytest.mark.parametrize(("originator", "status"), [("codexd", 404), ("", 404), ("codex_cli_rs", None)])
def test_the_originator_gate(originator: str, status: int | None) -> None:
    options = Options(codex_originators_only=frozenset({"gpt-5.5"}))
    headers = {"originator": originator}
    refusal = check_body(make_body(), account_id=OWN, options=options, headers=headers)
    assert (refusal.status if refusal else None) == status
