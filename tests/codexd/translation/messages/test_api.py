"""Messages as a value: its errors, by client."""

import json

import pytest

from codexd import errors
from codexd.translation.client_api import AnswersAlone, Client
from codexd.translation.messages.api import MESSAGES

NOW = 1_795_000_000.0
BODY = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(("client", "status"), [(Client.CLAUDE_CODE, 451), (Client.OTHER, 400), (Client.CODEX, 400)])
def test_claude_code_shows_a_refusal_only_under_a_status_of_its_own(client, status):
    wire = MESSAGES.to_wire(errors.PolicyRefused("not allowed"), client, None, now=NOW)
    assert (wire.status, wire.message) == (status, "not allowed")


def test_an_error_ends_the_stream_as_an_event():
    wire = MESSAGES.to_wire(errors.Overloaded("busy"), Client.OTHER, None, now=NOW)
    name, data = MESSAGES.encode_error(wire, "req_1").decode().strip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"] == {"type": "overloaded_error", "message": "busy"}


@pytest.mark.parametrize(("max_tokens", "alone"), [(0, True), (1, False), (9, False)])
def test_a_request_for_no_tokens_needs_no_model(max_tokens, alone):
    wanted = MESSAGES.parse(json.dumps(BODY | {"max_tokens": max_tokens}).encode(), {}, Client.OTHER)
    assert isinstance(wanted, AnswersAlone) is alone
    if alone:
        events = wanted.answer_alone("req_1", 7)
        assert (events[0]["message"]["id"], events[0]["message"]["usage"]["input_tokens"]) == ("msg_1", 7)


def test_clients_get_none_of_the_backends_headers():
    assert MESSAGES.relay_headers({"x-codex-turn-state": "s"}, None) == {}
