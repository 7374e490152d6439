"""What is read off a request."""

import pytest

from codexd import errors
from codexd.record.requests import RequestLog


@pytest.mark.parametrize(
    ("method", "path", "model", "is_probe"),
    [
        ("GET", "/v1/nowhere", None, True),
        ("POST", "/backend-api/codex/analytics-events/events", None, True),
        ("POST", "/chat/completions", None, False),
        ("POST", "/v1/messages", "claude-opus-5-5", False),
    ],
)
def test_what_clients_ask_for_just_in_case(method, path, model, is_probe):
    with RequestLog(lambda: 0.0).record("req_1", method, path, "some/1.0") as record:
        record.note_model(model)
        record.note_failure(errors.NoSuchRoute("nothing here"))
    assert record.snapshot().is_probe is is_probe
    assert record.snapshot().has_failed
    assert record.snapshot().counted is None
