"""What a stream says beside its blocks: refusals, usage, thinking as it was asked for, names, failures."""

import pytest
from support.answers import NOW, make_stream, run
from support.upstream_events import (
    COMPLETED,
    added,
    call,
    done,
    end,
    message,
    text,
)

from codexd.errors import ContextOverflow, Overloaded
from codexd.translation.messages.stream import State

ALL = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
}


@pytest.mark.parametrize(
    ("usage", "fresh", "written", "read", "output", "thinking"),
    [
        pytest.param(ALL, 56, 0, 64, 9, 5, id="usage"),
        pytest.param(
            {**ALL, "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 16}},
            40,
            16,
            64,
            9,
            5,
            id="usage-written",
        ),
        pytest.param(None, 0, 0, 0, 1, 0, id="no-usage"),
        pytest.param(
            {"input_tokens": 64, "input_tokens_details": {"cached_tokens": 64}}, 0, 0, 64, 0, 0, id="all-input-cached"
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
    ("events", "empty"),
    [
        pytest.param([COMPLETED], True, id="empty-answer"),
        pytest.param([added(0, **message(0)), done(0, **message(0, "")), COMPLETED], True, id="empty-answer-no-text"),
        pytest.param([text("a"), COMPLETED], False, id="text"),
        pytest.param([done(0, **call(0, "{}")), COMPLETED], False, id="call"),
        pytest.param([end("incomplete")], False, id="all-spent-on-reasoning"),
        pytest.param([], False, id="not-ended"),
    ],
)
def test_an_empty_answer_is_reported(events, empty):
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
