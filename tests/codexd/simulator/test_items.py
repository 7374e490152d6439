"""The events of one output item, event by event."""

from __future__ import annotations

from support.simulator_events import TWO_CALLS, make_context, run, shorten

from codexd.simulator.events import play
from codexd.simulator.prompts import Seal, read_seal
from codexd.simulator.scripts import parse_reply


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
