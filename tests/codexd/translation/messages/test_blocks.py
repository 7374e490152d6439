"""Text, thinking and tool use blocks of an answer."""

import pytest
from support.answers import blocks_of, check_grammar, run
from support.upstream_events import (
    COMPLETED,
    added,
    arguments,
    arguments_done,
    call,
    done,
    end,
    reasoning,
    summary,
    text,
)

from codexd.translation.messages.blocks import Thinking
from codexd.translation.reading.reasoning import unseal
from codexd.translation.reading.tool_names import shorten

REFUSAL = [
    {"type": "response.refusal.delta", "item_id": "msg_0", "output_index": 0, "content_index": 0, "delta": delta}
    for delta in ("I can", "not")
]


@pytest.mark.parametrize(
    ("reports", "reason"), [(True, "refusal"), (False, "end_turn")], ids=["reported", "claude-code"]
)
def test_a_refusal_is_text(reports, reason):
    done_item = {"id": "msg_0", "type": "message", "content": [{"type": "refusal", "refusal": "I cannot"}]}
    made = run([*REFUSAL, done(0, **done_item), COMPLETED], reports_refusals=reports)
    assert blocks_of(made) == ["I cannot"]
    assert made[-2]["delta"]["stop_reason"] == reason
    details = {"type": "refusal", "category": None, "explanation": "I cannot"}
    assert made[-2]["delta"].get("stop_details") == (details if reports else None)


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


@pytest.mark.parametrize("where", [added, done], ids=["added", "done"])
def test_a_shortened_name_is_restored(where):
    made = run(
        [where(0, **call(0, "{}", shorten(LONG))), done(0, **call(0, "{}", shorten(LONG))), COMPLETED],
        tools=["Bash", LONG],
    )
    assert blocks_of(made) == [LONG + "({})"]


def test_a_long_call_id_stays():
    item = {**call(0, "{}"), "call_id": "call_" + "x" * 150}
    assert run([done(0, **item), COMPLETED])[1]["content_block"]["id"] == item["call_id"]


def read(index, arguments):
    return call(index, arguments, "Read")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(read(0, '{"file_path":"a","pages":""}'), 'Read({"file_path":"a"})', id="pages"),
        pytest.param(read(0, '{"pages":" \\n","limit":2.0}'), 'Read({"limit":2.0})', id="pages-blank"),
        pytest.param(read(0, '{"pages": "1-5"}'), 'Read({"pages": "1-5"})', id="pages-pages"),
        pytest.param(read(0, '{"file_path": "", "pages": null}'), 'Read({"file_path": "", "pages": null})', id="kept"),
        pytest.param(read(0, '{"pages": ""'), 'Read({"pages": "")', id="not-json"),
        pytest.param(call(0, '{"pages": ""}'), 'Bash({"pages": ""})', id="pages-bash"),
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
