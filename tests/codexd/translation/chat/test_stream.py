import pytest
from support.chunks import FIRST, HEAD, NOW, check_chunks, collect, deltas_of, finish_of, make_stream, open_seals, run
from support.upstream_events import (
    COMPLETED,
    added,
    arguments,
    arguments_done,
    call,
    custom_call,
    custom_input,
    done,
    end,
    message,
    reasoning,
    refusal,
    summary,
    summary_done,
    text,
)

from codexd.errors import ContextOverflow
from codexd.translation.client_api import State


def begin(index, call_id, name="bash"):
    return {
        "tool_calls": [{"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}]
    }


def go_on(index, words):
    return {"tool_calls": [{"index": index, "function": {"arguments": words}}]}


def begin_custom(index, call_id, name="patch"):
    return {"tool_calls": [{"index": index, "id": call_id, "type": "custom", "custom": {"name": name, "input": ""}}]}


def go_on_custom(index, words):
    return {"tool_calls": [{"index": index, "custom": {"input": words}}]}


def bash(index, words=""):
    return call(index, words, name="bash")


CITED = {
    "type": "url_citation",
    "url": "https://example.com",
    "title": "Example",
    "start_index": 1,
    "end_index": 3,
}


@pytest.mark.parametrize(
    ("events", "deltas", "reason"),
    [
        pytest.param(
            [text("Hel"), text("lo"), done(0, **message(0, "Hello")), COMPLETED],
            [{"content": "Hel"}, {"content": "lo"}],
            "stop",
            id="text",
        ),
        pytest.param(
            [
                added(0, **bash(0)),
                added(1, **bash(1)),
                arguments('{"a"', 0),
                arguments('{"b"', 1),
                arguments(":1}", 0),
                arguments(":2}", 1),
                done(1, **bash(1, '{"b":2}')),
                done(0, **bash(0, '{"a":1}')),
                COMPLETED,
            ],
            [
                begin(0, "call_0"),
                go_on(0, '{"a"'),
                go_on(0, ":1}"),
                begin(1, "call_1"),
                go_on(1, '{"b"'),
                go_on(1, ":2}"),
            ],
            "tool_calls",
            id="parallel-calls",
        ),
        pytest.param(
            [text("Look."), done(0, **message(0, "Look.")), added(1, **bash(1)), arguments("{}", 1), COMPLETED],
            [{"content": "Look."}, begin(0, "call_1"), go_on(0, "{}")],
            "tool_calls",
            id="one-finish-reason",
        ),
        pytest.param(
            [
                added(0, **call(0, name="")),
                arguments('{"a":', 0),
                added(1, **bash(1)),
                done(0, **bash(0, '{"a":1}')),
                done(1, **bash(1, "{}")),
                COMPLETED,
            ],
            [begin(0, "call_0"), go_on(0, '{"a":'), go_on(0, "1}"), begin(1, "call_1"), go_on(1, "{}")],
            "tool_calls",
            id="a name that comes late",
        ),
        pytest.param(
            [added(0, **call(0, name="")), arguments("{}"), text("x", 1), COMPLETED],
            [{"content": "x"}],
            "stop",
            id="a name that never comes",
        ),
        pytest.param(
            [added(0, **bash(0)), arguments_done('{"a":1}'), done(0, **bash(0, '{"a":1}')), COMPLETED],
            [begin(0, "call_0"), go_on(0, '{"a":1}')],
            "tool_calls",
            id="arguments in done only",
        ),
        pytest.param(
            [text("a"), added(1, **bash(1)), text("b"), arguments("{}", 1), done(0, **message(0, "ab")), COMPLETED],
            [{"content": "a"}, {"content": "b"}, begin(0, "call_1"), go_on(0, "{}")],
            "tool_calls",
            id="a call waits for the text before it",
        ),
        pytest.param(
            [added(0, **bash(0)), arguments('{"a"'), arguments_done('{"a":1}'), end(output=[bash(0, '{"a":1}')])],
            [begin(0, "call_0"), go_on(0, '{"a"'), go_on(0, ":1}")],
            "tool_calls",
            id="arguments in deltas and in done",
        ),
        pytest.param(
            [end(output=[message(0, "x"), bash(1, "{}"), custom_call(2, "y")])],
            [{"content": "x"}, begin(0, "call_1"), go_on(0, "{}"), begin_custom(1, "call_2"), go_on_custom(1, "y")],
            "tool_calls",
            id="all of it in the terminal event only",
        ),
        pytest.param(
            [done(0, **bash(0)), done(1, **custom_call(1)), COMPLETED],
            [begin(0, "call_0"), go_on(0, "{}"), begin_custom(1, "call_1")],
            "tool_calls",
            id="empty arguments",
        ),
        pytest.param(
            [
                added(0, **custom_call(0)),
                custom_input("*** Begin\n"),
                custom_input('"raw"'),
                done(0, **custom_call(0, '*** Begin\n"raw"')),
                COMPLETED,
            ],
            [begin_custom(0, "call_0"), go_on_custom(0, "*** Begin\n"), go_on_custom(0, '"raw"')],
            "tool_calls",
            id="custom-tool",
        ),
        pytest.param([refusal("I can't"), COMPLETED], [{"refusal": "I can't"}], "stop", id="refusal"),
        pytest.param(
            [summary("thought"), done(0, **reasoning(0, "thought")), text("x", 1), COMPLETED],
            [{"content": "x"}],
            "stop",
            id="reasoning that nobody asked for",
        ),
        pytest.param(
            [text("x"), end("incomplete", incomplete_details={"reason": "max_output_tokens"})],
            [{"content": "x"}],
            "length",
            id="incomplete",
        ),
        pytest.param(
            [
                added(0, **bash(0)),
                arguments('{"a'),
                end("incomplete", incomplete_details={"reason": "max_output_tokens"}),
            ],
            [begin(0, "call_0"), go_on(0, '{"a')],
            "length",
            id="incomplete-call",
        ),
        pytest.param(
            [text("x"), end("incomplete", incomplete_details={"reason": "content_filter"})],
            [{"content": "x"}],
            "content_filter",
            id="content filter",
        ),
        pytest.param(
            [text("one"), done(0, **message(0, "one")), added(1, **message(1)), done(1, **message(1, "")), COMPLETED],
            [{"content": "one"}],
            "stop",
            id="empty-second-message",
        ),
        pytest.param(
            [text("one"), text("two", 1), text(" more"), done(0, **message(0, "one more")), COMPLETED],
            [{"content": "one"}, {"content": " more"}, {"content": "two"}],
            "stop",
            id="two messages at once are told one after the other",
        ),
        pytest.param(
            [
                done(0, id="ig_0", type="image_generation_call", result="aGk=", output_format="webp"),
                done(1, id="ig_1", type="image_generation_call", result="aG8="),
                COMPLETED,
            ],
            [
                {"images": [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}}]},
                {"images": [{"index": 1, "type": "image_url", "image_url": {"url": "data:image/png;base64,aG8="}}]},
            ],
            "stop",
            id="images",
        ),
        pytest.param(
            [
                done(0, **message(0, "ab")),
                text("cdef", 1),
                {
                    "type": "response.output_text.annotation.added",
                    "item_id": "msg_1",
                    "output_index": 1,
                    "content_index": 0,
                    "annotation": CITED,
                },
                done(
                    1,
                    id="msg_1",
                    type="message",
                    content=[{"type": "output_text", "text": "cdef", "annotations": [CITED]}],
                ),
                COMPLETED,
            ],
            [
                {"content": "ab"},
                {"content": "cdef"},
                {
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://example.com",
                                "title": "Example",
                                "start_index": 3,
                                "end_index": 5,
                            },
                        }
                    ]
                },
            ],
            "stop",
            id="citations once, at their place in the whole",
        ),
        pytest.param(
            [added(0, id="ws_0", type="web_search_call"), {"type": "keepalive"}, {"type": "response.new"}, COMPLETED],
            [],
            "stop",
            id="what a Chat client is told nothing of",
        ),
    ],
)
def test_deltas(events, deltas, reason):
    made = run(events)
    check_chunks(made)
    assert deltas_of(made) == [FIRST, *deltas, {}]
    assert finish_of(made) == reason


def test_one_head_for_all_chunks():
    made = run([text("x"), COMPLETED], service_tier="priority")
    choice = {"index": 0, "logprobs": None, "finish_reason": None}
    assert made[0] == {**HEAD, "choices": [{**choice, "delta": FIRST}], "service_tier": "priority"}
    assert made[-1] == {
        **HEAD,
        "choices": [{**choice, "delta": {}, "finish_reason": "stop"}],
        "service_tier": "priority",
    }


def test_a_client_that_shows_reasoning_gets_it():
    made = run(
        [
            summary("a"),
            summary("b", 1),
            done(0, **reasoning(0, "a", "b")),
            summary_done("c", index=1),
            done(1, **reasoning(1, "c", enc="gB")),
            text("x", 2),
            COMPLETED,
        ],
        shows_reasoning=True,
    )
    check_chunks(made)
    answer = collect(made)["choices"][0]["message"]
    assert (answer["reasoning_content"], answer["content"]) == ("a\n\nb\n\nc", "x")
    assert open_seals(answer) == ["gAAAA", "gB"]
    assert [entry["index"] for entry in answer["reasoning_details"]] == [0, 1]


def test_ciphertext_of_an_unfinished_item_counts_for_nothing():
    events = [added(0, **reasoning(0, enc="partial")), summary("a"), text("x", 1), COMPLETED]
    assert "reasoning_details" not in collect(run(events, shows_reasoning=True))["choices"][0]["message"]
    early = [added(0, **reasoning(0, enc="early")), done(0, **reasoning(0, enc=None)), COMPLETED]
    assert open_seals(collect(run(early, shows_reasoning=True))["choices"][0]["message"]) == ["early"]


def test_names_are_restored():
    made = run([done(0, **call(0, "{}", name="a_b_2e7336dc")), COMPLETED], tools=["a.b"])
    assert deltas_of(made)[1] == begin(0, "call_0", "a.b")


def test_the_old_form_of_a_call():
    made = run([added(0, **bash(0)), arguments("{}"), done(1, **bash(1, "{}")), COMPLETED], functions=True)
    assert deltas_of(made)[1:-1] == [
        {"function_call": {"name": "bash", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert finish_of(made) == "function_call"


USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
}


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"cached_tokens": 0}, {"cached_tokens": 0, "audio_tokens": 0}),
        ({"cached_tokens": 0, "cache_write_tokens": None}, {"cached_tokens": 0, "audio_tokens": 0}),
        (
            {"cached_tokens": 64, "cache_write_tokens": 0},
            {"cached_tokens": 64, "audio_tokens": 0, "cache_write_tokens": 0},
        ),
        (
            {"cached_tokens": 64, "cache_write_tokens": 7},
            {"cached_tokens": 64, "audio_tokens": 0, "cache_write_tokens": 7},
        ),
    ],
)
def test_usage(details, told):
    made = run([text("x"), end(usage={**USAGE, "input_tokens_details": details})], include_usage=True)
    check_chunks(made, include_usage=True)
    assert made[-1]["usage"] == {
        "prompt_tokens": 120,
        "completion_tokens": 9,
        "total_tokens": 129,
        "prompt_tokens_details": told,
        "completion_tokens_details": {
            "reasoning_tokens": 5,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_usage_is_estimated_if_the_backend_sends_none():
    stream = make_stream(include_usage=True, count_input=lambda: 40)
    made = [made for event in [text("x" * 40), COMPLETED] for made in stream.receive_event(event, now=NOW)]
    assert (made[-1]["usage"]["prompt_tokens"], made[-1]["usage"]["completion_tokens"]) == (40, 10)
    assert (stream.usage.input_tokens, stream.output_tokens, stream.stop_reason) == (40, 10, "stop")


@pytest.mark.parametrize(
    ("stop", "max_tokens", "content", "reason"),
    [
        pytest.param(("\n\n",), None, "one", "stop", id="stop"),
        (("e\n", "\n"), None, "on", "stop"),
        ((), 1, "one", "length"),
        (("never",), None, "one\n\ntwo", "tool_calls"),
    ],
)
def test_the_clients_end(stop, max_tokens, content, reason):
    events = [text("on"), text("e\n"), text("\ntwo"), done(0, **message(0, "one\n\ntwo")), done(1, **bash(1, "{}"))]
    made = run([*events, COMPLETED], stop=stop, max_tokens=max_tokens)
    check_chunks(made)
    assert collect(made)["choices"][0]["message"]["content"] == content
    assert finish_of(made) == reason


def test_a_beginning_of_a_stop_at_the_very_end_is_text():
    made = run([text("on EN"), COMPLETED], stop=("END",))
    assert collect(made)["choices"][0]["message"]["content"] == "on EN"


def test_nothing_follows_the_end():
    stream = make_stream(stop=("x",))
    assert finish_of(stream.receive_event(text("ax"), now=NOW)) == "stop"
    assert stream.state is State.ENDED
    assert stream.receive_event(COMPLETED, now=NOW) == []
    assert not stream.is_empty


@pytest.mark.parametrize(
    ("events", "empty"),
    [
        ([COMPLETED], True),
        ([done(0, **reasoning(0, "a")), COMPLETED], True),
        ([end("incomplete", incomplete_details={"reason": "max_output_tokens"})], False),
        ([text("x"), COMPLETED], False),
        ([refusal("x"), COMPLETED], False),
        ([done(0, **bash(0)), COMPLETED], False),
        ([], False),
    ],
)
def test_an_empty_answer_is_worth_another_try(events, empty):
    stream = make_stream()
    for event in events:
        stream.receive_event(event, now=NOW)
    assert stream.is_empty is empty


def test_a_failure_is_an_exception():
    overflow = {"code": "context_length_exceeded", "message": "too long"}
    with pytest.raises(ContextOverflow):
        make_stream().receive_event({"type": "response.failed", "response": {"error": overflow}}, now=NOW)
