"""What a stream says beside its blocks: refusals, usage, thinking as it was asked for, names, failures."""

import pytest
from support.answers import NOW, blocks_of, check_grammar, make_stream, run
from support.upstream_events import (
    COMPLETED,
    added,
    arguments,
    arguments_done,
    call,
    done,
    end,
    message,
    reasoning,
    summary,
    text,
)

from codexd.errors import ContextOverflow, Overloaded
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.stream import State
from codexd.translation.reading.reasoning import unseal
from codexd.translation.reading.tool_names import shorten

REFUSAL = [
    {"type": "response.refusal.delta", "item_id": "msg_0", "output_index": 0, "content_index": 0, "delta": delta}
    for delta in ("I can", "not")
]


@pytest.mark.parametrize(
    ("tells", "reason"), [(True, "refusal"), (False, "end_turn")], ids=["case-122", "case-122-claude-code"]
)
def test_a_refusal_is_text(tells, reason):
    done_item = {"id": "msg_0", "type": "message", "content": [{"type": "refusal", "refusal": "I cannot"}]}
    made = run([*REFUSAL, done(0, **done_item), COMPLETED], reports_refusals=tells)
    assert blocks_of(made) == ["I cannot"]
    assert made[-2]["delta"]["stop_reason"] == reason
    details = {"type": "refusal", "category": None, "explanation": "I cannot"}
    assert made[-2]["delta"].get("stop_details") == (details if tells else None)


ALL = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
}


@pytest.mark.parametrize(
    ("usage", "fresh", "written", "read", "output", "thinking"),
    [
        pytest.param(ALL, 56, 0, 64, 9, 5, id="case-123"),
        pytest.param(
            {**ALL, "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 16}},
            40,
            16,
            64,
            9,
            5,
            id="case-123-written",
        ),
        pytest.param(None, 0, 0, 0, 1, 0, id="case-124"),
        pytest.param(
            {"input_tokens": 64, "input_tokens_details": {"cached_tokens": 64}}, 0, 0, 64, 0, 0, id="case-125"
        ),
        pytest.param({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 64}}, 0, 0, 64, 0, 0, id="floor"),
    ],
)
def test_usage(usage, fresh, written, read, output, thinking):
    made = run([text("a"), end(usage=usage)])
    assert made[-2]["usage"] == {
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thinking},
    }
    assert made[0]["message"]["usage"]["input_tokens"] == 0


def test_message_start():
    (start, *_) = run([text("a")])
    message_start = start["message"]
    assert (start["type"], message_start["id"], message_start["model"]) == ("message_start", "msg_1", "claude-x")
    assert (message_start["role"], message_start["content"], message_start["stop_reason"]) == ("assistant", [], None)


def test_start_is_given_once():
    stream = make_stream()
    assert stream.receive_event({"type": "response.created", "response": {}}, now=NOW) == []
    assert stream.state is State.WAITING
    assert [event["type"] for event in stream.start()] == ["message_start"]
    assert stream.start() == []
    assert "message_start" not in [event["type"] for event in stream.receive_event(text("a"), now=NOW)]


def test_nothing_follows_the_end():
    stream = make_stream()
    stream.receive_event(COMPLETED, now=NOW)
    assert stream.state is State.ENDED
    assert stream.receive_event(text("a"), now=NOW) == []
    assert stream.receive_event({"type": "error"}, now=NOW) == []


@pytest.mark.parametrize(
    ("thinking", "blocks"),
    [
        (Thinking.SHOWN, [("ab", "gAAAA"), "t"]),
        (Thinking.OMITTED, [("", "gAAAA"), "t"]),
        (Thinking.ABSENT, ["t"]),
        (Thinking.DISABLED, ["t"]),
    ],
)
def test_thinking_as_it_was_asked_for(thinking, blocks):
    raw = {
        "type": "response.reasoning_text.delta",
        "item_id": "rs_0",
        "output_index": 0,
        "content_index": 0,
        "delta": "b",
    }
    items = [summary("a"), {**summary("b"), "delta": "b"}, done(0, **reasoning(0, "ab")), text("t", 1), COMPLETED]
    assert blocks_of(run(items, thinking=thinking)) == blocks
    assert blocks_of(run([raw, done(0, **reasoning(0)), COMPLETED])) == [("b", "gAAAA")]


def test_a_cut_thinking_block_is_unsigned():
    made = run([summary("a"), end("incomplete")])
    check_grammar(made)
    assert blocks_of(made) == [("a", None)]
    assert made[-4]["delta"] == {"type": "signature_delta", "signature": ""}


def test_signatures_hold_what_the_next_request_needs():
    (signature,) = [
        event["delta"]["signature"]
        for event in run([done(0, **reasoning(0)), COMPLETED])
        if event["type"] == "content_block_delta"
    ]
    sealed = unseal(signature)
    assert (sealed.id, sealed.encrypted, sealed.model, sealed.account_tag) == ("rs_0", "gAAAA", "gpt-5.5", "0a1b2c3d")


LONG = "mcp__server__" + "x" * 80


@pytest.mark.parametrize("where", [added, done], ids=["case-133-added", "case-133-done"])
def test_a_shortened_name_is_restored(where):
    made = run(
        [where(0, **call(0, "{}", shorten(LONG))), done(0, **call(0, "{}", shorten(LONG))), COMPLETED],
        tools=["Bash", LONG],
    )
    assert blocks_of(made) == [LONG + "({})"]


def test_a_long_call_id_stays():
    """case-116"""
    item = {**call(0, "{}"), "call_id": "call_" + "x" * 150}
    assert run([done(0, **item), COMPLETED])[1]["content_block"]["id"] == item["call_id"]


def read(index, arguments):
    return call(index, arguments, "Read")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(read(0, '{"file_path":"a","pages":""}'), 'Read({"file_path":"a"})', id="case-119"),
        pytest.param(read(0, '{"pages":" \\n","limit":2.0}'), 'Read({"limit":2.0})', id="case-119-blank"),
        pytest.param(read(0, '{"pages": "1-5"}'), 'Read({"pages": "1-5"})', id="case-119-pages"),
        pytest.param(read(0, '{"file_path": "", "pages": null}'), 'Read({"file_path": "", "pages": null})', id="kept"),
        pytest.param(read(0, '{"pages": ""'), 'Read({"pages": "")', id="not-json"),
        pytest.param(call(0, '{"pages": ""}'), 'Bash({"pages": ""})', id="case-119-bash"),
    ],
)
def test_blank_pages_of_read_are_removed(item, expected):
    whole = item["arguments"]
    for events in (
        [done(0, **item)],
        [added(0, **{**item, "arguments": ""}), *map(arguments, whole), arguments_done(whole), done(0, **item)],
        [added(0, **{**item, "arguments": ""}), *map(arguments, whole)],
    ):
        assert blocks_of(run([*events, COMPLETED])) == [expected]


@pytest.mark.parametrize(
    ("events", "empty"),
    [
        pytest.param([COMPLETED], True, id="case-153"),
        pytest.param([added(0, **message(0)), done(0, **message(0, "")), COMPLETED], True, id="case-153-no-text"),
        pytest.param([text("a"), COMPLETED], False, id="text"),
        pytest.param([done(0, **call(0, "{}")), COMPLETED], False, id="call"),
        pytest.param([end("incomplete")], False, id="all-spent-on-reasoning"),
        pytest.param([], False, id="not-ended"),
    ],
)
def test_an_empty_answer_is_told(events, empty):
    stream = make_stream()
    for event in events:
        stream.receive_event(event, now=NOW)
    assert stream.is_empty is empty


def test_text_goes_out_as_it_comes():
    stream = make_stream()
    for index, event in enumerate([text("a"), text("b")]):
        assert stream.receive_event(event, now=NOW)[-1] == {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "ab"[index]},
        }


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}}, ContextOverflow),
        ({"type": "error", "error": {"code": "server_is_overloaded"}}, Overloaded),
        ({"type": "error", "code": "slow_down", "message": "x"}, Overloaded),
    ],
)
def test_failures_are_raised(event, kind):
    with pytest.raises(kind):
        run([text("a"), event])
