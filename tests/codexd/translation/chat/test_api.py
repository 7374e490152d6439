"""Chat Completions as a value: its frames and errors."""

import json

from codexd import errors
from codexd.translation.chat.api import CHAT
from codexd.translation.client_api import Client


def test_frames_have_no_names():
    assert CHAT.encode({"object": "chat.completion.chunk"}) == b'data: {"object":"chat.completion.chunk"}\n\n'
    assert CHAT.ping.startswith(b":")
    assert CHAT.end == b"data: [DONE]\n\n"


def test_an_error_ends_the_stream_as_an_object():
    wire = CHAT.to_wire(errors.Overloaded("busy"), Client.OTHER, None, now=0.0)
    frame = CHAT.encode_error(wire, "req_1").decode()
    assert (wire.status, json.loads(frame.removeprefix("data: "))["error"]["message"]) == (503, "busy")


def test_clients_get_none_of_the_backends_headers():
    assert CHAT.relay_headers({"x-codex-turn-state": "s"}, None) == {}
