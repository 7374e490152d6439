"""The events of a response, event by event, from the data of a reply."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulator_events import TWO_CALLS, run, shorten

from codexd.jsontext import loads
from codexd.simulator.events import Cut, Pause, encode
from codexd.simulator.options import TerminalOutput
from codexd.simulator.scripts import CutBy

TEXT = [
    "created",
    "in_progress",
    "output_item.added 0",
    "content_part.added 0",
    "output_text.delta 0 Hel",
    "output_text.delta 0 lo",
    "output_text.done 0",
    "content_part.done 0",
    "output_item.done 0",
    "completed",
]


def test_a_text_answer() -> None:
    steps = run({"output": [{"text": "Hello"}]})
    assert shorten(steps) == TEXT
    assert [step["sequence_number"] for step in steps] == list(range(10))
    added, part, done = steps[2], steps[3], steps[8]
    assert added["item"]["content"] == []
    assert added["item"]["status"] == "in_progress"
    assert part["part"] == {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    assert steps[6]["text"] == "Hello"
    assert done["item"]["content"][0]["text"] == "Hello"
    assert done["item"]["status"] == "completed"
    assert {step["item_id"] for step in steps if "item_id" in step} == {added["item"]["id"]} == {done["item"]["id"]}
    completed = steps[9]["response"]
    assert completed["output"] == []
    assert completed["usage"] == {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 128},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 122,
    }


def test_the_terminal_event_can_hold_the_output() -> None:
    reply = {"output": [{"text": "Hello"}]}
    full = run(reply, terminal_output=TerminalOutput.FULL)[-1]["response"]["output"]
    bare = run(reply, terminal_output=TerminalOutput.WITHOUT_IDS)[-1]["response"]["output"]
    assert full[0]["content"][0]["text"] == "Hello"
    assert "id" in full[0]
    assert bare[0]["content"][0]["text"] == "Hello"
    assert "id" not in bare[0]


def test_parallel_calls_interleave_and_close_in_reverse() -> None:
    steps = run({"output": [{"text": "x", "phase": "commentary"}, *TWO_CALLS], "interleave": True})
    assert shorten(steps)[8:-1] == [
        "output_item.added 1",
        "output_item.added 2",
        "function_call_arguments.delta 1 123",
        "function_call_arguments.delta 2 78",
        "function_call_arguments.delta 1 456",
        "function_call_arguments.done 2",
        "output_item.done 2",
        "function_call_arguments.done 1",
        "output_item.done 1",
    ]
    assert steps[2]["item"]["phase"] == "commentary"


def test_an_incomplete_answer() -> None:
    steps = run({"output": [{"text": "abc"}], "incomplete": "max_output_tokens"})
    assert steps[-1]["type"] == "response.incomplete"
    assert steps[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert steps[-2]["item"]["status"] == "incomplete"


FAILED = {"code": "server_is_overloaded", "message": "Busy."}


@pytest.mark.parametrize(
    ("form", "ending"), [("failed", ["failed"]), ("error", ["error"]), ("both", ["error", "failed"])]
)
def test_failures_before_content(form: str, ending: list[str]) -> None:
    steps = run({"output": [{"text": "Hello"}], "failed": FAILED, "as": form})
    assert shorten(steps) == ["created", "in_progress", *ending]
    for step in steps[2:]:
        error = step["error"] if step["type"] == "error" else step["response"]["error"]
        assert (error["code"], error["message"]) == ("server_is_overloaded", "Busy.")


def test_a_flat_error_and_the_usual_message() -> None:
    step = run({"failed": {"code": "context_length_exceeded"}, "as": "flat-error", "after_events": 0})[0]
    assert step == {
        "type": "error",
        "sequence_number": 0,
        "code": "context_length_exceeded",
        "message": "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "param": None,
    }


def test_a_usage_limit_in_the_stream_keeps_its_fields() -> None:
    failed = {"type": "usage_limit_reached", "message": "m", "resets_at": 5, "resets_in_seconds": 3}
    error = run({"failed": failed})[-1]["response"]["error"]
    assert error == {**failed, "code": None}


@pytest.mark.parametrize(
    ("point", "last"),
    [
        ({}, "output_item.done 1"),
        ({"after_items": 0}, "in_progress"),
        ({"after_items": 1}, "output_item.done 0"),
        ({"after_events": 5}, "output_text.delta 0 Hel"),
    ],
)
def test_where_a_cut_falls(point: dict[str, int], last: str) -> None:
    steps = run({"output": [{"text": "Hello"}, {"text": "you"}], "cut": "eof", **point})
    assert shorten(steps)[-2:] == [last, "Cut"]
    assert steps[-1] == Cut(CutBy.EOF)


def test_a_stall_goes_on_where_it_stopped() -> None:
    steps = run({"output": [{"text": "Hello"}], "stall_s": 2, "hold": "gate", "after_events": 5})
    assert shorten(steps) == [*TEXT[:5], "Pause", *TEXT[5:]]
    assert steps[5] == Pause(2, "gate")


def test_raw_events_stay_as_they_are() -> None:
    events = [{"type": "response.created"}, {"type": "odd", "x": 1}]
    assert run({"events": events}) == events
    assert run({"events": events, "cut": "connection", "after_events": 1}) == [events[0], Cut(CutBy.CONNECTION)]


@pytest.mark.parametrize(("usage", "expected"), [(None, None), ({"input_tokens": 1}, {"input_tokens": 1})])
def test_usage_as_given(usage: Any, expected: Any) -> None:
    assert run({"output": [], "usage": usage})[-1]["response"]["usage"] == expected


def test_usage_can_be_absent() -> None:
    assert "usage" not in run({"output": [], "usage": "absent"})[-1]["response"]


def test_the_preface_comes_first_and_is_not_numbered() -> None:
    steps = run({"output": []}, preface=({"type": "codex.rate_limits"},))
    assert steps[0] == {"type": "codex.rate_limits"}
    assert steps[1]["sequence_number"] == 0


def test_a_stall_counts_no_preface() -> None:
    steps = run({"output": [], "stall_s": 1, "after_events": 1}, preface=({"type": "codex.rate_limits"},))
    assert shorten(steps)[:3] == ["codex.rate_limits", "created", "Pause"]


def test_framing() -> None:
    frame = encode({"type": "a.b", "text": "line\nend"})
    assert frame == b'event: a.b\ndata: {"type":"a.b","text":"line\\nend"}\n\n'
    assert loads(frame.split(b"data: ")[1])["text"] == "line\nend"
