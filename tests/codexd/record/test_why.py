"""What ``codexctl why`` says."""

from __future__ import annotations

import pytest

from codexd import errors
from codexd.record.requests import RequestLog
from codexd.record.timeline import StepName
from codexd.record.why import _SENTENCES, explain
from codexd.translation.client_api import Client, Purpose
from codexd.translation.reading.losses import Losses, LossKind
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


def ask(record, clock, count_output=lambda: 0):
    """A request as far as the headers of its answer."""
    record.note_model("claude-opus-5-5")
    clock.now += 0.01
    record.note_account("id", "work@example.com", "active account")
    record.note_model_used("gpt-5.5")
    record.note_asked("gpt-5.5", count_output)
    clock.now += 0.2
    record.note_connected()
    record.note_sent()
    clock.now += 1.5
    record.note_headers(429, {"x-request-id": "upstream-1"})


def test_a_failed_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "claude-cli/2.1") as record:
        ask(record, clock)
        record.note_failure(errors.UsageLimitReached("Your limit is reached", resets_at=NOW + 3600))
        record.note_status(429)
        record.note_reported(429, "rate_limit_error", "Your limit is reached; open again in 1 h")
    explained = explain(record.snapshot(), wall_now=NOW)
    assert [(step.at_ms, step.what) for step in explained.timeline] == [
        (0, "claude-cli/2.1 sent POST /v1/messages for the model claude-opus-5-5."),
        (10, "Chose the account work@example.com: active account."),
        (10, "Asked the backend for gpt-5.5."),
        (210, "Connected to the backend, which took 200 ms."),
        (210, "Sent the request, which took 0 ms."),
        (1710, "The backend answered HTTP 429 after 1.5 s."),
        (1710, "The request failed: Your limit is reached."),
    ]
    assert explained.summary == (
        "claude-cli/2.1 asked for claude-opus-5-5, which went to gpt-5.5, on the account work@example.com: active "
        "account. It failed after 1.7 s: Your limit is reached. The client got HTTP 429 (rate_limit_error): "
        "Your limit is reached; open again in 1 h. The backend had answered HTTP 429 (its request id: upstream-1)."
    )
    assert explained.advice[0] == "The account is available again once its rate-limit window resets."
    assert explained.advice[1].startswith("The limit ends in 1 h 0 min")
    assert "codexctl accounts switch" in explained.advice[2]
    assert explained.request.id == "req_1"


def test_a_cancelled_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "claude-cli/2.1") as record:
        ask(record, clock)
        record.note_failure(errors.RequestCancelled("This request was cancelled."))
        record.note_status(200)
    explained = explain(record.snapshot(), wall_now=NOW)
    assert explained.timeline[-1].what == "The request was cancelled."
    assert "It was cancelled after 1.7 s; the client got an error that says so." in explained.summary
    assert explained.request.state == "cancelled"


@pytest.mark.parametrize(
    ("tokens", "progress"),
    [
        pytest.param(None, "before any of the answer had come", id="nothing-came"),
        pytest.param(12, "in the middle of the answer (about 12 tokens)", id="in-the-middle"),
    ],
)
def test_a_request_that_its_client_stopped(log, clock, tokens, progress):
    with log.record("req_1", "POST", "/v1/messages", "claude-cli/2.1") as record:
        ask(record, clock, count_output=lambda: tokens or 0)
        if tokens:
            record.note_first_token(clock.now)
        record.note_client_left()
    explained = explain(record.snapshot(), wall_now=NOW)
    assert explained.request.state == "stopped"
    assert explained.timeline[-1].what == f"The client hung up, {progress}."
    assert f"It was stopped: the client hung up after 1.7 s, {progress}." in explained.summary
    assert "Esc" in explained.advice[1]


def test_a_check_of_auto_mode_is_named(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "claude-cli/2.1") as record:
        record.note_purpose(Purpose.AUTO_MODE_CHECK)
        ask(record, clock)
        record.note_status(200)
    assert ", to check an action (auto mode check), which went to " in explain(record.snapshot(), wall_now=NOW).summary


def test_an_answered_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        ask(record, clock)
        record.note_first_event(clock.now)
        clock.now += 30
        record.note_chunk(clock.now)
        losses = Losses()
        losses.add(LossKind.DROPPED, "top_k", "no such thing")
        losses.add(LossKind.RENAMED, "tools[0].name", "sent as x")
        for number in range(4):
            losses.add(LossKind.APPROXIMATED, f"tools[{number}]", "described")
        record.note_losses(losses)
        record.note_answer(None, "end_turn")
        record.note_status(200)
    explained = explain(record.snapshot(), wall_now=NOW)
    assert explained.timeline[-1].what == "The answer was complete (stop reason end_turn)."
    assert explained.summary.endswith("It was answered after 31.7 s. The backend was silent for up to 30.0 s.")
    assert explained.advice == (
        "codexd dropped the field top_k: no such thing.",
        "codexd approximated the field tools[0]: described.",
        "codexd approximated the field tools[1]: described.",
        "It dropped or approximated 2 more; `codexctl requests` lists them.",
    )


def test_a_running_request(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        ask(record, clock, count_output=lambda: 250)
        clock.now += 12
        explained = explain(record.snapshot(), wall_now=NOW)
        assert explained.timeline[-1].at_ms == 13710
        assert explained.timeline[-1].what == "Still running; about 250 tokens so far; the backend silent for 12.0 s."
        assert "It has been running for 13.7 s." in explained.summary
        assert explained.request.state == "running"


def test_retries_and_waits_are_steps(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.note_waited(3.1, "work@example.com")
        record.note_retry(errors.RateLimited("Slow down."), "at once")
        record.note_failure(errors.ShuttingDown("codexd is shutting down"))
        record.note_status(200)
        record.note_reported(200, "overloaded_error", "codexd is shutting down")
    explained = explain(record.snapshot(), wall_now=NOW)
    assert [step.what for step in explained.timeline][1:3] == [
        "Waited 3.1 s for work@example.com, whose limit was about to end.",
        "Tried again at once after this error: Slow down.",
    ]
    assert "It failed after 0 ms and 2 attempts: codexd is shutting down." in explained.summary
    assert "The client got an error inside the answer (overloaded_error), in the same words." in explained.summary


def test_every_step_has_a_sentence():
    assert set(_SENTENCES) == set(StepName) - {StepName.END}


def test_a_second_attempt_that_runs(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        ask(record, clock)
        record.note_retry(errors.RateLimited("Slow down."), "at once")
        explained = explain(record.snapshot(), wall_now=NOW)
    assert "It has been running for 1.7 s, now in attempt 2." in explained.summary
    assert explained.advice == ("`codexctl top` shows its progress; `codexctl requests cancel req_1` ends it.",)


def test_braces_in_the_words_of_others_stay_as_they_are(log, clock):
    with log.record("req_1", "POST", "/v1/messages", "some{0}/1.0") as record:
        record.note_model("{client}")
        record.note_failure(errors.UpstreamRejected("no {key}"))
        record.note_retry(errors.UpstreamRejected("no {key}"), "at once")
    explained = explain(record.snapshot(), wall_now=NOW)
    assert explained.timeline[0].what == "some{0}/1.0 sent POST /v1/messages for the model {client}."
    assert "no {key}" in explained.timeline[1].what


@pytest.mark.parametrize("error", [each for each in TABLE if issubclass(each, errors.UpstreamError)])
def test_a_failure_of_the_third_party_names_the_third_party(log, clock, error):
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.note_model_used("some/model")
        record.note_third_party("kilo.ai")
        record.note_asked("some/model", lambda: 0)
        record.note_connected()
        record.note_headers(429, {})
        clock.now += 30
        record.note_chunk(clock.now)
        record.note_failure(error("no"))
    explained = explain(record.snapshot(), wall_now=NOW)
    text = " ".join([explained.summary, *(step.what for step in explained.timeline), *explained.advice])
    for not_its_own in ("the backend", "The backend", "accounts", "openai.com", "upstream.backend_url", "models.opus"):
        assert not_its_own not in text
    assert "kilo.ai answered HTTP 429" in text
    assert "which went to some/model at the third party kilo.ai" in text


def test_the_advice_is_for_the_client_that_asked(log, clock):
    with log.record("req_1", "POST", "/v1/responses", "codex_exec/0.171.0") as record:
        record.note_caller(Client.CODEX)
        record.note_failure(errors.Overloaded("busy"))
    advice = explain(record.snapshot(), wall_now=NOW).advice
    assert advice[0] == "The Codex CLI tries again automatically, up to five times."
