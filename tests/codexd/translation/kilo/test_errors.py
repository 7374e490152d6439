"""What an error of Kilo becomes."""

import json

import pytest

from codexd import errors
from codexd.translation.kilo.errors import MAX_MESSAGE_CHARS, read_failure, read_http_error


def read(status, document, headers=None):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_http_error(status, headers or {}, body, host="kilo.ai", model="some/model", now=0.0)


def error(message, code=None, **metadata):
    return {"error": {"message": message, "code": code, "metadata": metadata}}


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (400, error("no such parameter"), errors.UpstreamRejected),
        (400, error("This exceeds the maximum context length"), errors.ContextOverflow),
        (500, error("the context window service is down"), errors.UpstreamFailed),
        (401, error("sign in", "PAID_MODEL_AUTH_REQUIRED"), errors.KiloRefused),
        (402, error("no credit"), errors.KiloRefused),
        (403, error("not for you"), errors.KiloRefused),
        (403, error("flagged", reasons=["violence"]), errors.PolicyRefused),
        (404, {"message": "no such model"}, errors.KiloRefused),
        (413, b"<html>", errors.UpstreamTooLarge),
        (429, error("slow down"), errors.RateLimited),
        (503, {"error": "busy"}, errors.Overloaded),
        (504, b"", errors.UpstreamTimeout),
    ],
)
def test_an_http_error(status, document, kind):
    found = read(status, document)
    assert type(found) is kind
    assert found.status == status
    assert "<" not in str(found)


def test_a_refusal_names_the_model_and_what_to_do():
    found = read(402, error("no credit", "INSUFFICIENT_CREDIT"))
    assert str(found) == (
        "kilo.ai does not serve the model some/model to codexd, which has no account there (HTTP 402: no credit). "
        "Choose one of its free models: `codexctl settings set kilo.model NAME`"
    )
    assert found.code == "INSUFFICIENT_CREDIT"


def test_without_a_message_the_status_is_named_once():
    assert "(HTTP 404)" in str(read(404, b"<html>"))


def test_the_wait_is_read_from_the_header():
    assert read(429, error("slow down"), {"retry-after": "7"}).retry_after_s == 7


@pytest.mark.parametrize(
    ("found", "status"),
    [({"code": 429, "message": "x"}, 429), ({"code": "odd"}, 502), ({"code": 200}, 502), ("broken", 502), (None, 502)],
)
def test_an_error_inside_a_stream_has_the_status_that_it_names(found, status):
    assert read_failure(found, 200).status == status


def test_what_the_model_said_follows_the_message_and_both_are_cut():
    found = read_failure({"message": "Provider\nerror", "metadata": {"raw": "x" * 1000}}, 500)
    assert found.message.startswith("Provider error xxx")
    assert len(found.message) == MAX_MESSAGE_CHARS


def test_a_failed_event_has_a_code_of_the_responses_api():
    assert read_failure({"message": "slow", "code": 429}, 200).to_event_error("kilo.ai") == {
        "code": "rate_limit_exceeded",
        "message": "kilo.ai failed: slow",
    }
    assert read_failure("odd", 200).to_event_error("kilo.ai")["code"] == "server_error"
