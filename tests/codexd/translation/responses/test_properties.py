"""What holds for any request of an SDK."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_json import json_values, list_paths, put
from support.responses_bodies import (
    CODEX_BODIES,
    CODEX_HEADERS,
    FUNCTION,
    IMAGE,
    PARAMETERS,
    call,
    find_refusal,
    message,
    output,
    reasoning,
    sdk,
    translate,
)

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.tokens import count_body

few = settings(deadline=None, max_examples=150)

WORDS = st.sampled_from(["", "a", "größe\u2028", "<|endoftext|>"])
CALL_IDS = st.sampled_from(["c1", "c2", "c3", "call_" + "x" * 150])
ITEM_IDS = st.sampled_from(["", "msg_1", "fc_1", "x" * 90, "ä", None])
PARTS = st.builds(lambda words: {"type": "input_text", "text": words}, WORDS) | st.just(IMAGE)
OUTPUTS = WORDS | st.lists(PARTS, max_size=2)
WITHOUT_CIPHERTEXT = {"type": "reasoning", "summary": [], "encrypted_content": None}
ITEMS = st.one_of(
    st.builds(lambda role, words, item_id: message(role, words, id=item_id), st.sampled_from(["user", "assistant", "system", "developer"]), WORDS, ITEM_IDS),
    st.builds(lambda role, words: {"role": role, "content": words}, st.sampled_from(["user", "assistant", "system"]), WORDS),
    st.builds(lambda parts: {"role": "user", "content": parts}, st.lists(PARTS, max_size=3)),
    st.builds(reasoning, st.sampled_from(["rs_1", "rs_2"])),
    st.just(WITHOUT_CIPHERTEXT),
    st.builds(lambda call_id, item_id: call(call_id, id=item_id), CALL_IDS, ITEM_IDS),
    st.builds(lambda call_id, value, item_id: output(call_id, value, id=item_id), CALL_IDS, OUTPUTS, ITEM_IDS),
    st.builds(lambda call_id: {"type": "custom_tool_call", "call_id": call_id, "name": "p", "input": "x"}, CALL_IDS),
    st.builds(lambda call_id, value: {"type": "custom_tool_call_output", "call_id": call_id, "output": value}, CALL_IDS, OUTPUTS),
    st.builds(lambda call_id: {"type": "local_shell_call", "call_id": call_id, "action": {}}, CALL_IDS),
    st.just({"type": "compaction", "encrypted_content": "gAAAA"}),
)  # fmt: skip
SCHEMAS = st.sampled_from(
    [None, {}, PARAMETERS, {"type": "object"}, {"anyOf": [PARAMETERS, {}]}, {"type": "object", "required": None}]
)
TOOLS = st.one_of(
    st.builds(lambda schema: {**FUNCTION, "parameters": schema}, SCHEMAS),
    st.builds(lambda schema: {"type": "function", "function": {"name": "nested", "parameters": schema}}, SCHEMAS),
    st.just({**FUNCTION, "name": "later", "defer_loading": True, "allowed_callers": ["direct"], "async": True}),
    st.sampled_from([{"type": name} for name in ("web_search_preview", "web_search", "web_search_2025_08_26")]),
    st.just({"type": "custom", "name": "apply_patch"}),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "instructions": st.none() | WORDS,
        "tools": st.lists(TOOLS, max_size=3, unique_by=lambda tool: tool.get("name") or tool["type"]),
        "tool_choice": st.sampled_from(["auto", "none"]),
        "parallel_tool_calls": st.none() | st.booleans(),
        "reasoning": st.fixed_dictionaries(
            {},
            optional={
                "effort": st.sampled_from([None, "none", "minimal", "low", "max", "ultra"]),
                "summary": st.sampled_from([None, "auto"]),
                "generate_summary": st.sampled_from([None, "concise"]),
            },
        ),
        "text": st.sampled_from([None, {"verbosity": "low"}, {"format": {"type": "text"}}, {"verbosity": None}]),
        "service_tier": st.sampled_from([None, "auto", "default", "flex", "priority", "fast", True]),
        "store": st.none() | st.booleans(),
        "stream": st.none() | st.booleans(),
        "temperature": st.none() | st.floats(0, 2),
        "max_output_tokens": st.none() | st.integers(1, 9),
        "metadata": st.just({"a": "b"}),
        "prompt_cache_key": st.none() | WORDS | st.just("k" * 99),
        "include": st.lists(st.sampled_from(["message.output_text.logprobs", "web_search_call.action.sources"])),
        "stream_options": st.sampled_from([None, {"include_obfuscation": True}]),
        "truncation": st.just("auto"),
        "unheard_of": WORDS,
    },
)
LEGAL = st.builds(lambda items, fields: sdk(items, **fields), st.lists(ITEMS, max_size=6) | WORDS, FIELDS)


@few
@given(LEGAL, st.sampled_from(["gpt-5.5", "gpt-6.1-sol"]))
def test_a_legal_request_is_accepted_upstream(body, model):
    translated = translate(body, model=model)
    assert find_refusal(translated) is None
    assert dumps(translate(body, model=model)) == dumps(translated)
    assert count_body(translated) > 0


@few
@given(LEGAL)
def test_reasoning_left_out_leaves_the_rest(body):
    kept = translate(body)["input"]
    bare = translate(body, keep_reasoning=False)["input"]
    assert [item for item in kept if item["type"] != "reasoning"] == bare


NAMES = ("role", "input")
JSON = json_values("message", "function_call", "\ud800", names=NAMES)


CHAT_CALL = {"id": "call_7", "type": "function", "function": {"name": "g", "arguments": "{}"}}
WHOLE = sdk(
    [
        {"role": "system", "content": "s"},
        message("user", "hi"),
        message("user", "in json"),  # which the backend wants to see with the response_format below
        {"role": "user", "content": [IMAGE]},
        {"role": "assistant", "content": [{"type": "text", "text": "x"}], "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "call_7", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE["image_url"]}}]},
        reasoning(),
        call(id="fc_1"),
        output(id="fco_1"),
    ],
    instructions="I",
    tools=[FUNCTION, {"type": "function", "function": {"name": "g", "parameters": PARAMETERS}}, {"type": "web_search"}],
    tool_choice={"type": "function", "name": "exec_command"},
    parallel_tool_calls=True,
    reasoning={"effort": "low", "summary": "auto", "generate_summary": "auto"},
    text={"verbosity": "low", "format": {"type": "json_schema", "name": "a", "schema": PARAMETERS}},
    response_format={"type": "json_object"},
    include=["reasoning.encrypted_content"],
    service_tier="fast",
    stream_options={"reasoning_summary_delivery": "sequential_cutoff"},
    prompt_cache_key="k",
    client_metadata={"a": "b"},
    metadata={"a": "b"},
)
PATHS = list(list_paths(WHOLE))


@settings(deadline=None, max_examples=800)
@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_is_taken_or_refused_here_or_refused_by_the_backend_in_the_clients_own_terms(path, value):
    """What is passed through unread has the backend's own verdict. It must never be about something that we wrote."""
    try:
        translated = translate(put(WHOLE, path, value))
    except RequestInvalid as error:
        assert error.path or "not JSON" in str(error)
        return
    assert count_body(translated) > 0
    refusal = find_refusal(translated)
    assert refusal is None or path[0] in named_by(refusal)


def named_by(refusal):
    """The top-level field that a refusal is about, and that which an older name stands for."""
    error = refusal.get("error")
    words = error["param"] or "input" if error else DETAILS[refusal["detail"].partition(":")[0].split("'")[0].strip()]
    field = words.partition(".")[0].partition("[")[0]
    # A choice may name a tool that is gone, and a tool choice needs tools.
    return {"text": ("text", "response_format"), "tool_choice": ("tool_choice", "tools")}.get(field, (field,))


DETAILS = {"Unsupported tool type": "tools", "The": "model", "Unsupported parameter": "stream_options"}


@few
@given(JSON)
def test_any_json_is_no_more_than_refused(value):
    for headers in ({}, CODEX_HEADERS):
        try:
            translate(json.dumps(value).encode(), headers, model="gpt-5.5")
        except RequestInvalid:
            continue
        raise AssertionError(value)


CODEX_PATHS = [(name, path) for name, body in CODEX_BODIES.items() for path in list_paths(body)]
OURS = {"model": "gpt-6.1-sol", "store": False, "stream": True}


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(CODEX_PATHS), json_values("message", "function_call", names=NAMES))
def test_whatever_the_codex_cli_sends_goes_on_but_for_what_is_ours(place, value):
    name, path = place
    body = put(CODEX_BODIES[name], path, value)
    try:
        translated = translate(body, CODEX_HEADERS, model="gpt-6.1-sol")
        assert translate(body, CODEX_HEADERS, model="gpt-5.5")["model"] == "gpt-5.5"
    except RequestInvalid:
        assert path[0] in ("model", "stream", "input")
        return
    assert count_body(translated) > 0
    judged = ("input", "prompt_cache_key", "reasoning")
    assert without(translated, *judged) == without(body | OURS, *judged)
    if isinstance(body["input"], list):
        kept = [item for item in body["input"] if item.get("type") != "reasoning" or is_sealed(item)]
        judged = ("id", "status")
        assert [without(item, *judged) for item in translated["input"]] == [without(item, *judged) for item in kept]


def without(value, *names):
    return {name: child for name, child in value.items() if name not in names}


def is_sealed(item):
    return isinstance(item.get("encrypted_content"), str) and item["encrypted_content"] != ""
