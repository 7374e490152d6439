"""The end that the client set: stop sequences and ``max_tokens``, and what usage says then."""

import pytest
from support.answers import NOW, blocks_of, check_grammar, make_stream, run
from support.upstream_events import COMPLETED, added, arguments, call, done, end, message, reasoning, summary, text

from codexd.translation.answering.text_cut import make_cut
from codexd.translation.messages.cut import MessageCut
from codexd.translation.messages.stream import State
from codexd.translation.models.catalogue import MAX_OUTPUT_TOKENS


@pytest.mark.parametrize(
    ("events", "options", "blocks", "reason", "sequence"),
    [
        pytest.param(
            [text("a E"), text("ND x")], {"stop_sequences": ["END"]}, ["a "], "stop_sequence", "END", id="stop-sequence"
        ),
        pytest.param(
            [text("E"), text("ND x")],
            {"stop_sequences": ["END"]},
            [],
            "stop_sequence",
            "END",
            id="stop-sequence-at-once",
        ),
        pytest.param(
            [text("a EN"), COMPLETED], {"stop_sequences": ["END"]}, ["a EN"], "end_turn", None, id="prefix-at-the-end"
        ),
        pytest.param(
            [text("a E"), done(0, **message(0, "a E")), text("ND", 1), COMPLETED],
            {"stop_sequences": ["END"]},
            ["a E", "ND"],
            "end_turn",
            None,
            id="not-across-blocks",
        ),
        pytest.param(
            [done(0, **message(0, "aEND")), done(1, **call(1, "{}")), COMPLETED],
            {"stop_sequences": ["END"]},
            ["a"],
            "stop_sequence",
            "END",
            id="nothing-after-it",
        ),
        pytest.param(
            [end(output=[message(0, "aENDb")])], {"stop_sequences": ["END"]}, ["a"], "stop_sequence", "END", id="late"
        ),
        pytest.param(
            [summary("END"), done(0, **reasoning(0, "END")), done(1, **call(1, '{"a":"END"}')), COMPLETED],
            {"stop_sequences": ["END"]},
            [("END", "gAAAA"), 'Bash({"a":"END"})'],
            "tool_use",
            None,
            id="not-in-thinking-or-arguments",
        ),
        pytest.param(
            [added(0, **call(0)), text("aENDb", 1), arguments("{}"), done(0, **call(0, "{}"))],
            {"stop_sequences": ["END"]},
            ["Bash({})", "a"],
            "stop_sequence",
            "END",
            id="in-a-block-that-waited",
        ),
        pytest.param(
            [text("Hello"), text(" world again")], {"max_tokens": 2}, ["Hello world"], "max_tokens", None, id="limit"
        ),
        pytest.param(
            [summary("one two three"), done(0, **reasoning(0)), text("Hello world", 1), COMPLETED],
            {"max_tokens": 2},
            [("one two three", "gAAAA"), "Hello world"],
            "end_turn",
            None,
            id="thinking-is-not-counted",
        ),
        pytest.param(
            [text("Hello world END")],
            {"max_tokens": 1, "stop_sequences": ["END"]},
            ["Hello"],
            "max_tokens",
            None,
            id="limit-before-stop-sequence",
        ),
        pytest.param(
            [text("a"), end(stop_reason="stop_sequence", stop_sequence="END")],
            {},
            ["a"],
            "stop_sequence",
            "END",
            id="from-the-backend",
        ),
        pytest.param([text("a"), end(stop_reason="stop")], {}, ["a"], "end_turn", None, id="stop-from-the-backend"),
    ],
)
def test_where_an_answer_ends(events, options, blocks, reason, sequence):
    made = run(events, **options)
    check_grammar(made)
    assert blocks_of(made) == blocks
    assert made[-2]["delta"] == {"stop_reason": reason, "stop_sequence": sequence}


def test_after_the_cut_the_stream_has_ended():
    stream = make_stream(stop_sequences=["END"])
    stream.receive_event(text("aEND"), now=NOW)
    assert stream.state is State.ENDED
    assert not stream.is_empty
    assert stream.receive_event(text("b"), now=NOW) == []
    assert stream.receive_event({"type": "error"}, now=NOW) == []


def test_no_limit_is_watched_that_no_answer_reaches():
    assert make_cut((), MAX_OUTPUT_TOKENS) is None
    assert make_cut((), None) is None
    assert make_cut((), MAX_OUTPUT_TOKENS - 1) is not None


def test_text_is_held_back_no_longer_than_needed():
    stream = make_stream(stop_sequences=["END"])
    held = [stream.receive_event(text(piece), now=NOW) for piece in ("E", "N", "d", "more")]
    assert held[:2] == [[], []]
    assert [event["delta"]["text"] for event in held[2] + held[3] if "delta" in event] == ["ENd", "more"]


@pytest.mark.parametrize(
    ("events", "options", "output", "thinking"),
    [
        pytest.param([text("x" * 40), COMPLETED], {}, 10, 0, id="no-usage"),
        pytest.param([text("天地玄黄"), COMPLETED], {}, 3, 0, id="no-usage-not-ascii"),
        pytest.param(
            [summary("x" * 8), done(0, **reasoning(0)), done(1, **call(1, '{"a":12}')), COMPLETED],
            {},
            4,
            2,
            id="no-usage-all-kinds",
        ),
        pytest.param([text("x" * 40 + "END" + "y" * 40)], {"stop_sequences": ["END"]}, 10, 0, id="cut"),
    ],
)
def test_usage_that_the_backend_does_not_tell_is_estimated(events, options, output, thinking):
    usage = run(events, count_input=lambda: 1234, **options)[-2]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (1234, output)
    assert usage["output_tokens_details"] == {"thinking_tokens": thinking}


@pytest.mark.parametrize(("speed", "told"), [(None, None), ("fast", "fast")])
def test_tier_and_speed_are_told_at_the_start(speed, told):
    usage = run([text("a")], speed=speed)[0]["message"]["usage"]
    assert (usage["service_tier"], usage.get("speed"), usage["output_tokens"]) == ("standard", told, 0)


@pytest.mark.parametrize(("rest", "passed"), [("ND", []), ("LS", ["text", "text_delta", "citations_delta", "stop"])])
def test_a_citation_of_text_that_is_held_back_waits_for_it(rest, passed):
    citation = {"type": "citations_delta", "citation": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [{"type": "text_delta", "text": "E"}, citation, {"type": "text_delta", "text": rest}]
    events = [start, *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas)]
    made = MessageCut(make_cut(["END"], None)).pass_on([*events, {"type": "content_block_stop", "index": 0}])
    kinds = [(event.get("content_block") or event.get("delta") or {"type": "stop"})["type"] for event in made]
    assert kinds == passed
