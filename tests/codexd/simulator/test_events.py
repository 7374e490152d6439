"""The events of a response, event by event, from the data of a reply."""

from __future__ import annotations

from typing import Any

import pytest

from codexd.jsontext import loads
from codexd.simulator.events import Cut, Pause, ResponseContext, encode, play
from codexd.simulator.options import TerminalOutput
from codexd.simulator.prompts import Seal, read_seal
from codexd.simulator.scripts import CutBy, parse_reply


def make_context(**changes: Any) -> ResponseContext:
    given: dict[str, Any] = {
        "response_id": "resp_1",
        "model": "gpt-5.5",
        "created_at": 1_795_000_000,
        "account_id": "account-own",
        "input_tokens": 120,
        "cached_tokens": 64 * 2,
        "delta_chars": 3,
        "request": {"include": ["reasoning.encrypted_content"]},
    }
    return ResponseContext(**{**given, **changes})


def run(reply: dict[str, Any], **changes: Any) -> list[Any]:
    return list(play(parse_reply(reply), make_context(**changes)))


def shorten(steps: list[Any]) -> list[str]:
    """``type`` without ``response.``, with the output index and the delta where there is one."""
    short = []
    for step in steps:
        if isinstance(step, Pause | Cut):
            short.append(type(step).__name__)
            continue
        parts = [step["type"].removeprefix("response.")]
        parts += [str(step["output_index"])] if "output_index" in step else []
        parts += [step["delta"]] if "delta" in step else []
        short.append(" ".join(parts))
    return short


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


def test_reasoning_then_text() -> None:
    steps = run({"output": [{"reasoning": {"summary": ["Plan", "B"]}}, {"text": "x"}]})
    assert shorten(steps)[2:16] == [
        "output_item.added 0",
        "reasoning_summary_part.added 0",
        "reasoning_summary_text.delta 0 Pla",
        "reasoning_summary_text.delta 0 n",
        "reasoning_summary_text.done 0",
        "reasoning_summary_part.done 0",
        "reasoning_summary_part.added 0",
        "reasoning_summary_text.delta 0 B",
        "reasoning_summary_text.done 0",
        "reasoning_summary_part.done 0",
        "output_item.done 0",
        "output_item.added 1",
        "content_part.added 1",
        "output_text.delta 1 x",
    ]
    assert [step["summary_index"] for step in steps if "summary_index" in step] == [0] * 5 + [1] * 4
    sealed = steps[12]["item"]["encrypted_content"]
    assert read_seal(sealed, "account-own") is Seal.OWN
    assert read_seal(sealed, "account-foreign") is Seal.FOREIGN
    assert steps[2]["item"]["encrypted_content"] != sealed
    assert steps[-1]["response"]["usage"]["output_tokens_details"]["reasoning_tokens"] == 2


def test_reasoning_without_a_summary_still_carries_its_seal() -> None:
    steps = run({"output": [{"reasoning": {}}]})
    assert shorten(steps)[2:4] == ["output_item.added 0", "output_item.done 0"]
    assert steps[3]["item"]["encrypted_content"].startswith("gAAAA")


def test_reasoning_is_sealed_only_for_who_asks_for_it() -> None:
    (done,) = [step for step in run({"output": [{"reasoning": {}}]}, request={}) if "output_item.done" in step["type"]]
    assert "encrypted_content" not in done["item"]


def test_a_summary_in_done_events_only() -> None:
    steps = run({"output": [{"reasoning": {"summary": ["Plan"]}}], "summary_in_done_only": True})
    assert not any("delta" in step for step in steps)
    assert [step["text"] for step in steps if step["type"] == "response.reasoning_summary_text.done"] == ["Plan"]


def test_a_function_call() -> None:
    steps = run({"output": [{"call": {"name": "ls", "arguments": {"a": 1}, "call_id": "call_1"}}]})
    assert shorten(steps)[2:-1] == [
        "output_item.added 0",
        'function_call_arguments.delta 0 {"a',
        'function_call_arguments.delta 0 ":1',
        "function_call_arguments.delta 0 }",
        "function_call_arguments.done 0",
        "output_item.done 0",
    ]
    assert steps[2]["item"]["arguments"] == ""
    assert steps[2]["item"]["name"] == "ls"
    assert steps[6]["arguments"] == '{"a":1}'
    assert not any("call_id" in step for step in steps)
    assert steps[7]["item"] == {**steps[2]["item"], "status": "completed", "arguments": '{"a":1}'}


TWO_CALLS = [
    {"call": {"name": "a", "arguments": "123456", "call_id": "call_a"}},
    {"call": {"name": "b", "arguments": "78", "call_id": "call_b"}},
]


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


def test_odd_calls() -> None:
    steps = run(
        {
            "output": TWO_CALLS[:1],
            "arguments_in_done_only": True,
            "name_in_done_only": True,
            "done_without_index": True,
        }
    )
    assert shorten(steps)[2:-1] == ["output_item.added 0", "function_call_arguments.done 0", "output_item.done"]
    assert steps[2]["item"]["name"] == ""
    assert steps[4]["item"]["name"] == "a"


def test_custom_calls_searches_and_refusals() -> None:
    steps = run(
        {
            "output": [
                {"custom_call": {"name": "apply_patch", "input": "***"}},
                {"web_search": {"query": "bonn", "sources": ["https://example.com/a"]}},
                {"refusal": "No."},
            ]
        }
    )
    assert shorten(steps)[2:-1] == [
        "output_item.added 0",
        "custom_tool_call_input.delta 0 ***",
        "custom_tool_call_input.done 0",
        "output_item.done 0",
        "output_item.added 1",
        "web_search_call.in_progress 1",
        "web_search_call.searching 1",
        "web_search_call.completed 1",
        "output_item.done 1",
        "output_item.added 2",
        "content_part.added 2",
        "refusal.delta 2 No.",
        "refusal.done 2",
        "content_part.done 2",
        "output_item.done 2",
    ]
    assert "action" not in steps[6]["item"]
    assert steps[10]["item"]["action"] == {
        "type": "search",
        "query": "bonn",
        "queries": ["bonn"],
        "sources": [{"type": "url", "url": "https://example.com/a"}],
    }
    assert steps[12]["part"] == {"type": "refusal", "refusal": ""}
    assert steps[16]["item"]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_annotations_come_one_by_one_and_again_in_the_part() -> None:
    note = {"type": "url_citation", "start_index": 0, "end_index": 3, "url": "https://example.com/a", "title": "A"}
    steps = run({"output": [{"text": "abc", "annotations": [note]}]})
    assert shorten(steps)[4:7] == ["output_text.delta 0 abc", "output_text.annotation.added 0", "output_text.done 0"]
    assert steps[3]["part"]["annotations"] == []
    assert steps[7]["part"]["annotations"] == [note]


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


def test_a_big_text_has_its_size_and_no_memory_of_it() -> None:
    stream = play(parse_reply({"big_text": {"bytes": 2_500, "chunk_bytes": 1_000}}), make_context())
    steps = list(stream)
    assert [len(step["delta"]) for step in steps if "delta" in step] == [1_000, 1_000, 500]
    endless = play(parse_reply({"big_text": {"bytes": 10**15}}), make_context())
    assert [next(endless)["type"] for _ in range(6)][-1] == "response.output_text.delta"


def test_ids_differ_between_items_and_responses() -> None:
    reply = {"output": [{"text": "a"}, {"text": "b"}]}
    ids = [
        step["item"]["id"]
        for response_id in ("resp_1", "resp_2")
        for step in run(reply, response_id=response_id)
        if step["type"] == "response.output_item.done"
    ]
    assert len(set(ids)) == 4
    assert all(len(item_id) <= 64 for item_id in ids)


def test_framing() -> None:
    frame = encode({"type": "a.b", "text": "line\nend"})
    assert frame == b'event: a.b\ndata: {"type":"a.b","text":"line\\nend"}\n\n'
    assert loads(frame.split(b"data: ")[1])["text"] == "line\nend"
