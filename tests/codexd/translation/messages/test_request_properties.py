import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.any_json import json_values, list_paths, put
from support.bodies import (
    CLOSED,
    HI,
    LONG_ID,
    PDF,
    TAG,
    TURNS,
    check_accepted,
    check_prefix,
    claude_code_body,
    image,
    make,
    result,
    text,
    thinking,
    translate,
    use,
)

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.tokens import count_body

few = settings(deadline=None, max_examples=150)

WORDS = st.sampled_from(["", "a", "b c", "größe\u2028", "<|endoftext|>", "Error: x"])
TEXTS = st.builds(text, WORDS)
RESULT_PARTS = st.lists(
    TEXTS
    | st.builds(image)
    | st.just({"type": "tool_reference", "tool_name": "Bash"})
    | st.just({"type": "input_text", "text": "x"}),
    max_size=3,
)
IDS = st.sampled_from(["c1", "c2", "c3", "toolu_01", LONG_ID])
USES = st.builds(
    lambda call_id, name, value: {**use(call_id, name), "input": value},
    IDS,
    st.sampled_from(["Bash", "a.b", "mcp__s__" + "y" * 80]),
    st.none() | st.dictionaries(WORDS, st.none() | st.integers() | st.lists(WORDS, max_size=2), max_size=2),
)
RESULTS = st.builds(
    lambda call_id, content, failed: result(call_id, content, is_error=failed),
    IDS,
    WORDS | RESULT_PARTS,
    st.none() | st.booleans(),
)
THINKINGS = st.builds(
    thinking,
    st.sampled_from(["rs_1", "rs_2"]),
    st.sampled_from(["gpt-5.5", "gpt-6-sol"]),
    st.sampled_from([TAG, "ffffffff"]),
)
PDFS = st.just(
    {"type": "document", "title": "spec", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
)
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {
            "role": st.just("user"),
            "content": WORDS | st.lists(TEXTS | RESULTS | st.builds(image) | PDFS | THINKINGS, max_size=4),
        }
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": WORDS
            | st.lists(
                TEXTS | USES | THINKINGS | st.builds(image),
                max_size=4,
                unique_by=lambda block: block.get("id", id(block)),
            ),
        }
    ),
    st.fixed_dictionaries({"role": st.just("system"), "content": WORDS | st.lists(TEXTS, max_size=2)}),
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["Bash", "a.b", "a/b", "mcp__s__" + "y" * 80]) | st.integers(0, 3)},
        optional={
            "description": WORDS,
            "input_schema": st.sampled_from([None, {}, {"type": "object", "properties": {"a": {"type": "array"}}}]),
            "defer_loading": st.booleans(),
        },
    ),
    max_size=4,
)
LEGAL = st.builds(
    lambda messages, tools, fields: make([*messages, *HI], tools=tools, **fields),
    st.lists(MESSAGES, max_size=5),
    TOOLS,
    st.fixed_dictionaries(
        {},
        optional={
            "system": WORDS | st.lists(TEXTS, max_size=3),
            "thinking": st.sampled_from(
                [{"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 9000}]
            ),
            "output_config": st.fixed_dictionaries(
                {},
                optional={
                    "effort": st.sampled_from(["none", "low", "max", "ultra"]),
                    "format": st.sampled_from([None, {"type": "json_schema", "schema": CLOSED}]),
                },
            ),
            "tool_choice": st.sampled_from(
                ["auto", {"type": "any"}, {"type": "none"}, {"type": "auto", "disable_parallel_tool_use": True}]
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


def as_blocks(value):
    """Every string form in ``value`` in its block form."""
    if isinstance(value, list):
        return [as_blocks(child) for child in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [text(child)] if name in ("content", "system") and isinstance(child, str) else as_blocks(child)
        for name, child in value.items()
    }


@few
@given(LEGAL)
def test_string_form_and_block_form_are_the_same_bytes(body):
    assert dumps(translate(as_blocks(body))) == dumps(translate(body))


EXCHANGES = st.lists(
    st.tuples(
        st.lists(TEXTS | THINKINGS, max_size=3),
        st.integers(0, 3),
        WORDS | RESULT_PARTS,
        WORDS,
        st.randoms(use_true_random=False),
    ),
    max_size=4,
)


@few
@given(EXCHANGES)
def test_a_growing_history_keeps_its_prefix(exchanges):
    messages, earlier = list(HI), translate(make())
    for number, (blocks, calls, content, words, random) in enumerate(exchanges):
        ids = [f"c{number}_{index}" for index in range(calls)]
        messages.append({"role": "assistant", "content": [*blocks, *(use(call_id) for call_id in ids)]})
        random.shuffle(ids)
        messages.append({"role": "user", "content": [*(result(call_id, content) for call_id in ids), text(words)]})
        later = translate(make(messages))
        check_prefix(earlier, later)
        check_accepted(later)
        earlier = later


JSON = json_values("text", "tool_use", "\ud800", names=("source", "messages"))

WHOLE = {
    **claude_code_body(len(TURNS)),
    "tool_choice": {"type": "tool", "name": "Bash"},
    "output_format": {"type": "json_schema", "schema": CLOSED},
}
PATHS = list(list_paths(WHOLE))


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
