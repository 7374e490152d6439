import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_json import json_values, list_paths, put
from support.bodies import CLOSED, LONG_ID, PDF, check_accepted, check_prefix
from support.chat_bodies import (
    PNG_URL,
    ask,
    assistant,
    custom_call,
    function,
    image,
    sealed,
    system,
    text,
    tool,
    tool_call,
    translate,
    user,
)

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.tokens import count_body

few = settings(deadline=None, max_examples=150)

WORDS = st.sampled_from(["", "a", "b c", "größe\u2028", "<|endoftext|>", "Error: x"])
TEXTS = st.builds(text, WORDS)
FILES = st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}})
FLAT = st.sampled_from(
    [
        {"type": "input_image", "image_url": PNG_URL, "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        {"type": "output_text", "text": "x", "annotations": []},
        {"type": "refusal", "refusal": "x"},
        {"type": "summary_text", "text": "x"},
    ]
)
SHOWN = TEXTS | st.builds(image) | FILES | FLAT
IDS = st.sampled_from(["c1", "c2", "c3", "", LONG_ID])
NAMES = st.sampled_from(["bash", "a.b", "mcp__s__" + "y" * 80])
CALLS = st.builds(tool_call, IDS, NAMES, st.sampled_from(["{}", "", '{"a": 1}', "{bad", {"a": 1}]))
CALLS = CALLS | st.builds(custom_call, IDS, NAMES, WORDS)
SEALS = st.builds(
    sealed,
    st.sampled_from(["rs_1", "rs_2"]),
    st.sampled_from(["gpt-5.5", "gpt-6-sol"]),
    st.sampled_from(["ffffffff", "0a1b2c3d"]),
)
ASSISTANTS = st.builds(
    lambda content, calls, more: assistant(content, *calls, **more),
    st.none()
    | WORDS
    | st.lists(TEXTS | st.builds(lambda words: {"type": "refusal", "refusal": words}, WORDS), max_size=2),
    st.lists(CALLS, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "refusal": WORDS,
            "reasoning_content": WORDS,
            "reasoning_details": st.lists(SEALS, max_size=2),
            "function_call": st.fixed_dictionaries({"name": NAMES, "arguments": WORDS}),
        },
    ),
)
RESULTS = st.none() | WORDS | st.lists(SHOWN, max_size=2) | st.dictionaries(WORDS, st.integers(), max_size=1)
MESSAGES = st.one_of(
    st.builds(system, WORDS | st.lists(TEXTS, max_size=2)),
    st.builds(user, WORDS | st.lists(SHOWN, max_size=3)),
    ASSISTANTS,
    st.builds(tool, IDS, RESULTS),
    st.fixed_dictionaries({"role": st.just("function"), "name": NAMES, "content": WORDS}),
)
TOOLS = st.lists(
    st.builds(
        lambda name, fields: function(name, **fields),
        NAMES,
        st.fixed_dictionaries(
            {},
            optional={
                "description": WORDS,
                "strict": st.booleans(),
                "parameters": st.sampled_from(
                    [None, {}, CLOSED, {"type": "object", "properties": {"a": {"type": "array"}}}]
                ),
            },
        ),
    )
    | st.builds(lambda name: {"type": "custom", "custom": {"name": name}}, NAMES)
    | st.just({"type": "web_search"}),
    max_size=4,
)
LEGAL = st.builds(
    lambda messages, tools, fields: ask(*messages, user("hi"), tools=tools, **fields),
    st.lists(MESSAGES, max_size=5),
    TOOLS,
    st.fixed_dictionaries(
        {},
        optional={
            "reasoning_effort": st.sampled_from(["none", "low", "max", "ultra"]),
            "verbosity": st.sampled_from(["low", "high"]),
            "service_tier": st.sampled_from(["priority", "flex"]),
            "tool_choice": st.sampled_from(["auto", "none", "required"]),
            "web_search_options": st.just({}),
            "response_format": st.sampled_from(
                [
                    None,
                    {"type": "json_object"},
                    {"type": "json_schema", "json_schema": {"name": "a b", "schema": CLOSED, "strict": True}},
                ]
            ),
        },
    ),
)


@few
@given(LEGAL, st.sampled_from(["gpt-5.5", "gpt-6.1-sol"]))
def test_a_legal_request_is_accepted_upstream(body, model):
    translated = translate(body, model=model)
    check_accepted(translated)
    assert dumps(translate(body, model=model)) == dumps(translated)
    assert count_body(translated) > 0


def as_parts(body):
    """Every string content in its list form."""
    changed = copy.deepcopy(body)
    for message in changed["messages"]:
        if isinstance(message.get("content"), str):
            message["content"] = [text(message["content"])]
    return changed


@few
@given(LEGAL)
def test_string_form_and_list_form_are_the_same_bytes(body):
    assert dumps(translate(as_parts(body))) == dumps(translate(body))


EXCHANGES = st.lists(
    st.tuples(ASSISTANTS, st.integers(0, 3), RESULTS, WORDS, st.randoms(use_true_random=False)), max_size=4
)


@few
@given(EXCHANGES, st.sampled_from([{}, {"response_format": {"type": "json_object"}}]))
def test_a_growing_history_keeps_its_prefix(exchanges, fields):
    """``reasoning_effort`` is said, since reasoning in the history else asks for more of it."""
    fields = {**fields, "reasoning_effort": "low"}
    messages = [system("s"), user("hi")]
    earlier = translate(ask(*messages, **fields))
    for number, (answered, calls, content, words, random) in enumerate(exchanges):
        ids = [f"c{number}_{index}" for index in range(calls)]
        said = {key: value for key, value in answered.items() if key not in ("tool_calls", "function_call")}
        messages.append({**said, "tool_calls": [tool_call(call_id) for call_id in ids]})
        random.shuffle(ids)
        messages += [*(tool(call_id, content) for call_id in ids), user(words)]
        later = translate(ask(*messages, **fields))
        check_prefix(earlier, later)
        check_accepted(later)
        earlier = later


JSON = json_values("text", "\ud800", names=("role", "function", "messages", "url"))

WHOLE = ask(
    system("You are."),
    user([text("hi"), image(detail="low"), {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}]),
    assistant(
        [text("x"), {"type": "refusal", "refusal": "y"}],
        tool_call("c1"),
        custom_call("c2"),
        refusal="z",
        reasoning_details=[sealed()],
    ),
    tool("c1", [text("r"), image()]),
    tool("c2"),
    assistant(None, function_call={"name": "f", "arguments": "{}"}),
    {"role": "function", "name": "f", "content": "r"},
    user("go"),
    stream=True,
    stream_options={"include_usage": True},
    tools=[
        function(parameters=CLOSED, strict=True, description="d"),
        {
            "type": "custom",
            "custom": {
                "name": "patch",
                "format": {"type": "grammar", "grammar": {"definition": "x", "syntax": "lark"}},
            },
        },
        {
            "type": "web_search",
            "user_location": {"type": "approximate", "city": "Bonn"},
            "filters": {"allowed_domains": ["a"]},
        },
        {"type": "image_generation", "output_format": "png", "background": "auto"},
    ],
    tool_choice={
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "bash"}}]},
    },
    web_search_options={"user_location": {"type": "approximate", "approximate": {"city": "Bonn"}}},
    response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": CLOSED, "strict": True}},
    reasoning_effort="low",
    reasoning={"effort": "low", "summary": "auto", "max_tokens": 5, "exclude": False, "enabled": True},
    thinking={"type": "enabled", "budget_tokens": 2000},
    verbosity="low",
    service_tier="priority",
    stop=["a"],
    max_completion_tokens=5,
    prompt_cache_key="k",
    n=1,
    modalities=["text"],
    parallel_tool_calls=True,
)
PATHS = list(list_paths(WHOLE))


def test_the_whole_request_is_accepted_upstream():
    check_accepted(translate(WHOLE))


@settings(deadline=None, max_examples=800)
@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_is_taken_or_refused(path, value):
    try:
        translated = translate(put(WHOLE, path, value))
    except RequestInvalid as error:
        assert error.path or "not JSON" in str(error)
    else:
        check_accepted(translated)
        assert count_body(translated) > 0


@few
@given(JSON)
def test_any_json_is_no_more_than_refused(value):
    with pytest.raises(RequestInvalid):
        translate(value)
