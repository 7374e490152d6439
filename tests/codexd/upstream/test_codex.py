"""Bytes of the backend's answers to events; ``test_turn`` and the web tests have the rest."""

import pytest

from codexd.upstream.codex import ResponsesReader

STREAM = (
    b'event: response.created\ndata: {"type":"response.created"}\n\n'
    b": a comment\n\n"
    b'data: {"type":"response.completed","response":{"id":"r"}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_in_pieces_of_any_size(size):
    reader = ResponsesReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    events = [event for piece in pieces for event in reader.receive_data(piece)] + reader.receive_eof()
    assert [event["type"] for event in events] == ["response.created", "response.completed"]
