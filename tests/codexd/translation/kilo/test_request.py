"""A Responses body as Kilo's request: what becomes of each part, and what is written down of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.simulator.kilo import check_chat
from codexd.translation.kilo.request import to_chat
from codexd.translation.reading.losses import Losses

MODEL = "minimax/minimax-m2.5:free"
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "Bash", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
FUNCTION = {
    "type": "function",
    "name": "Bash",
    "description": "Runs",
    "strict": False,
    "parameters": {"type": "object"},
}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}


def convert(*items, **fields):
    losses = Losses()
    chat = to_chat({"model": "x", "input": list(items) or [USER], "stream": True, **fields}, MODEL, losses)
    return chat, {loss.path: loss.kind.value for loss in losses}


def messages_of(*items):
    return convert(*items)[0]["messages"]


def test_the_least_request():
    chat, lost = convert(
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="5e55-1on",
        metadata={"user": "me"},
        user="me",
        safety_identifier="me",
        client_metadata={"installation": "mine"},
    )
    assert chat == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert lost == {}


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([{"role": "user", "content": "hi"}], [{"role": "user", "content": "hi"}]),
        ([{**USER, "role": "developer"}], [{"role": "system", "content": "hi"}]),
        ([{**USER, "role": "system", "content": "a"}], [{"role": "system", "content": "a"}]),
        (
            [{**USER, "content": [*USER["content"], IMAGE]}],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi"},
                        {"type": "image_url", "image_url": {"url": IMAGE["image_url"]}},
                    ],
                }
            ],
        ),
        (
            [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
                CALL,
                {**CALL, "call_id": "call_2", "arguments": ""},
                RESULT,
                {**RESULT, "call_id": "call_2", "output": [{"type": "input_text", "text": "a"}, IMAGE]},
            ],
            [
                {
                    "role": "assistant",
                    "content": "I look.",
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": '{"a":1}'}},
                        {"id": "call_2", "type": "function", "function": {"name": "Bash", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
                {"role": "tool", "tool_call_id": "call_2", "content": "a"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE["image_url"]}}]},
            ],
        ),
        (
            [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
            [{"role": "assistant", "content": "No."}],
        ),
        ([{**USER, "content": []}, {**USER, "role": "assistant", "content": ""}], []),
        (
            [{"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "+a"}],
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "apply_patch", "arguments": '{"input":"+a"}'},
                        }
                    ],
                }
            ],
        ),
    ],
)
def test_messages(items, messages):
    assert messages_of(*items) == messages


def test_instructions_come_first_and_a_text_is_a_user_message():
    chat = to_chat({"instructions": "Be brief.", "input": "hi"}, MODEL, Losses())
    assert chat["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("item", "lost"),
    [
        ({"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}, {"input.reasoning": "approximated"}),
        ({"type": "web_search_call", "action": {}}, {"input.web_search_call": "dropped"}),
        ({"type": "unheard_of"}, {"input.unheard_of": "dropped"}),
        ({**USER, "content": [{"type": "input_file", "filename": "a.pdf"}]}, {"input.input_file": "dropped"}),
        ({**USER, "content": [{"type": "input_image", "file_id": "f"}]}, {"input.input_image": "dropped"}),
        ({**USER, "content": [{**IMAGE, "detail": "high"}]}, {"input.input_image.detail": "dropped"}),
        ({**USER, "content": [{"type": "input_text", "text": "a", "x": 1}]}, {"input.input_text.x": "dropped"}),
        ({**USER, "content": {"text": "a"}}, {"input.content": "dropped"}),
        ({**USER, "role": "narrator"}, {"input.message.role": "approximated"}),
        ({**USER, "x": 1, "y": None, "id": "msg_1", "status": "completed"}, {"input.message.x": "dropped"}),
    ],
)
def test_what_is_lost_is_written_down(item, lost):
    chat, found = convert(item, USER)
    assert found == lost
    assert "gAAAA" not in str(chat)


@pytest.mark.parametrize(
    ("fields", "made", "lost"),
    [
        ({"tools": [FUNCTION], "tool_choice": "auto"}, {"tool_choice": "auto"}, {}),
        (
            {"tools": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
            {"tool_choice": "required"},
            {},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "Bash"}},
            {"tool_choice": {"type": "function", "function": {"name": "Bash"}}},
            {},
        ),
        (
            {"tools": [FUNCTION, {"type": "web_search"}], "tool_choice": {"type": "web_search"}},
            {},
            {"tools.web_search": "dropped", "tool_choice": "dropped"},
        ),
        ({"tools": [{"type": "custom", "name": "apply_patch"}]}, {}, {"tools.apply_patch": "dropped"}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning": {"effort": "low"}}, {}),
        ({"reasoning": {"effort": "max"}}, {"reasoning": {"effort": "xhigh"}}, {"reasoning.effort": "approximated"}),
        (
            {"max_output_tokens": 99, "temperature": 0.5, "top_p": 1},
            {"max_tokens": 99, "temperature": 0.5, "top_p": 1},
            {},
        ),
        ({"service_tier": "priority"}, {}, {"service_tier": "dropped"}),
        ({"previous_response_id": None, "text": {"verbosity": "low"}}, {}, {"text.verbosity": "dropped"}),
        (
            {"text": {"format": {"type": "json_schema", "name": "r", "schema": {"type": "object"}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "r", "schema": {"type": "object"}, "strict": True},
                }
            },
            {},
        ),
        ({"text": {"format": {"type": "xml"}}}, {}, {"text.format": "dropped"}),
        ({"text": {"format": {"type": "text"}}}, {}, {}),
        (
            {"reasoning": {"effort": "extreme", "mode": "pro"}},
            {},
            {
                "reasoning.effort": "dropped",
                "reasoning.mode": "dropped",
            },
        ),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}, {}),
    ],
)
def test_other_fields(fields, made, lost):
    chat, found = convert(**fields)
    assert {name: chat.get(name) for name in made} == made
    assert found == lost
    if "parallel_tool_calls" in fields:
        assert chat["parallel_tool_calls"] is False


def test_tools():
    chat, _ = convert(tools=[FUNCTION, {"type": "function", "name": "n", "strict": True}])
    assert chat["tools"] == [
        {
            "type": "function",
            "function": {"name": "Bash", "description": "Runs", "parameters": {"type": "object"}},
        },
        {
            "type": "function",
            "function": {"name": "n", "parameters": {"type": "object", "properties": {}}, "strict": True},
        },
    ]


TEXT = st.text(min_size=1, max_size=5)
PARTS = st.lists(
    st.one_of(st.builds(lambda text: {"type": "input_text", "text": text}, TEXT), st.just(IMAGE)), min_size=1
)
MESSAGES = st.builds(
    lambda role, content: [{"type": "message", "role": role, "content": content}],
    st.sampled_from(["user", "developer"]),
    st.one_of(TEXT, PARTS.filter(lambda parts: parts[0] is not IMAGE)),
)


@st.composite
def turns(draw):
    """Calls of one turn, each with its result, as ``pairing`` leaves them."""
    names = draw(st.lists(st.uuids().map(str), min_size=1, max_size=3, unique=True))
    outputs = draw(st.lists(st.one_of(TEXT, PARTS), min_size=len(names), max_size=len(names)))
    said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": draw(TEXT)}]}]
    calls = [{**CALL, "call_id": name} for name in names]
    results = [{**RESULT, "call_id": name, "output": out} for name, out in zip(names, outputs, strict=True)]
    thought = [{"type": "reasoning", "summary": []}] if draw(st.booleans()) else []
    return [*thought, *(said if draw(st.booleans()) else []), *calls, *draw(st.permutations(results))]


@given(history=st.lists(st.one_of(MESSAGES, turns()), min_size=1, max_size=6))
def test_every_history_is_one_that_kilo_takes(history):
    items = [item for group in history for item in group]
    chat, _ = convert(*items, tools=[FUNCTION], tool_choice="auto", reasoning={"effort": "high"})
    assert check_chat(chat, {}, {MODEL: {}}) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "call_id", "output", "name", "tools", "format", "x"]),
            inner,
            max_size=4,
        ),
    ),
)


@given(body=st.dictionaries(st.sampled_from(["input", "tools", "tool_choice", "text", "reasoning", "x"]), JSON))
def test_nothing_that_a_client_may_have_sent_breaks_it(body):
    """A Responses body is passed through from the client, so it may hold anything."""
    assert to_chat(body, MODEL, Losses())["model"] == MODEL
