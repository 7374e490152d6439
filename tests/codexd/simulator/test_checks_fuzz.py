"""Whatever JSON a client sends, the checks answer; and what they let through, the rest can work with."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_json import list_paths, put
from support.media import make_image

from codexd.jsontext import dumps
from codexd.simulator.agent import answer
from codexd.simulator.checks import check_body
from codexd.simulator.options import Options
from codexd.simulator.prompts import flatten_prompt, seal_reasoning
from codexd.simulator.scripts import ScriptBook, parse_reply, parse_script

ACCOUNT = "account-own"
PNG = "data:image/png;base64," + base64.b64encode(make_image("PNG")).decode()
SCHEMA = {"type": "object", "properties": {"a": {"type": ["array", "null"], "items": {"enum": [1]}}}, "required": ["a"]}

BODY: dict[str, Any] = {
    "model": "gpt-5.5",
    "instructions": "x",
    "store": False,
    "stream": True,
    "input": [
        {"role": "user", "content": "list files"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal_reasoning(ACCOUNT, "rs_1")},
        {"type": "function_call", "id": "fc_1", "name": "Bash", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "image_url": PNG}]},
        {"type": "custom_tool_call", "name": "patch", "input": "", "call_id": "call_2"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "x"},
        {"type": "local_shell_call", "call_id": "call_3"},
        {"type": "function_call_output", "call_id": "call_3", "output": "x"},
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "run ls"}]},
    ],
    "tools": [
        {"type": "function", "name": "Bash", "parameters": SCHEMA, "strict": False},
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
        {"type": "image_generation", "partial_images": 1},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "Bash"}]},
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low", "summary": "auto", "context": "auto"},
    "include": ["reasoning.encrypted_content"],
    "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "t", "schema": SCHEMA, "strict": False}},
    "service_tier": "priority",
    "prompt_cache_key": "k",
    "client_metadata": {"a": "b"},
    "stream_options": {"reasoning_summary_delivery": "sequential_cutoff"},
}


PATHS = list(list_paths(BODY))
ODD_VALUES = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, "", "x", "function", "object", "array", "user", "ultra", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "name", "$ref"]), inner),
    max_leaves=4,
)


def test_the_whole_body_is_accepted() -> None:
    assert check_body(BODY, account_id=ACCOUNT, options=Options()) is None


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PATHS), ODD_VALUES)
def test_any_value_anywhere(path: tuple[Any, ...], value: Any) -> None:
    body = put(BODY, path, value)
    refusal = check_body(body, account_id=ACCOUNT, options=Options())
    if refusal is not None:
        assert 400 <= refusal.status < 500
        assert dumps(refusal.body)
        return
    assert flatten_prompt(body)
    assert parse_reply(answer(body)).output
    when = {"tool": "x", "output_format": "x", "last_user_contains": "x"}
    assert ScriptBook(parse_script({"replies": [{"when": when}]})).take(body) is None
