"""Responses requests as the backend gets them."""

import json

import pytest
from attrs import evolve
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
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.reasoning import ReasoningOwners
from codexd.translation.responses.request import parse_compact, parse_count

HI = [message("user", "hi")]
LONG_ID = "call_" + "x" * 150


def test_cases_181_and_182_a_minimal_request_gets_what_the_backend_demands():
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
                "store": "dropped",
            },
            id="case-183",
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
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": PARAMETERS}}},
            {},
        ),
        ({"parallel_tool_calls": True}, {}, {}),
        ({"tools": [FUNCTION], "parallel_tool_calls": True}, {"tools": [FUNCTION], "parallel_tool_calls": True}, {}),
        pytest.param(
            {"tools": [{"type": "web_search_preview"}], "tool_choice": {"type": "web_search_preview_2025_03_11"}},
            {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
            {},
            id="case-186",
        ),
        pytest.param(
            {
                "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            {
                "tools": [
                    {"type": "function", "name": "f", "strict": True, "parameters": {"type": "object", "properties": {}}}
                ],
                "tool_choice": {"type": "function", "name": "f"},
            },
            {},
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
        pytest.param({"tools": [{**FUNCTION, "defer_loading": True}]}, {"tools": [FUNCTION]}, {"tools[0].defer_loading": "approximated"}, id="deferred"),
        ({"tools": [{"type": "apply_patch"}, {"type": "shell", "x": 1}]}, {"tools": [{"type": "apply_patch"}, {"type": "shell", "x": 1}]}, {}),
    ],
)  # fmt: skip
def test_what_an_sdk_asks_and_what_the_backend_gets(fields, sent, lost):
    minimal = translate(sdk())
    assert translate(sdk(**fields)) == {**minimal, **sent}
    assert losses(sdk(**fields)) == lost


@pytest.mark.parametrize(
    ("items", "sent", "lost"),
    [
        pytest.param(
            [{"role": "system", "content": "s"}, *HI, {"role": "assistant", "content": "a"}],
            [
                {"type": "message", "role": "developer", "content": "s"},
                *HI,
                {"type": "message", "role": "assistant", "content": "a"},
            ],
            {},
            id="case-184",
        ),
        pytest.param(
            [{**HI[0], "content": [{"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "x"}}]}],
            HI,
            {"input[0].content[0].prompt_cache_breakpoint": "cosmetic"},
            id="case-185",
        ),
        pytest.param(
            [*HI, call(id="msg_1"), output(id="x" * 400)],
            [*HI, call(), output()],
            {"input[1].id": "cosmetic", "input[2].id": "cosmetic"},
            id="case-190",
        ),
        pytest.param(
            [message("user", "a", id="msg_1"), message("user", "b", id="msg_1")],
            [message("user", "a", id="msg_1"), message("user", "b")],
            {"input[1].id": "cosmetic"},
            id="twice-the-same-id",
        ),
        pytest.param(
            [*HI, {"type": "reasoning", "id": "rs_1", "summary": []}, *HI],
            [*HI, *HI],
            {"input[1]": "dropped"},
            id="reasoning-without-ciphertext",
        ),
        pytest.param(
            [*HI, call("c1"), call("c2"), output("c2"), *HI],
            [*HI, call("c1"), call("c2"), output("c2"), output("c1", "aborted"), *HI],
            {},
            id="unanswered-call",
        ),
        pytest.param(
            [*HI, output("c9", "old")],
            [
                *HI,
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Result of an earlier tool call (c9):"},
                        {"type": "input_text", "text": "old"},
                    ],
                },
            ],
            {"input[1]": "approximated"},
            id="orphan-output",
        ),
        pytest.param(
            [*HI, {"type": "local_shell_call", "call_id": "c1", "status": "completed", "action": {}}, output("c1")],
            [*HI, {"type": "local_shell_call", "call_id": "c1", "status": "completed", "action": {}}, output("c1")],
            {},
            id="local-shell",
        ),
        pytest.param(
            [*HI, {"type": "future_item", "x": [1]}, {"type": "compaction", "encrypted_content": "gAAAA"}],
            [*HI, {"type": "future_item", "x": [1]}, {"type": "compaction", "encrypted_content": "gAAAA"}],
            {},
            id="unknown-items",
        ),
    ],
)
def test_what_an_sdk_sends_as_input_and_what_the_backend_gets(items, sent, lost):
    assert translate(sdk(items))["input"] == sent
    assert losses(sdk(items)) == lost


def test_long_call_ids_are_shortened_on_both_sides():
    items = translate(sdk([*HI, call(LONG_ID), output(LONG_ID)]))["input"]
    assert items[1]["call_id"] == items[2]["call_id"] != LONG_ID
    assert find_refusal(translate(sdk([*HI, call(LONG_ID), output(LONG_ID)]))) is None


def test_stale_reasoning_is_left_out_of_the_second_try():
    for body, headers in ((sdk([*HI, reasoning(), *HI]), {}), (CODEX_TURN, CODEX_HEADERS)):
        items = translate(body, headers, keep_reasoning=False)["input"]
        assert all(item["type"] != "reasoning" for item in items)
    assert losses(sdk([*HI, reasoning(), *HI]), keep_reasoning=False) == {"input[1]": "approximated"}


def test_reasoning_that_is_known_to_be_of_another_account_is_left_out_alone():
    owners = ReasoningOwners()
    target = Target(BUILT_IN.describe("gpt-5.5"), "mine")
    for item_id, tag in (("rs_1", "mine"), ("rs_2", "other")):
        stream = read(CODEX_TURN, CODEX_HEADERS, owners).open_stream({}, evolve(target, account_tag=tag), "req_1")
        done = {"type": "response.output_item.done", "output_index": 0, "item": reasoning(item_id)}
        stream.receive_event(done, now=0)
    items = [*HI, reasoning("rs_1"), reasoning("rs_2"), reasoning("rs_3"), *HI]
    for headers in (CODEX_HEADERS, {}):
        sent = read(sdk(items), headers, owners).to_responses(target)["input"]
        assert [item.get("id") for item in sent] == [None, "rs_1", "rs_3", None]


def test_what_an_account_could_not_read_is_left_to_the_others():
    owners = ReasoningOwners()
    owners.note("own", "mine")
    for sealed in ("own", "unknown"):
        owners.note_refused(sealed, "mine")
    assert [owners.is_foreign(sealed, "mine") for sealed in ("own", "unknown")] == [False, True]
    assert not owners.is_foreign("unknown", "other")


def test_the_memory_of_owners_is_bounded():
    owners, refused = ReasoningOwners(maximum=2), ReasoningOwners(maximum=2)
    for sealed in "abc":
        owners.note(sealed, "other")
        refused.note_refused(sealed, "mine")
    for memory in (owners, refused):
        assert [memory.is_foreign(sealed, "mine") for sealed in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
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


def test_case_188_the_codex_cli_is_told_too_that_nothing_is_kept():
    with pytest.raises(RequestInvalid, match="stores responses"):
        read({**CODEX_TURN, "previous_response_id": "resp_1"}, CODEX_HEADERS)


# -- the Codex CLI ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODEX_BODIES)
def test_case_187_what_the_codex_cli_sends_goes_on_unchanged(name):
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


def test_headers_of_the_codex_protocol_go_up_and_those_that_are_ours_do_not():
    lite = {**CODEX_HEADERS, "x-openai-internal-codex-responses-lite": "true", "x-codex-turn-state": "ts"}
    own = {"authorization": "Bearer x", "chatgpt-account-id": "y", "version": "9", "cookie": "c", "accept": "a"}
    sent = dict(read(CODEX_LITE, {**lite, **own}).headers)
    assert sent == {name: value for name, value in lite.items() if name not in ("user-agent", "originator")}


def test_a_header_that_is_no_plain_text_stays_here():
    headers = read(CODEX_TURN, {**CODEX_HEADERS, "x-codex-turn-state": "ä", "thread-id": "ü"}).headers
    assert "x-codex-turn-state" not in headers
    assert all(value.isascii() for value in headers.values())


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


def test_compact_sends_what_that_route_takes():
    body = {**CODEX_TURN, "store": False, "stream": True}
    request = parse_compact(json.dumps(body).encode(), CODEX_HEADERS, ReasoningOwners())
    sent = request.to_responses(Target(BUILT_IN.describe("gpt-5.5")))
    assert not request.stream
    taken = ("model", "input", "tools", "parallel_tool_calls", "reasoning", "prompt_cache_key", "text")
    assert sent == {"instructions": "", **{name: CODEX_TURN[name] for name in taken}}


def test_a_count_needs_no_model():
    request = parse_count(b'{"input": "hi"}')
    assert request.to_responses(Target(BUILT_IN.describe("gpt-5.5")))["input"] == HI
