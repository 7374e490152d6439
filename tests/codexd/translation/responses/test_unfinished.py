"""Items that the backend began and did not finish."""

import pytest
from support.upstream_events import added

from codexd.translation.responses.unfinished import UnfinishedItems

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "run"}
PAGE = {"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}


def delta(kind, text, **place):
    return {"type": f"response.{kind}.delta", "item_id": "x_1", "output_index": 0, **place, "delta": text}


def collect(*events):
    unfinished = UnfinishedItems()
    for event in events:
        kind = event["type"]
        if "delta" in event:
            unfinished.add_delta(event, kind, event["delta"])
        elif kind == "finish":
            unfinished.finish(event["id"], event["place"])
        else:
            unfinished.add_detail(event, kind)
    return unfinished.complete("completed")


def text(words, *annotations):
    return {"type": "output_text", "text": words, "annotations": list(annotations), "logprobs": []}


@pytest.mark.parametrize(
    ("events", "items"),
    [
        ([], []),
        (
            [delta("output_text", "a", content_index=0), delta("output_text", "b", content_index=0)],
            [
                (
                    0,
                    {
                        "id": "x_1",
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "content": [text("ab")],
                    },
                )
            ],
        ),
        (
            [delta("output_text", "a", content_index=1), delta("refusal", "no", content_index=0)],
            [
                (
                    0,
                    {
                        "id": "x_1",
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "content": [{"type": "refusal", "refusal": "no"}, text("a")],
                    },
                )
            ],
        ),
        (
            [
                delta("output_text", "a", content_index=0),
                {
                    "type": "response.output_text.annotation.added",
                    "item_id": "x_1",
                    "output_index": 0,
                    "content_index": 0,
                    "annotation": PAGE,
                },
                {
                    "type": "response.output_text.done",
                    "item_id": "x_1",
                    "output_index": 0,
                    "content_index": 0,
                    "text": "abc",
                },
            ],
            [
                (
                    0,
                    {
                        "id": "x_1",
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "content": [text("abc", PAGE)],
                    },
                )
            ],
        ),
        (
            [
                added(0, **CALL),
                delta("function_call_arguments", '{"a"', item_id="fc_1"),
                delta("function_call_arguments", ":1}", item_id="fc_1"),
            ],
            [(0, {**CALL, "status": "completed", "arguments": '{"a":1}'})],
        ),
        ([added(0, **CALL)], [(0, {**CALL, "status": "completed", "arguments": "{}"})]),
        ([delta("function_call_arguments", "{}")], []),
        (
            [added(0, **{**CALL, "type": "custom_tool_call"}), delta("custom_tool_call_input", "raw", item_id="fc_1")],
            [(0, {**CALL, "type": "custom_tool_call", "status": "completed", "input": "raw"})],
        ),
        (
            [
                added(0, type="reasoning", id="rs_1", encrypted_content="gAAA"),
                delta("reasoning_summary_text", "hm", item_id="rs_1", summary_index=0),
                delta("output_text", "a", item_id="msg_1", output_index=1),
            ],
            [
                (
                    0,
                    {
                        "type": "reasoning",
                        "id": "rs_1",
                        "encrypted_content": "gAAA",
                        "status": "completed",
                        "summary": [{"type": "summary_text", "text": "hm"}],
                    },
                ),
                (
                    1,
                    {
                        "id": "msg_1",
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "content": [text("a")],
                    },
                ),
            ],
        ),
        (
            [delta("output_text", "a", output_index=None)],
            [
                (
                    None,
                    {
                        "id": "x_1",
                        "type": "message",
                        "status": "completed",
                        "role": "assistant",
                        "content": [text("a")],
                    },
                )
            ],
        ),
        ([added(0, type="web_search_call", id="ws_1")], []),
        ([delta("output_text", "a"), {"type": "finish", "id": "x_1", "place": 0}], []),
        ([delta("output_text", "a", output_index=None), {"type": "finish", "id": "x_1", "place": 7}], []),
        ([{**delta("output_text", "a"), "content_index": {}}], []),
    ],
)
def test_items(events, items):
    assert collect(*events) == items


def test_other_items_stay_when_one_is_done():
    events = [delta("output_text", "a"), delta("output_text", "b", item_id="x_2", output_index=1)]
    [(place, item)] = collect(*events, {"type": "finish", "id": "x_1", "place": 0})
    assert (place, item["content"]) == (1, [text("b")])
