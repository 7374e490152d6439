import json
from pathlib import Path

import pytest
from answers import NOW, blocks_of, check_grammar, make_stream, run

from codexd.errors import ContextOverflow, Overloaded
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.reasoning import unseal
from codexd.translation.messages.stream import State
from codexd.translation.tool_names import shorten

TRACES = sorted((Path(__file__).parents[3] / "traces").glob("*.jsonl"))


# -- recorded traces --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path):
    """The first line holds what the client asked for; each other one an event and what it must make."""
    options, *steps = map(json.loads, path.read_text("utf-8").splitlines())
    stream = make_stream(Thinking(options.pop("thinking", "shown")), **options)
    for step in steps:
        assert stream.receive_event(step["up"], now=NOW) == step["down"]
    check_grammar([event for step in steps for event in step["down"]])


def test_there_are_traces():
    assert len(TRACES) >= 6


# -- cases of the reference -------------------------------------------------------------------------


def added(index, **item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, **item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def text(delta, index=0):
    return {
        "type": "response.output_text.delta",
        "item_id": f"msg_{index}",
        "output_index": index,
        "content_index": 0,
        "delta": delta,
    }


def arguments(delta, index=0):
    return {
        "type": "response.function_call_arguments.delta",
        "item_id": f"fc_{index}",
        "output_index": index,
        "delta": delta,
    }


def arguments_done(whole, index=0):
    return {
        "type": "response.function_call_arguments.done",
        "item_id": f"fc_{index}",
        "output_index": index,
        "arguments": whole,
    }


def summary(delta, part=0, index=0):
    return {
        "type": "response.reasoning_summary_text.delta",
        "item_id": f"rs_{index}",
        "output_index": index,
        "summary_index": part,
        "delta": delta,
    }


def summary_done(whole, part=0, index=0):
    return {
        "type": "response.reasoning_summary_text.done",
        "item_id": f"rs_{index}",
        "output_index": index,
        "summary_index": part,
        "text": whole,
    }


def call(index, arguments="", name="Bash"):
    return {
        "id": f"fc_{index}",
        "type": "function_call",
        "call_id": f"call_{index}",
        "name": name,
        "arguments": arguments,
    }


def message(index, *texts):
    return {
        "id": f"msg_{index}",
        "type": "message",
        "content": [{"type": "output_text", "text": text} for text in texts],
    }


def reasoning(index, *texts, enc="gAAAA"):
    return {
        "id": f"rs_{index}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in texts],
        "encrypted_content": enc,
    }


def end(kind="completed", **fields):
    return {"type": f"response.{kind}", "response": {"status": kind, "output": [], "usage": None, **fields}}


COMPLETED = end()


THREE_PARTS = [summary("a"), summary("b", 1), summary("c", 1), summary("d", 2)]
TWO_CALLS = [added(0, **call(0)), added(1, **call(1, name="Read"))]


@pytest.mark.parametrize(
    ("events", "blocks", "reason"),
    [
        pytest.param(
            [text("Hel"), text("lo"), done(0, **message(0, "Hello")), COMPLETED], ["Hello"], "end_turn", id="case-99"
        ),
        pytest.param(
            [*THREE_PARTS, done(0, **reasoning(0, "a", "bc", "d")), COMPLETED],
            [("a\n\nbc\n\nd", "gAAAA")],
            "end_turn",
            id="case-100",
        ),
        pytest.param(
            [
                summary("a"),
                done(0, **reasoning(0, "a")),
                summary("b", index=1),
                done(1, **reasoning(1, "b", enc="gB")),
                COMPLETED,
            ],
            [("a", "gAAAA"), ("b", "gB")],
            "end_turn",
            id="case-101",
        ),
        pytest.param(
            [added(0, **reasoning(0, enc="partial")), done(0, **reasoning(0, "a", enc="final")), COMPLETED],
            [("a", "final")],
            "end_turn",
            id="case-102",
        ),
        pytest.param(
            [added(0, **reasoning(0, enc="early")), done(0, **reasoning(0, "a", enc=None)), COMPLETED],
            [("a", "early")],
            "end_turn",
            id="case-103",
        ),
        pytest.param([done(0, **reasoning(0)), COMPLETED], [("", "gAAAA")], "end_turn", id="case-104"),
        pytest.param(
            [added(0, **reasoning(0, enc=None)), done(0, **reasoning(0, enc=None)), COMPLETED],
            [],
            "end_turn",
            id="case-105",
        ),
        pytest.param(
            [done(0, **reasoning(0, "a", enc=None)), COMPLETED], [("a", None)], "end_turn", id="case-105-unsigned"
        ),
        pytest.param(
            [summary_done("a"), summary_done("b", 1), done(0, **reasoning(0, "a", "b")), COMPLETED],
            [("a\n\nb", "gAAAA")],
            "end_turn",
            id="case-106",
        ),
        pytest.param(
            [
                text("t"),
                done(0, **message(0, "t")),
                added(1, **call(1)),
                arguments("{}", 1),
                done(1, **call(1, "{}")),
                COMPLETED,
            ],
            ["t", "Bash({})"],
            "tool_use",
            id="case-107",
        ),
        pytest.param(
            [
                *TWO_CALLS,
                arguments('{"a"'),
                arguments('{"b"', 1),
                arguments(":1}"),
                arguments(":2}", 1),
                done(1, **call(1, '{"b":2}', "Read")),
                done(0, **call(0, '{"a":1}')),
                COMPLETED,
            ],
            ['Bash({"a":1})', 'Read({"b":2})'],
            "tool_use",
            id="case-108",
        ),
        pytest.param(
            [
                added(0, **call(0)),
                text("t", 1),
                arguments("{}"),
                done(0, **call(0, "{}")),
                text("u", 1),
                done(1, **message(1, "tu")),
                COMPLETED,
            ],
            ["Bash({})", "tu"],
            "tool_use",
            id="case-109",
        ),
        pytest.param(
            [
                added(0, **call(0, name="")),
                arguments('{"a":'),
                arguments("1}"),
                done(0, **call(0, '{"a":1}')),
                COMPLETED,
            ],
            ['Bash({"a":1})'],
            "tool_use",
            id="case-110",
        ),
        pytest.param([added(0, **call(0, name="")), arguments("{}"), COMPLETED], [], "end_turn", id="case-111"),
        pytest.param(
            [
                added(0, **call(0)),
                arguments('{"a":1}'),
                arguments_done('{"a":1}'),
                done(0, **call(0, '{"a":1}')),
                end(output=[call(0, '{"a":1}')]),
            ],
            ['Bash({"a":1})'],
            "tool_use",
            id="case-112",
        ),
        pytest.param(
            [added(0, **call(0)), done(0, **call(0, '{"a":1}')), COMPLETED],
            ['Bash({"a":1})'],
            "tool_use",
            id="case-113-done",
        ),
        pytest.param(
            [added(0, **call(0)), end(output=[call(0, '{"a":1}')])], ['Bash({"a":1})'], "tool_use", id="case-113-output"
        ),
        pytest.param(
            [end(output=[reasoning(0, "a"), message(1, "t"), call(2, "{}")])],
            [("a", "gAAAA"), "t", "Bash({})"],
            "tool_use",
            id="case-113-all",
        ),
        pytest.param(
            [added(0, **call(0)), arguments('{"a":'), end(output=[call(0, '{"a":1}')])],
            ['Bash({"a":1})'],
            "tool_use",
            id="case-113-rest",
        ),
        pytest.param(
            [added(0, **call(0)), arguments_done(""), done(0, **call(0)), COMPLETED],
            ["Bash({})"],
            "tool_use",
            id="case-114",
        ),
        pytest.param(
            [
                *TWO_CALLS,
                {"type": "response.output_item.done", "item": call(1, "{1}", "Read")},
                {"type": "response.output_item.done", "item": call(0, "{0}")},
                COMPLETED,
            ],
            ["Bash({0})", "Read({1})"],
            "tool_use",
            id="case-115",
        ),
        pytest.param(
            [
                *TWO_CALLS,
                {"type": "response.output_item.done", "item": {**call(1, "{1}", "Read"), "id": None}},
                done(0, **call(0, "{0}")),
                COMPLETED,
            ],
            ["Bash({0})", "Read({1})"],
            "tool_use",
            id="case-115-call-id",
        ),
        pytest.param([done(0, **message(0, "a", "b")), COMPLETED], ["ab"], "end_turn", id="case-117"),
        pytest.param([text("a"), done(0, **message(0, "a")), end(output=None)], ["a"], "end_turn", id="case-118"),
        pytest.param([text("a"), COMPLETED], ["a"], "end_turn", id="case-118-no-done"),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "max_output_tokens"})],
            ["a"],
            "max_tokens",
            id="case-120",
        ),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "content_filter"})],
            ["a"],
            "refusal",
            id="case-120-filter",
        ),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "steered"})],
            ["a"],
            "max_tokens",
            id="case-120-unknown",
        ),
        pytest.param(
            [text("a"), {"type": "response.incomplete", "response": {}}], ["a"], "max_tokens", id="case-120-bare"
        ),
        pytest.param(
            [
                *TWO_CALLS,
                arguments("{}"),
                done(0, **call(0, "{}")),
                arguments('{"b', 1),
                end("incomplete", incomplete_details={"reason": "max_output_tokens"}),
            ],
            ["Bash({})", 'Read({"b)'],
            "max_tokens",
            id="case-121",
        ),
        pytest.param(
            [
                {"type": "codex.rate_limits"},
                {"type": "keepalive"},
                text("a"),
                {"type": "response.new_thing", "delta": "x"},
                COMPLETED,
            ],
            ["a"],
            "end_turn",
            id="case-128",
        ),
        pytest.param(
            [text("a"), done(0, **message(0, "a")), {**COMPLETED, "type": "response.done"}],
            ["a"],
            "end_turn",
            id="response.done",
        ),
        pytest.param([COMPLETED], [], "end_turn", id="empty"),
        pytest.param(
            [done(0, type="web_search_call", id="ws_1"), done(1, **message(1, "a")), COMPLETED],
            ["a"],
            "end_turn",
            id="item-of-another-kind",
        ),
        pytest.param(
            [done(0, **message(0, "a")), text("late"), summary("late"), COMPLETED],
            ["a"],
            "end_turn",
            id="after-the-end-of-an-item",
        ),
        pytest.param(
            [text("a"), done(1, **message(1, "b")), text("late", 1), done(0, **message(0, "a")), COMPLETED],
            ["a", "b"],
            "end_turn",
            id="after-the-end-of-a-waiting-item",
        ),
    ],
)
def test_blocks_and_stop_reason(events, blocks, reason):
    made = run(events)
    check_grammar(made)
    assert blocks_of(made) == blocks
    assert made[-2]["delta"]["stop_reason"] == reason
    assert made[-2]["delta"]["stop_sequence"] is None


REFUSAL = [
    {"type": "response.refusal.delta", "item_id": "msg_0", "output_index": 0, "content_index": 0, "delta": delta}
    for delta in ("I can", "not")
]


@pytest.mark.parametrize(
    ("tells", "reason"), [(True, "refusal"), (False, "end_turn")], ids=["case-122", "case-122-claude-code"]
)
def test_a_refusal_is_text(tells, reason):
    done_item = {"id": "msg_0", "type": "message", "content": [{"type": "refusal", "refusal": "I cannot"}]}
    made = run([*REFUSAL, done(0, **done_item), COMPLETED], tells_refusals=tells)
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
        pytest.param(None, 0, 0, 0, 0, 0, id="case-124"),
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
    item = {**call(0, "{}"), "call_id": "call_" + "x" * 150}
    assert run([done(0, **item), COMPLETED])[1]["content_block"]["id"] == item["call_id"]


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
