"""Responses requests as the backend gets them."""

import json

import pytest
from support.responses_bodies import (
    CODEX_BODIES,
    CODEX_HEADERS,
    CODEX_LITE,
    CODEX_TURN,
    FUNCTION,
    PARAMETERS,
    THREAD,
    call,
    find_refusal,
    losses,
    message,
    output,
    read,
    reasoning,
    sdk,
    translate,
)

from codexd.errors import RequestInvalid
from codexd.translation.client_api import Client, Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.responses.request import Recall, parse_compact, parse_count

HI = [message("user", "hi")]
LONG_ID = "call_" + "x" * 150


def test_a_minimal_request_gets_what_the_backend_demands():
    body = translate(sdk())
    assert find_refusal(body) is None
    key = body.pop("prompt_cache_key")
    assert body == {
        "model": "gpt-5.5",
        "instructions": "",
        "input": HI,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low"},
    }
    assert len(key) == 36


def test_nothing_that_is_legal_upstream_is_changed():
    fields = {
        "instructions": "Be short.",
        "tools": [FUNCTION, {"type": "web_search", "search_context_size": "low"}],
        "tool_choice": {"type": "function", "name": "exec_command"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
        "prompt_cache_key": "mine",
        "service_tier": "priority",
        "client_metadata": {"a": "b"},
        "stream_options": {"reasoning_summary_delivery": "sequential_cutoff"},
    }
    done = [call(id="fc_1"), output(id="fco_1"), message("assistant", "x", phase="final_answer")]
    items = [*HI, message("user", "Write JSON."), reasoning(), *done]
    body = translate(sdk(items, **fields))
    assert find_refusal(body) is None
    assert {name: body[name] for name in (*fields, "input")} == {**fields, "input": items}
    assert losses(sdk(items, **fields)) == {}


@pytest.mark.parametrize(
    ("fields", "sent", "lost"),
    [
        pytest.param(
            {
                "max_output_tokens": 5,
                "user": "u",
                "truncation": "auto",
                "prompt_cache_retention": "24h",
                "temperature": 0.2,
                "foo": 1,
                "store": True,
            },
            {},
            {
                "user": "cosmetic",
                "truncation": "dropped",
                "prompt_cache_retention": "cosmetic",
                "temperature": "dropped",
                "foo": "dropped",
                "store": "approximated",
            },
            id="stripped-fields",
        ),
        pytest.param(
            {"temperature": 1, "top_p": 1, "store": False, "background": False, "truncation": "disabled", "user": None},
            {},
            {},
            id="defaults",
        ),
        pytest.param(
            {"include": ["message.output_text.logprobs", "web_search_call.action.sources"]},
            {"include": ["reasoning.encrypted_content", "web_search_call.action.sources"]},
            {"include[0]": "dropped"},
            id="include",
        ),
        ({"service_tier": "fast"}, {"service_tier": "priority"}, {}),
        ({"service_tier": "flex"}, {}, {"service_tier": "dropped"}),
        ({"service_tier": "auto"}, {}, {}),
        ({"stream_options": {"include_obfuscation": False}}, {}, {"stream_options.include_obfuscation": "cosmetic"}),
        (
            {"reasoning": {"effort": "max", "generate_summary": "concise"}},
            {"reasoning": {"effort": "xhigh", "summary": "concise"}},
            {"reasoning.effort": "approximated"},
        ),
        ({"reasoning": {"effort": None, "summary": None}}, {}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS}}},
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": PARAMETERS}, "verbosity": "low"}},
            {},
        ),
        ({"parallel_tool_calls": True}, {}, {}),
        ({"tools": [FUNCTION], "parallel_tool_calls": True}, {"tools": [FUNCTION], "parallel_tool_calls": True}, {}),
    ],
)  # fmt: skip
def test_what_an_sdk_asks_and_what_the_backend_gets(fields, sent, lost):
    minimal = translate(sdk())
    assert translate(sdk(**fields)) == {**minimal, **sent}
    assert losses(sdk(**fields)) == lost


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"input": [message("user", "x"), call(call_id=None)]}, "input[1].call_id"),
        ({"input": [call(), output(value=3)]}, "input[1].output"),
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]}, "input[0].content[0].file_id"),
        ({"model": None}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"instructions": 3}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": "x"}, "max_output_tokens"),
        ({"include": "x"}, "include"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "tools[0].type"),
        ({"tools": [{"type": "code_interpreter", "container": "x"}]}, "tools[0].type"),
        ({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type"),
        ({"tools": [{"name": "x"}]}, "tools[0].type"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_refused_by_name(fields, path):
    with pytest.raises(RequestInvalid) as caught:
        translate({**sdk(), **fields})
    assert caught.value.path == path


def test_the_codex_cli_also_learns_that_nothing_is_stored():
    with pytest.raises(RequestInvalid, match="in memory only"):
        read({**CODEX_TURN, "previous_response_id": "resp_1"}, CODEX_HEADERS)


# -- the Codex CLI ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODEX_BODIES)
def test_what_the_codex_cli_sends_goes_on_unchanged(name):
    body = CODEX_BODIES[name]
    assert find_refusal(body) is None
    assert translate(body, CODEX_HEADERS) == body


@pytest.mark.parametrize(
    "headers",
    [{"user-agent": "codex_cli_rs/0.169.0"}, {"user-agent": "x", "originator": "codex-tui"}, CODEX_HEADERS],
)
def test_the_codex_cli_keeps_what_an_sdk_loses(headers):
    changes = {"future_field": 1, "store": True, "stream": False, "service_tier": "fast", "model": "gpt-6-sol"}
    items = [*HI, output("c9"), {"type": "reasoning", "summary": []}, call("c1", id="bad")]
    body = translate({**CODEX_TURN, **changes, "input": items}, headers, model="gpt-6.1-sol")
    forced = {"model": "gpt-6.1-sol", "store": False, "stream": True, "service_tier": "priority"}
    assert body == {**CODEX_TURN, "future_field": 1, **forced, "input": [*HI, output("c9"), call("c1")]}


def test_codexd_and_others_are_not_taken_for_the_codex_cli():
    for agent in ("OpenAI/Python 3.57.0", "codexd/0.1.0", "curl/8", ""):
        assert "instructions" in translate(sdk(), {"user-agent": agent})


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.5"])
def test_a_lite_body_for_a_model_without_lite_is_put_in_the_classic_form(model):
    body = translate({**CODEX_LITE, "reasoning": {"effort": "ultra"}}, CODEX_HEADERS, model=model)
    is_lite = model == "gpt-6.1-sol"
    assert ("tools" not in body) == is_lite
    assert any(item.get("type") == "additional_tools" for item in body["input"]) == is_lite
    assert is_lite or body["tools"] == CODEX_LITE["input"][0]["tools"]
    assert body["reasoning"]["effort"] == "xhigh"
    assert find_refusal(body) is None


@pytest.mark.parametrize("headers", [{}, CODEX_HEADERS])
def test_the_status_of_an_item_stays_here(headers):
    items = [{**item, "status": "completed"} for item in [*HI, call(), output()]]
    assert translate({**sdk(items)}, headers)["input"] == [*HI, call(), output()]


# -- sessions ---------------------------------------------------------------------------------------


def test_a_conversation_is_known_by_the_clients_key_or_its_beginning():
    longer = sdk([*HI, message("assistant", "x"), message("user", "more")], instructions="I")
    assert read(sdk(HI, instructions="I")).session_key == read(longer).session_key
    assert read(sdk(HI, instructions="J")).session_key != read(longer).session_key
    keyed = [read(sdk(text, prompt_cache_key="Schlüssel\n")) for text in ("a", "b")]
    assert keyed[0].session_key == keyed[1].session_key == keyed[0].headers["session-id"]
    assert keyed[0].session_key.isascii()
    assert read(CODEX_TURN, CODEX_HEADERS).session_key == THREAD


@pytest.mark.parametrize("key", ["", 3, None, "k" * 65])
def test_a_cache_key_that_can_not_be_sent_becomes_one_that_can(key):
    body = translate(sdk(prompt_cache_key=key))
    assert 0 < len(body["prompt_cache_key"]) <= 64
    assert find_refusal(body) is None


# -- compact and count ------------------------------------------------------------------------------


def test_compact_sends_a_turn_that_ends_with_the_trigger():
    request = parse_compact(json.dumps(CODEX_TURN).encode(), CODEX_HEADERS, Client.CODEX, Recall())
    sent = request.to_backend(Target(BUILT_IN.describe("gpt-5.5")))
    assert not request.stream
    assert sent == {**CODEX_TURN, "input": [*CODEX_TURN["input"], {"type": "compaction_trigger"}]}


def test_a_count_needs_no_model():
    request = parse_count(b'{"input": "hi"}', Recall())
    assert request.to_backend(Target(BUILT_IN.describe("gpt-5.5")))["input"] == HI
