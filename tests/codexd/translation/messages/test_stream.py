import json
from pathlib import Path

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
    summary_done,
    text,
)

from codexd.translation.messages.blocks import Thinking

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


# -- single answers -------------------------------------------------------------------------


THREE_PARTS = [summary("a"), summary("b", 1), summary("c", 1), summary("d", 2)]
TWO_CALLS = [added(0, **call(0)), added(1, **call(1, name="Read"))]


@pytest.mark.parametrize(
    ("events", "blocks", "reason"),
    [
        pytest.param(
            [text("Hel"), text("lo"), done(0, **message(0, "Hello")), COMPLETED], ["Hello"], "end_turn", id="text"
        ),
        pytest.param(
            [*THREE_PARTS, done(0, **reasoning(0, "a", "bc", "d")), COMPLETED],
            [("a\n\nbc\n\nd", "gAAAA")],
            "end_turn",
            id="summary-parts",
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
            id="two-reasoning-items",
        ),
        pytest.param(
            [added(0, **reasoning(0, enc="partial")), done(0, **reasoning(0, "a", enc="final")), COMPLETED],
            [("a", "final")],
            "end_turn",
            id="final-ciphertext",
        ),
        pytest.param(
            [added(0, **reasoning(0, enc="early")), done(0, **reasoning(0, "a", enc=None)), COMPLETED],
            [("a", "early")],
            "end_turn",
            id="early-ciphertext",
        ),
        pytest.param([done(0, **reasoning(0)), COMPLETED], [("", "gAAAA")], "end_turn", id="ciphertext-only"),
        pytest.param(
            [added(0, **reasoning(0, enc=None)), done(0, **reasoning(0, enc=None)), COMPLETED],
            [],
            "end_turn",
            id="empty-reasoning",
        ),
        pytest.param(
            [done(0, **reasoning(0, "a", enc=None)), COMPLETED],
            [("a", None)],
            "end_turn",
            id="empty-reasoning-unsigned",
        ),
        pytest.param(
            [summary_done("a"), summary_done("b", 1), done(0, **reasoning(0, "a", "b")), COMPLETED],
            [("a\n\nb", "gAAAA")],
            "end_turn",
            id="summary-in-done-only",
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
            id="text-then-call",
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
            id="interleaved-calls",
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
            id="text-while-a-call-is-open",
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
            id="late-name",
        ),
        pytest.param(
            [added(0, **call(0, name="")), arguments("{}"), COMPLETED], [], "end_turn", id="call-without-name"
        ),
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
            id="arguments-twice",
        ),
        pytest.param(
            [added(0, **call(0)), done(0, **call(0, '{"a":1}')), COMPLETED],
            ['Bash({"a":1})'],
            "tool_use",
            id="arguments-late-done",
        ),
        pytest.param(
            [added(0, **call(0)), end(output=[call(0, '{"a":1}')])],
            ['Bash({"a":1})'],
            "tool_use",
            id="arguments-late-output",
        ),
        pytest.param(
            [end(output=[reasoning(0, "a"), message(1, "t"), call(2, "{}")])],
            [("a", "gAAAA"), "t", "Bash({})"],
            "tool_use",
            id="arguments-late-all",
        ),
        pytest.param(
            [added(0, **call(0)), arguments('{"a":'), end(output=[call(0, '{"a":1}')])],
            ['Bash({"a":1})'],
            "tool_use",
            id="arguments-late-rest",
        ),
        pytest.param(
            [added(0, **call(0)), arguments_done(""), done(0, **call(0)), COMPLETED],
            ["Bash({})"],
            "tool_use",
            id="no-arguments",
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
            id="done-without-index",
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
            id="done-without-index-call-id",
        ),
        pytest.param([done(0, **message(0, "a", "b")), COMPLETED], ["ab"], "end_turn", id="text-in-done-only"),
        pytest.param(
            [text("a"), done(0, **message(0, "a")), end(output=None)], ["a"], "end_turn", id="output-is-empty"
        ),
        pytest.param([text("a"), COMPLETED], ["a"], "end_turn", id="output-is-empty-no-done"),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "max_output_tokens"})],
            ["a"],
            "max_tokens",
            id="incomplete",
        ),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "content_filter"})],
            ["a"],
            "refusal",
            id="incomplete-filter",
        ),
        pytest.param(
            [text("a"), end("incomplete", incomplete_details={"reason": "steered"})],
            ["a"],
            "max_tokens",
            id="incomplete-unknown",
        ),
        pytest.param(
            [text("a"), {"type": "response.incomplete", "response": {}}], ["a"], "max_tokens", id="incomplete-bare"
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
            id="half-a-call",
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
            id="unknown-events",
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
    ],
)
def test_blocks_and_stop_reason(events, blocks, reason):
    made = run(events)
    check_grammar(made)
    assert blocks_of(made) == blocks
    assert made[-2]["delta"]["stop_reason"] == reason
    assert made[-2]["delta"]["stop_sequence"] is None
