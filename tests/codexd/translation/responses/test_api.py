"""Responses as a value: the headers that come back, and how a broken answer ends."""

import json

import pytest
from support.responses_bodies import sdk

from codexd import errors
from codexd.translation.client_api import Client
from codexd.translation.responses.api import ResponsesApi

API = ResponsesApi()


def test_the_headers_of_the_codex_protocol_come_back_and_no_others():
    headers = {
        "x-codex-turn-state": "s",
        "x-codex-primary-used-percent": "3",
        "x-models-etag": '"e"',
        "openai-model": "gpt-5.5",
        "x-reasoning-included": "true",
        "set-cookie": "a=b",
        "x-request-id": "up_1",
    }
    wanted = API.parse(json.dumps(sdk()).encode(), {}, Client.CODEX, now=0.0)
    assert set(API.relay_headers(headers, wanted)) == set(headers) - {"set-cookie", "x-request-id"}


@pytest.mark.parametrize(
    ("error", "client", "status", "code"),
    [
        (errors.NoAccount("none"), Client.CODEX, 400, "invalid_prompt"),
        (errors.NoAccount("none"), Client.OTHER, 401, "no_account"),
        (errors.RequestInvalid("previous_response_id", "x"), Client.OTHER, 400, "previous_response_not_found"),
    ],
)
def test_errors_by_client(error, client, status, code):
    wire = API.to_wire(error, client, None, now=0.0)
    assert (wire.status, wire.code) == (status, code)
    assert API.encode_error(wire, "req_1") == b""


@pytest.mark.parametrize(
    ("error", "client", "code"),
    [
        (errors.Overloaded("busy"), Client.OTHER, "server_is_overloaded"),
        (errors.RequestCancelled("cancelled"), Client.CODEX, "invalid_prompt"),
        (errors.RequestCancelled("cancelled"), Client.OTHER, "request_cancelled"),
    ],
)
def test_a_broken_answer_ends_with_an_event_of_the_api(error, client, code):
    wanted = API.parse(json.dumps(sdk()).encode(), {}, client, now=0.0)
    frames = API.encode_error(API.to_wire(error, client, wanted, now=0.0), "req_1").decode()
    last = json.loads(frames.strip().rsplit("data: ", 1)[1])
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", code)
