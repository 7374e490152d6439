"""Requests in plain words."""

from __future__ import annotations

import pytest

from codexd import errors
from codexd.api.records import Told
from codexd.record.advice import find_advice
from codexd.record.explain import explain
from codexd.record.requests import RequestLog
from codexd.record.timeline import StepName
from codexd.translation.reading.losses import LossKind
from codexd.translation.wire_errors import TABLE

NOW = 1_800_000_000.0


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(clock):
    return RequestLog(clock, lambda: NOW)


def ask(record, clock):
    """A request as far as the headers of its answer."""
    record.model, record.model_used = "claude-opus-5-5", "gpt-5.5"
    clock.now += 0.01
    record.note_account("id", "work@example.com", "active account")
    record.note(StepName.ASKED, "gpt-5.5")
    clock.now += 0.2
    record.note_connected()
    record.note_sent()
    clock.now += 1.5
    record.note_headers(429, {"x-request-id": "upstream-1"})


def test_a_failed_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "claude-cli/2.1") as record:
        ask(record, clock)
        record.fail(errors.UsageLimitReached("Your limit is reached", resets_at=NOW + 3600))
        record.status = 429
        record.told = Told(429, "rate_limit_error", "Your limit is reached; open again in 1 h")
    told = explain(record, now=clock.now, wall_now=NOW)
    assert [(step.at_ms, step.what) for step in told.timeline] == [
        (0, "claude-cli/2.1 sent POST /v1/messages for the model claude-opus-5-5."),
        (10, "Chose the account work@example.com: active account."),
        (10, "Asked the backend for gpt-5.5."),
        (210, "Connected to the backend, which took 200 ms."),
        (210, "Sent the request, which took 0 ms."),
        (1710, "The backend answered HTTP 429 after 1.5 s."),
        (1710, "It ended with an error: Your limit is reached."),
    ]
    assert told.summary == (
        "claude-cli/2.1 asked for claude-opus-5-5, which went to gpt-5.5, on the account work@example.com: active "
        "account. It failed after 1.7 s: Your limit is reached. The client was told by HTTP 429 (rate_limit_error): "
        "Your limit is reached; open again in 1 h. The backend had answered HTTP 429, under its id upstream-1."
    )
    assert told.advice[0] == "The account opens again when its window resets."
    assert told.advice[1].startswith("That will be in 1 h 0 min")
    assert "codexctl accounts switch" in told.advice[2]
    assert told.request.id == "req_1"


def test_an_answered_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        ask(record, clock)
        record.note_first_event(clock.now)
        clock.now += 30
        record.note_chunk(clock.now)
        record.status, record.stop_reason = 200, "end_turn"
        record.losses.add(LossKind.DROPPED, "top_k", "no such thing")
    told = explain(record, now=clock.now, wall_now=NOW)
    assert told.timeline[-1].what == "The answer was complete (stop reason end_turn)."
    assert told.summary.endswith("It was answered after 31.7 s. The backend was silent for up to 30.0 s.")
    assert told.advice == (
        "Its translation dropped or approximated 1 field of the request; `codexctl requests` lists them.",
    )


def test_a_running_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        ask(record, clock)
        record.count_output = lambda: 250
        clock.now += 12
        told = explain(record, now=clock.now, wall_now=NOW)
        assert told.timeline[-1].at_ms == 13710
        assert told.timeline[-1].what == (
            "It is still running; about 250 tokens so far; the backend has been silent for 12.0 s."
        )
        assert "It has been running for 13.7 s." in told.summary
        assert told.request.state == "running"


def test_retries_and_waits_are_told(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.note(StepName.WAITED, "3.1 s for work@example.com")
        record.note_retry(errors.RateLimited("Slow down."), "at once")
        record.fail(errors.ShuttingDown("codexd is shutting down"))
        record.status = 200
        record.told = Told(200, "overloaded_error", "codexd is shutting down")
    told = explain(record, now=clock.now, wall_now=NOW)
    assert [step.what for step in told.timeline][1:3] == [
        "Had waited 3.1 s for work@example.com, whose limit was about to end.",
        "Tried again at once, after this: Slow down.",
    ]
    assert "It failed after 0 ms, tried 2 times: codexd is shutting down." in told.summary
    assert "The client was told inside the answer (overloaded_error) in these words." in told.summary


def test_braces_in_what_others_say_stay_as_they_are(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some{0}/1.0") as record:
        record.model = "{client}"
        record.fail(errors.UpstreamRejected("no {key}"))
        record.note_retry(errors.UpstreamRejected("no {key}"), "at once")
    told = explain(record, now=clock.now, wall_now=NOW)
    assert told.timeline[0].what == "some{0}/1.0 sent POST /v1/messages for the model {client}."
    assert "no {key}" in told.timeline[1].what


KINDS = [*(error.kind for error in TABLE), "client_left", "unheard_of"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("third_party", [False, True])
def test_every_error_that_a_client_may_get_has_advice(kind, third_party):
    advice = find_advice(kind, third_party=third_party)
    for text in (advice.next, advice.do):
        assert text.format(id="req_1", host="kilo.ai").endswith(".")
        assert ".." not in text


@pytest.mark.parametrize("error", [each for each in TABLE if issubclass(each, errors.UpstreamError)])
def test_a_failure_of_the_third_party_is_told_as_its_own(log, clock, error):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.third_party, record.model_used = "kilo.ai", "some/model"
        record.note(StepName.ASKED, "some/model")
        record.note_connected()
        record.note_headers(429, {})
        clock.now += 30
        record.note_chunk(clock.now)
        record.fail(error("no"))
    told = explain(record, now=clock.now, wall_now=NOW)
    text = " ".join([told.summary, *(step.what for step in told.timeline), *told.advice])
    for not_its_own in ("the backend", "The backend", "accounts", "openai.com", "upstream.backend_url", "models.opus"):
        assert not_its_own not in text
    assert "kilo.ai answered HTTP 429" in text
    assert "which went to some/model at the third party kilo.ai" in text


def test_an_error_without_advice_has_that_of_its_parent():
    assert find_advice("model_not_found") == find_advice("request_refused")
    assert find_advice("all_accounts_limited") != find_advice("usage_limit_reached")
    assert find_advice("request_cancelled") != find_advice("internal")
