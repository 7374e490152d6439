"""Kilo's chunks as Responses events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.errors import RateLimited, StreamBroken, UpstreamFailed
from codexd.translation.backend import TERMINAL
from codexd.translation.backend_errors import read_failure
from codexd.translation.kilo.stream import ChatReader
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.stream import MessagesStream
from codexd.translation.reading.tool_names import ToolNames

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}


def chunk(delta=None, finish=None, **fields):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "gen-1", "created": 5, "model": "m", "choices": choices, **fields}


def call(index, name=None, arguments="", **fields):
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **fields}]})


def to_bytes(*chunks, end=DONE):
    return b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in chunks) + end


def read(*chunks, end=DONE, body=None):
    reader = ChatReader(body or {}, "asked", "api.kilo.ai")
    return [*reader.receive_data(to_bytes(*chunks, end=end)), *reader.receive_eof()]


def output_of(events):
    return events[-1]["response"]["output"]


def texts_of(events):
    return [
        (item["type"], item.get("content") or item.get("summary") or item.get("arguments"))
        for item in output_of(events)
    ]


def test_a_text_in_full():
    events = read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        {"choices": [], "usage": USAGE},
        body={"tools": [{"type": "function"}], "instructions": "Be brief."},
    )
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(10))
    response = events[-1]["response"]
    assert (response["id"], response["created_at"], response["model"]) == ("resp_gen1", 5, "m")
    assert (response["tools"], response["instructions"]) == ([{"type": "function"}], "Be brief.")
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    item = {"id": "msg_gen1_0", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    assert response["output"] == [item]
    assert events[-2] == {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0, "item": item}


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "Hm."},
        {"reasoning_content": "Hm."},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
        {"reasoning": "Hm.", "content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
    ],
)
def test_reasoning_has_many_names_and_no_ciphertext(delta):
    events = read(chunk(delta), chunk({"content": "x"}, "stop"))
    assert output_of(events)[0] == {
        "id": "rs_gen1_0",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm."}],
    }


def test_ciphertext_alone_is_no_reasoning():
    details = [{"type": "reasoning.encrypted", "data": "gAAAA"}]
    events = read(chunk({"reasoning_details": details, "content": "x"}, "stop"))
    assert "gAAAA" not in str(events)
    assert [item["type"] for item in output_of(events)] == ["message"]


def test_thoughts_and_words_take_turns():
    events = read(
        chunk({"reasoning": "a"}), chunk({"content": "b"}), chunk({"reasoning": "c"}), chunk({"content": "d"}, "stop")
    )
    assert [item["type"] for item in output_of(events)] == ["reasoning", "message"] * 2
    closed = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert closed == [0, 1, 2, 3]


def test_calls_whose_pieces_take_turns():
    events = read(
        chunk({"content": "I look."}),
        call(0, "Bash", id="call_a", type="function"),
        call(1, "Read", '{"b', id="call_b"),
        call(0, None, '{"a":1}'),
        call(1, None, '":2}'),
        chunk({}, "tool_calls"),
    )
    calls = [(item["call_id"], item["name"], item["arguments"]) for item in output_of(events)[1:]]
    assert calls == [("call_a", "Bash", '{"a":1}'), ("call_b", "Read", '{"b":2}')]


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([call(0, "A", id="x"), call(0, "B", id="y")], [("x", "A", "{}"), ("y", "B", "{}")]),
        ([call(0, "A", "{}", id="x"), call(0, "A", "", id="x")], [("x", "A", "{}")]),
        ([call(None, "A", "{}", id="x")], [("x", "A", "{}")]),
        ([call(0, "A", {"a": 1}, id="x")], [("x", "A", '{"a":1}')]),
        ([call(0, "A")], [("call_gen1_0", "A", "{}")]),
        ([call(3, None, "{}")], []),
    ],
)
def test_odd_calls(pieces, calls):
    events = read(*pieces, chunk({}, "tool_calls"))
    assert [(item["call_id"], item["name"], item["arguments"]) for item in output_of(events)] == calls


@pytest.mark.parametrize(
    ("finish", "kind", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("unheard_of", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_it_ends(finish, kind, reason):
    end = read(chunk({"content": "x"}, finish))[-1]
    assert (end["type"], end["response"]["incomplete_details"]) == (f"response.{kind}", reason)


@pytest.mark.parametrize("end", [DONE, b"", b"data: [DONE]"])
def test_it_is_whole_with_a_finish_reason_however_it_ends(end):
    assert read(chunk({"content": "x"}, "stop"), end=end)[-1]["type"] == "response.completed"


def test_the_usage_ends_it_before_anything_else_does():
    reader = ChatReader({}, "asked", "api.kilo.ai")
    events = reader.receive_data(to_bytes(chunk({"content": "x"}, "stop"), {"choices": [], "usage": USAGE}, end=b""))
    assert events[-1]["type"] == "response.completed"
    assert reader.receive_data(DONE) == reader.receive_eof() == []


@pytest.mark.parametrize("end", [DONE, b""])
def test_without_a_finish_reason_it_has_no_end(end):
    events = read(chunk({"content": "x"}), {"choices": [], "usage": USAGE}, end=end)
    assert not any(event["type"] in TERMINAL for event in events)


@pytest.mark.parametrize(
    ("found", "kind", "words"),
    [
        ({"message": "gone", "code": 502}, UpstreamFailed, "api.kilo.ai failed: gone"),
        ({"message": "slow", "code": 429}, RateLimited, "api.kilo.ai failed: slow"),
        ("gone", UpstreamFailed, "api.kilo.ai failed: gone"),
        (
            {"message": "Provider returned error", "metadata": {"raw": "really\nthis"}},
            UpstreamFailed,
            "api.kilo.ai failed: Provider returned error really this",
        ),
    ],
)
def test_errors_inside_the_stream(found, kind, words):
    events = read(chunk({"content": "x"}), chunk({"content": ""}, "error", error=found), chunk({"content": "y"}))
    assert events[-1]["type"] == "response.failed"
    error = read_failure(events[-1], 0.0)
    assert (type(error), str(error)) == (kind, words)


def test_an_error_without_words():
    assert read(chunk({"content": "x"}, "error"))[-1]["type"] == "response.failed"


def test_what_is_not_json():
    with pytest.raises(StreamBroken, match=r"api\.kilo\.ai sent an event that is not JSON"):
        ChatReader({}, "m", "api.kilo.ai").receive_data(b"data: {x\n\n")


# -- properties -----------------------------------------------------------------------------------

PIECES = st.text(min_size=1, max_size=6)
DELTAS = st.one_of(
    st.builds(lambda text: chunk({"reasoning": text}), PIECES),
    st.builds(lambda text: chunk({"content": text}), PIECES),
    st.builds(lambda index, text: call(index, None, text), st.integers(0, 2), PIECES),
    st.builds(lambda index, number: call(index, "Bash", "", id=f"c{number}"), st.integers(0, 2), st.integers(0, 5)),
)
ANSWERS = st.lists(DELTAS, max_size=12).map(
    lambda deltas: [*deltas, chunk({}, "stop"), {"choices": [], "usage": USAGE}]
)


@given(chunks=ANSWERS, cuts=st.lists(st.integers(0, 2000), max_size=8), comment=st.booleans())
def test_however_the_bytes_arrive_the_events_are_the_same(chunks, cuts, comment):
    data = (b": OPENROUTER PROCESSING\n\n" if comment else b"") + to_bytes(*chunks)
    whole = read(*chunks)
    reader, events, start = ChatReader({}, "asked", "api.kilo.ai"), [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        events += reader.receive_data(data[start:cut])
        start = cut
    assert [*events, *reader.receive_eof()] == whole


@given(chunks=ANSWERS)
def test_the_grammar_of_events(chunks):
    events = read(*chunks)
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    open_items, deltas = set(), {}
    for event in events:
        match event["type"]:
            case "response.output_item.added":
                assert event["output_index"] == len(deltas)
                open_items.add(event["output_index"])
                deltas[event["output_index"]] = ""
            case "response.output_item.done":
                open_items.remove(event["output_index"])
            case kind if kind.endswith(".delta"):
                assert event["output_index"] in open_items
                deltas[event["output_index"]] += event["delta"]
    assert not open_items
    whole = {"message": "content", "reasoning": "summary"}
    for item, said in zip(output_of(events), deltas.values(), strict=True):
        final = item[whole[item["type"]]][0]["text"] if item["type"] in whole else item["arguments"]
        assert final == (said or "{}")


@given(chunks=ANSWERS)
def test_a_messages_client_gets_all_of_it(chunks):
    stream = MessagesStream(
        message_id="msg_1",
        model="kilo",
        upstream_model="m",
        account_tag="kilo",
        tool_names=ToolNames(["Bash"]),
        thinking=Thinking.SHOWN,
        reports_refusals=False,
    )
    events = read(*chunks)
    made = [event for each in events for event in stream.receive_event(each, now=0.0)]
    deltas = [event["delta"] for event in made if event["type"] == "content_block_delta"]
    assert made[-1]["type"] == "message_stop"
    for kind, key in (("text_delta", "text"), ("thinking_delta", "thinking")):
        wanted = "content" if key == "text" else "reasoning"
        sent = [each["choices"][0]["delta"].get(wanted, "") for each in chunks if each["choices"]]
        assert "".join(delta[key] for delta in deltas if delta["type"] == kind) == "".join(sent)
    assert {delta["signature"] for delta in deltas if delta["type"] == "signature_delta"} <= {""}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "index",
                    "usage",
                    "error",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(chunks=st.lists(JSON, max_size=5))
def test_nothing_that_kilo_may_send_breaks_it(chunks):
    read(*chunks)


def test_arguments_nested_too_deeply_break_the_stream():
    deep = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(StreamBroken, match="200 levels deep"):
        read(call(0, "f", deep, id="c1"))


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_a_pair_of_surrogates_that_was_cut_is_joined(field):
    frames = [
        b'data: {"id":"g","choices":[{"delta":{"%b":"%b"}}]}\n\n' % (field.encode(), text)
        for text in (rb"a\ud83d", rb"\ude00b", rb"\ud83d")
    ]
    reader = ChatReader({}, "m", "kilo")
    events = [event for frame in frames for event in reader.receive_data(frame)]
    events += reader.receive_data(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    assert "".join(event["delta"] for event in events if event["type"].endswith("delta")) == "a😀b\ufffd"
    (whole,) = (event["text"] for event in events if event["type"].endswith("text.done"))
    assert whole == "a😀b\ufffd"
