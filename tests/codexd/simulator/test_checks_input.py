"""What the backend refuses in the input, in its own words: one row per rule."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulator_checks import (
    FOREIGN,
    OWN,
    PDF,
    PNG,
    call,
    expect_error,
    find_refusal,
    make_body,
    output,
    say,
)

from codexd.simulator.checks_input import ITEM_TYPES
from codexd.simulator.prompts import seal_reasoning
from codexd.simulator.refusals import quote_list

NOT_PERSISTED = (
    "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. "
    "Try again with `store` set to true, or remove this item from your input."
)


ANY_VALUE_OF_TYPE = f"Invalid value: 'thinking'. Supported values are: {quote_list(ITEM_TYPES)}."

ERRORS: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    # changes, message, param, code
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
        say({"type": "input_image", "image_url": PNG[:122]}),
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
]


@pytest.mark.parametrize(("changes", "message", "param", "code"), ERRORS)
def test_the_model_apis_refusals(changes: dict[str, Any], message: str, param: str | None, code: str | None) -> None:
    expect_error(changes, message, param, code)


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
