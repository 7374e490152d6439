"""Bytes of the backend's answers to events; ``test_turn`` and the web tests have the rest."""

import pytest

from codexd.errors import StreamBroken
from codexd.translation.sse import Decoder
from codexd.upstream.codex import DocumentDecoder, ResponsesReader

STREAM = (
    b'event: response.created\ndata: {"type":"response.created"}\n\n'
    b": a comment\n\n"
    b'data: {"type":"response.completed","response":{"id":"r"}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_in_pieces_of_any_size(size):
    reader = ResponsesReader(Decoder())
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    events = [event for piece in pieces for event in reader.receive_data(piece)] + reader.receive_eof()
    assert [event["type"] for event in events] == ["response.created", "response.completed"]


def test_a_document_is_the_one_event_of_a_stream():
    reader = ResponsesReader(DocumentDecoder())
    assert reader.receive_data(b'{"output":') == []
    assert reader.receive_data(b"[]}") == []
    assert reader.receive_eof() == [{"type": "response.completed", "response": {"output": []}}]


def test_a_document_that_is_cut():
    reader = ResponsesReader(DocumentDecoder())
    reader.receive_data(b'{"output":')
    with pytest.raises(StreamBroken):
        reader.receive_eof()
