import pytest

from codexd.errors import StreamBroken
from codexd.translation.backend import Usage, needs_answer, parse_event, read_usage


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


def test_events():
    assert parse_event(b'{"type":"ping","x":1}') == {"type": "ping", "x": 1}
    assert parse_event(b"[DONE]") is None
    for no_event in (b"{}", b"[]", b"5", b'{"type":5}', b"null"):
        assert parse_event(no_event) is None
    with pytest.raises(StreamBroken):
        parse_event(b"{")


DEEP = b"[" * 900 + b"1" + b"]" * 900


def test_an_event_that_could_not_be_passed_on_breaks_the_stream():
    with pytest.raises(StreamBroken, match="200 levels deep"):
        parse_event(b'{"type": "response.new", "x": ' + DEEP + b"}")


def test_an_event_whose_type_would_break_a_line_of_the_stream_is_none():
    assert parse_event(b'{"type": "a\\n\\ndata: {}"}') is None


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
