import json

import pytest
from answers import NOW, answers, blocks_of, check_grammar, make_stream, run
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.errors import CodexdError, UpstreamError
from codexd.translation.messages.blocks import Thinking

few = settings(deadline=None, max_examples=150)
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": [], "usage": None}}


@few
@given(answers(), st.sampled_from(Thinking))
def test_any_interleaving_gives_whole_blocks_one_after_the_other(answer, thinking):
    made = run(answer.events, thinking=thinking)
    check_grammar(made)
    expected = [_in_short(block) for block in answer.content]
    if thinking is Thinking.OMITTED:
        expected = [
            ("", block[1]) if isinstance(block, tuple) else block for block in expected if block[1:2] != (None,)
        ]
    elif thinking is not Thinking.SHOWN:
        expected = [block for block in expected if not isinstance(block, tuple)]
    assert [_parse_call(block) for block in blocks_of(made)] == expected
    calls = any(block["type"] == "tool_use" for block in answer.content)
    assert (made[-2]["delta"]["stop_reason"] == "tool_use") is calls


def _in_short(block):
    match block["type"]:
        case "text":
            return block["text"]
        case "thinking":
            return block["thinking"], block["signature"] or None
        case _:
            return [block["name"], block["input"]]


def _parse_call(block):
    if not isinstance(block, str) or not block.startswith(("Bash(", "Read(")):
        return block
    return [block[:4], json.loads(block[5:-1])]


FAILURES = [{"type": "error", "code": "server_error"}, {"type": "response.failed", "response": {"error": None}}]


@few
@given(answers(), st.data(), st.sampled_from(FAILURES))
def test_a_failure_after_any_prefix_ends_without_message_stop(answer, data, failure):
    stream = make_stream()
    length = data.draw(st.integers(0, len(answer.events) - 1))
    made = [made for event in answer.events[:length] for made in stream.receive_event(event, now=NOW)]
    with pytest.raises(UpstreamError):
        stream.receive_event(failure, now=NOW)
    assert not {"message_delta", "message_stop"} & {event["type"] for event in made}


@few
@given(answers())
def test_the_same_events_give_the_same_events(answer):
    assert run(answer.events) == run(answer.events)


CATALOGUE = [
    "codex.rate_limits",
    "codex.response.metadata",
    "error",
    "keepalive",
    *(
        f"response.{name}"
        for name in [
            "completed",
            "content_part.added",
            "content_part.done",
            "created",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "done",
            "failed",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "in_progress",
            "incomplete",
            "metadata",
            "output_item.added",
            "output_item.done",
            "output_text.annotation.added",
            "output_text.delta",
            "output_text.done",
            "queued",
            "reasoning_summary_part.added",
            "reasoning_summary_part.done",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_text.delta",
            "reasoning_text.done",
            "refusal.delta",
            "refusal.done",
            "web_search_call.completed",
        ]
    ),
]
KEYS = [
    "arguments",
    "call_id",
    "content",
    "content_index",
    "delta",
    "details",
    "encrypted_content",
    "error",
    "id",
    "incomplete_details",
    "input_tokens",
    "input_tokens_details",
    "item",
    "item_id",
    "message",
    "name",
    "output",
    "output_index",
    "reason",
    "refusal",
    "response",
    "status",
    "summary",
    "summary_index",
    "text",
    "type",
    "usage",
]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["", "x", "message", "reasoning", "function_call", "summary_text", "refusal", "incomplete"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
JUNK_EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(CATALOGUE),
    st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=6),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(JUNK_EVENTS, max_size=5))
def test_any_event_is_taken_or_is_a_failure(events):
    stream = make_stream()
    made = []
    try:
        for event in events:
            made += stream.receive_event(event, now=NOW)
        made += stream.receive_event(COMPLETED, now=NOW)
    except CodexdError:
        return
    check_grammar(made)
    check_types(made)


@few
@given(answers(), st.data())
def test_a_spoilt_event_in_an_answer_does_no_harm(answer, data):
    at = data.draw(st.integers(0, len(answer.events) - 1))
    spoilt = answer.events[at] | data.draw(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=3))
    spoilt = {**spoilt, "type": answer.events[at]["type"]}
    made = run([*answer.events[:at], spoilt, *answer.events[at + 1 :]])
    check_grammar(made)
    check_types(made)


def check_types(made):
    for event in made:
        if event["type"] == "content_block_delta":
            assert all(isinstance(value, str) for value in event["delta"].values())
        elif event["type"] == "content_block_start":
            block = event["content_block"]
            assert isinstance(block.get("id", ""), str)
            assert isinstance(block.get("name", ""), str)
        elif event["type"] == "message_delta":
            assert all(isinstance(value, int) for value in event["usage"].values() if not isinstance(value, dict))
