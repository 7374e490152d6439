import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd import bounds
from codexd.errors import StreamBroken
from codexd.translation.sse import Decoder, encode

few = settings(deadline=None, max_examples=100)


def decode(*chunks):
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.receive_data(chunk)]
    return events + decoder.receive_eof()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"data: a\n\n", [b"a"]),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\n", [b"a"]),
        (b"data: a\r\r", [b"a"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"data: {\ndata: }\n\n", [b"{\n}"]),
        (b"data: a\nevent: x\ndata: b\n\n", [b"a\nb"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b": data: no\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n", []),
        (b"data:\n\n", []),
        (b"dataset: a\n\n", []),
        (b" data: a\n\n", []),
        (b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a\r\n", [b"a"]),
        (b"data: a\n\ndata: b", [b"a", b"b"]),
        ("data: \u2028\u2029\x85\n\n".encode(), ["\u2028\u2029\x85".encode()]),
        (b"data: \x0b\x0c\x1c\n\n", [b"\x0b\x0c\x1c"]),
    ],
)
def test_events_of_a_stream(stream, events):
    assert decode(stream) == events
    assert decode(*(stream[index : index + 1] for index in range(len(stream)))) == events


def test_each_event_comes_with_its_last_byte():
    decoder = Decoder()
    assert decoder.receive_data(b"data: a\n") == []
    assert decoder.receive_data(b"\n") == [b"a"]
    assert decoder.receive_data(b"data: b\r\n\r") == [b"b"]
    assert decoder.receive_data(b"\ndata: c\n\n") == [b"c"]
    assert decoder.receive_eof() == []


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.sampled_from(["data: a", "data:b", "data", "data:", ": c", "event: x", "", "data: \u2028", "é", "data: {}"])


@st.composite
def streams(draw):
    return "".join(draw(LINES) + draw(LINE_ENDS) for _ in range(draw(st.integers(0, 12)))).encode()


@few
@given(streams(), st.data(), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_cutting_the_bytes_changes_nothing(stream, data, bom):
    stream = bom + stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*chunks) == decode(stream)


@few
@given(streams())
def test_the_kind_of_line_end_changes_nothing(stream):
    plain = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert (
        decode(stream) == decode(plain) == decode(plain.replace(b"\n", b"\r\n")) == decode(plain.replace(b"\n", b"\r"))
    )


JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=8)


@few
@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4))
def test_what_is_encoded_decodes(bodies):
    events = [{**body, "type": "ping"} for body in bodies]
    frames = b"".join(map(encode, events))
    assert [json.loads(data) for data in decode(frames)] == events


def test_a_frame_has_an_event_line():
    assert encode({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_an_event_may_not_grow_without_bound(monkeypatch):
    monkeypatch.setattr(bounds, "EVENT_BYTES", 1000)
    decoder = Decoder()
    for _ in range(5):
        decoder.receive_data(b"data: " + b"x" * 900 + b"\n\n")
    decoder.receive_data(b"data: " + b"x" * 900)
    with pytest.raises(StreamBroken, match="more than 1000 bytes"):
        decoder.receive_data(b"x" * 100)


def test_the_bound_lets_a_generated_image_through():
    payload = b"x" * 20_000_000
    frame = b"data: " + payload + b"\n\n"
    assert decode(*(frame[start : start + 1000] for start in range(0, len(frame), 1000))) == [payload]
