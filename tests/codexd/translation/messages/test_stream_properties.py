import json

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from support.answers import NOW, answers, blocks_of, check_grammar, make_stream, run

from codexd.errors import CodexdError, StreamBroken, UpstreamError
from codexd.translation.backend import EventParser
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.collect import MessageCollector
from codexd.translation.sse import Decoder

few = settings(deadline=None, max_examples=150)
SDK_EVENT = TypeAdapter(RawMessageStreamEvent)
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": [], "usage": None}}


@few
@given(answers(), st.sampled_from(Thinking))
def test_any_interleaving_gives_whole_blocks_one_after_the_other(answer, thinking):
    made = run(answer.events, thinking=thinking)
    check_grammar(made)
    expected = [_in_short(block) for block in answer.content]
    if thinking is Thinking.OMITTED:
        expected = [
            ("", block[1]) if isinstance(block, tuple) else block
            for block in expected
            if not (isinstance(block, tuple) and block[1] is None)
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
        case "web_search_tool_result":
            return block["content"]
        case _:
            return [block["name"], block["input"]]


def _parse_call(block):
    if not isinstance(block, str) or not block.startswith(("Bash(", "Read(", "web_search(")):
        return block
    name, _, arguments = block.partition("(")
    return [name, json.loads(arguments[:-1])]


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
@given(answers(), st.lists(st.text("ab01", min_size=1, max_size=3), max_size=3), st.none() | st.integers(0, 6))
def test_the_same_events_give_the_same_events(answer, stop_sequences, max_tokens):
    options = {"stop_sequences": stop_sequences, "max_tokens": max_tokens}
    assert run(answer.events, **options) == run(answer.events, **options)


@few
@given(answers(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["data:", "data: "]), st.booleans(), st.data())
def test_the_bytes_may_be_written_and_cut_in_any_way(answer, line_end, field, pretty, data):
    lines = []
    for event in answer.events:
        text = json.dumps(event, indent=1 if pretty else None)
        lines += [f"event: {event['type']}", *(field + line for line in text.splitlines()), "", ": comment", ""]
    body = line_end.join([*lines, ""]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    decoder = Decoder()
    frames = [
        frame
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        for frame in decoder.receive_data(body[start:end])
    ]
    parser = EventParser()
    assert run([event for frame in frames for event in parser.parse(frame)]) == run(answer.events)


def test_a_line_of_20_mb():
    event = {"type": "response.output_text.delta", "item_id": "msg_0", "delta": "x" * 20_000_000}
    body = b"data: " + json.dumps(event).encode() + b"\n\n"
    decoder = Decoder()
    frames = [frame for at in range(0, len(body), 65536) for frame in decoder.receive_data(body[at : at + 65536])]
    assert blocks_of(run([*EventParser().parse(frames[0]), COMPLETED])) == [event["delta"]]


@few
@given(answers(), st.lists(st.text("ab01", min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_cut_answer_is_the_whole_one_up_to_a_stop_sequence(answer, stop_sequences):
    made = run(answer.events, stop_sequences=stop_sequences)
    check_grammar(made)
    expected, reason, found = [], None, None
    for block in [_parse_call(block) for block in blocks_of(run(answer.events))]:
        text, found = cut_at(block, stop_sequences) if isinstance(block, str) else (block, None)
        expected += [text] if text != "" else []
        if found is not None:
            reason = "stop_sequence"
            break
    assert [_parse_call(block) for block in blocks_of(made)] == expected
    assert made[-2]["delta"]["stop_sequence"] == found
    assert (made[-2]["delta"]["stop_reason"] == "stop_sequence") is (reason is not None)


def cut_at(text, stop_sequences):
    """By the book: the sequence that begins first, the longest of those."""
    hits = [(text.find(sequence), -len(sequence), sequence) for sequence in stop_sequences if sequence in text]
    if not hits:
        return text, None
    start, _, found = min(hits)
    return text[:start], found


@few
@given(answers(), st.booleans())
def test_the_sdk_puts_every_stream_together(answer, web_search_only):
    """The real accumulator of the ``anthropic`` package takes every event, and gets what we collect."""
    snapshot, buffers = None, {}
    collector = MessageCollector()
    for event in run(answer.events, web_search_only=web_search_only):
        typed = SDK_EVENT.validate_python(event)
        snapshot = accumulate_event(event=typed, current_snapshot=snapshot, json_bufs=buffers)
        collector.receive_events([event])
    message = collector.document
    assert [block.type for block in snapshot.content] == [block["type"] for block in message["content"]]
    for theirs, ours in zip(snapshot.to_dict()["content"], message["content"], strict=True):
        assert {key: value for key, value in theirs.items() if value is not None} == without_nones(ours)
    assert (snapshot.stop_reason, snapshot.usage.output_tokens) == (
        message["stop_reason"],
        message["usage"]["output_tokens"],
    )
    Message.model_validate(message)


def without_nones(block):
    return {key: value for key, value in block.items() if value is not None}


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
    "action",
    "annotation",
    "annotations",
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
    "part",
    "queries",
    "query",
    "sources",
    "start_index",
    "title",
    "url",
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
    | st.sampled_from(
        [
            "",
            "x",
            "search",
            "url_citation",
            "web_search_call",
            "message",
            "reasoning",
            "function_call",
            "summary_text",
            "refusal",
            "incomplete",
        ]
    ),
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
    try:
        made = run([*answer.events[:at], spoilt, *answer.events[at + 1 :]])
    except StreamBroken:
        return  # a delta is missing now
    check_grammar(made)
    check_types(made)


def check_types(made):
    for event in made:
        if event["type"] == "content_block_delta":
            delta = event["delta"]
            assert all(
                isinstance(value, str) for value in (delta.get("citation") or delta).values() if value is not None
            )
        elif event["type"] == "content_block_start":
            block = event["content_block"]
            assert isinstance(block.get("id", ""), str)
            assert isinstance(block.get("name", ""), str)
        elif event["type"] == "message_delta":
            assert all(isinstance(value, int) for value in event["usage"].values() if not isinstance(value, dict))
