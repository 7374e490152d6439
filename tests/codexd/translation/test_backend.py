import pytest

from codexd.errors import StreamBroken
from codexd.translation.backend import EventParser, Usage, needs_answer, read_usage


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, None),
        ("x", None),
        ({}, Usage()),
        (
            {
                "input_tokens": 120,
                "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
                "output_tokens": 9,
                "output_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(120, 64, 8, 9, 5),
        ),
        (
            {"input_tokens": 120, "input_tokens_details": None, "output_tokens": 9},
            Usage(input_tokens=120, output_tokens=9),
        ),
        ({"input_tokens": None, "input_tokens_details": {"cached_tokens": None}, "output_tokens": "9"}, Usage()),
        ({"input_tokens": -5, "input_tokens_details": [], "output_tokens_details": 5}, Usage()),
    ],
)
def test_usage(usage, read):
    assert read_usage(usage) == read


def parse(*frames):
    parser = EventParser()
    return [event for frame in frames for event in parser.parse(frame)]


def test_events():
    assert parse(b'{"type":"ping","x":1}') == [{"type": "ping", "x": 1}]
    assert parse(b"[DONE]") == []
    for no_event in (b"{}", b"[]", b"5", b'{"type":5}', b"null"):
        assert parse(no_event) == []
    with pytest.raises(StreamBroken):
        parse(b"{")


DEEP = b"[" * 900 + b"1" + b"]" * 900


def test_an_event_that_could_not_be_passed_on_breaks_the_stream():
    with pytest.raises(StreamBroken, match="200 levels deep"):
        parse(b'{"type": "response.new", "x": ' + DEEP + b"}")


def test_an_event_whose_type_would_break_a_line_of_the_stream_is_none():
    assert parse(b'{"type": "a\\n\\ndata: {}"}') == []


SAID = {"type": "message", "role": "user", "content": []}
ANSWERED = {"type": "message", "role": "assistant", "content": []}
CALLED = {"type": "function_call", "call_id": "c"}
RETURNED = {"type": "function_call_output", "call_id": "c"}
REMINDED = {"type": "message", "role": "developer", "content": []}


@pytest.mark.parametrize(
    ("items", "needed"),
    [
        ([SAID], True),
        ([{"role": "user", "content": "hi"}], True),
        ([SAID, REMINDED], True),
        ([SAID, CALLED, RETURNED, ANSWERED, SAID], True),
        ([SAID, CALLED, RETURNED], False),
        ([SAID, CALLED, RETURNED, REMINDED], False),
        ([SAID, ANSWERED, CALLED, {"type": "custom_tool_call_output"}, SAID], False),
        ([], True),
    ],
)
def test_whether_the_model_has_to_answer(items, needed):
    assert needs_answer({"input": items}) is needed


def delta(text, item="m"):
    """A frame as the backend writes it: ``text`` may have escapes."""
    return f'{{"type":"response.output_text.delta","item_id":"{item}","delta":"{text}"}}'.encode()


TEXT_DONE = b'{"type":"response.output_text.done","item_id":"m","text":"%b"}'


@pytest.mark.parametrize(
    ("texts", "deltas"),
    [
        ([r"a\ud83d", r"\ude00b"], ["a", "😀b"]),
        ([r"\ud83d", r"\ude00\ud83d", r"\ude00"], ["", "😀", "😀"]),
        ([r"\ud83d", "", r"\ude00"], ["", "", "😀"]),
        ([r"\ud83d", "b"], ["", "\ufffdb"]),
        ([r"\ud83d", r"\ud83d", r"\ude00"], ["", "\ufffd", "😀"]),
        ([r"\ude00", r"\ud83d\ude00"], ["\ufffd", "😀"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_a_pair_that_was_cut_is_joined(texts, deltas):
    assert [event["delta"] for event in parse(*map(delta, texts))] == deltas


def test_pairs_of_several_texts():
    frames = [delta(r"\ud83d"), delta(r"\ud83c", "n"), delta(r"\ude00"), delta(r"\udf0d", "n")]
    assert [event["delta"] for event in parse(*frames)] == ["", "", "😀", "🌍"]


@pytest.mark.parametrize(
    "last", [TEXT_DONE % rb"a\ud83d", b'{"type":"response.output_item.done"}', b'{"type":"error"}']
)
def test_half_a_pair_at_the_end_is_replaced(last):
    found = parse(delta(r"a\ud83d"), b'{"type":"keepalive"}', last)
    assert [event.get("delta") for event in found] == ["a", None, "\ufffd", None]
    assert found[-1].get("text", "a\ufffd") == "a\ufffd"
