"""One request: what is noted, and the snapshots of it."""

from __future__ import annotations

import attrs
import pytest

from codexd.errors import Overloaded, RateLimited, ShuttingDown, UpstreamFailed, UsageLimitReached
from codexd.record.timeline import CLIENT_LEFT, MAX_MODEL_CHARS, SESSION_CHARS, RequestRecord, StepName
from codexd.translation.backend import Usage
from codexd.translation.reading.losses import Losses, LossKind


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def seen():
    """The state at each step, as a follower would read it."""
    return []


@pytest.fixture
def record(clock, seen):
    return RequestRecord(
        "req_1",
        "POST",
        "/v1/messages",
        "some/1.0",
        1_800_000_000.0,
        clock(),
        clock,
        lambda record: seen.append(record.info.state),
    )


def fail(record, error):
    record.note_failure(error)
    record.note_reported(200, "overloaded_error", str(error))


# -- the end --------------------------------------------------------------------------------------


def test_a_client_that_left_has_a_status_too(record):
    info = record.finish().info
    assert (info.status, info.error_kind, info.state) == (CLIENT_LEFT, "client_left", "stopped")


@pytest.mark.parametrize(
    ("stop_reason", "reported", "state", "kind"),
    [("end_turn", False, "done", None), (None, True, "failed", "overloaded"), (None, False, "stopped", "client_left")],
)
def test_a_client_may_leave_at_the_end(record, stop_reason, reported, state, kind):
    record.note_status(200)
    record.note_answer(None, stop_reason)
    if reported:
        fail(record, Overloaded("full"))
    record.note_client_left()
    info = record.finish().info
    assert (info.state, info.error_kind) == (state, kind)


def test_a_bug_is_a_failure_of_ours(record):
    info = record.finish(ZeroDivisionError("1 // 0")).info
    assert (info.status, info.error_kind) == (500, "internal")
    assert info.error == "a bug in codexd: ZeroDivisionError"


@pytest.mark.parametrize(("status", "kind"), [(None, ShuttingDown.kind), (200, None)])
def test_a_request_that_is_cut_off_before_its_answer_has_failed(record, status, kind):
    if status is not None:
        record.note_status(status)
    assert record.finish(KeyboardInterrupt()).info.error_kind == kind


def test_an_error_says_when_its_limit_ends(record):
    record.note_failure(UsageLimitReached("used up", resets_at=1_800_000_100.0))
    assert record.finish().resets_at == 1_800_000_100.0


def test_a_request_that_has_ended_does_not_change(record, clock, seen):
    losses = Losses()
    record.note_losses(losses)
    record.note_running(lambda error: None)
    record.note_asked("gpt-5.5", lambda: 7)
    record.note_status(200)
    ended = record.finish()
    assert seen == ["running", "done"]
    clock.now += 10
    losses.add(LossKind.DROPPED, "top_k", "no such thing")
    record.note_status(500)
    record.note_failure(UpstreamFailed("it broke"))
    record.note_sent()
    assert record.snapshot() is ended
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ended.info.status = 500


def test_an_answer_is_let_go_of_at_its_end_and_its_last_count_kept(record):
    record.note_running(lambda error: None)
    record.note_asked("gpt-5.5", lambda: 7)
    assert record.output_tokens == 7
    tokens = record.finish().info.tokens
    assert (record.end_early, record.output_tokens) == (None, None)
    assert (tokens.output, tokens.estimated) == (7, True)


# -- tokens ---------------------------------------------------------------------------------------


def test_only_the_backends_own_numbers_are_counted(record):
    record.note_asked("gpt-5.5", lambda: 7)
    assert record.info.tokens.estimated
    assert record.snapshot().counted is None
    record.note_answer(Usage(input_tokens=5, cached_tokens=3, output_tokens=2, reasoning_tokens=1), "end_turn")
    counted = record.snapshot().counted
    assert (counted.input, counted.cached, counted.output, counted.reasoning) == (5, 3, 2, 1)
    assert record.output_tokens == 2


# -- steps and silence ----------------------------------------------------------------------------


def test_the_steps_have_their_times(record, clock, seen):
    record.note_received()
    clock.now += 0.25
    record.note_account("id", "work@example.com", "active account")
    clock.now += 1
    record.note_headers(200, {"x-request-id": "upstream-1"})
    for pause_s in (1, 3, 2):
        clock.now += pause_s
        record.note_chunk(clock.now)
    record.note_status(200)
    ended = record.finish()
    assert [(step.at_ms, step.name.value) for step in ended.steps] == [
        (0, "received"),
        (250, "account chosen"),
        (1250, "headers"),
        (7250, "end"),
    ]
    info = ended.info
    assert (info.longest_silence_ms, info.upstream_status, info.upstream_request_id) == (3000, 200, "upstream-1")
    assert seen == ["running", "running", "running", "done"]


def test_each_wait_is_a_step(record):
    record.note_waited(3.14, "work@example.com")
    record.note_token_wait(0.26)
    assert [(step.name, step.note) for step in record.snapshot().steps] == [
        (StepName.WAITED, "3.1 s for work@example.com"),
        (StepName.TOKEN, "0.3 s"),
    ]


def test_before_its_headers_the_backend_is_not_silent(record, clock):
    clock.now += 60
    assert (record.info.longest_silence_ms, record.snapshot().silent_ms) == (None, None)
    record.note_headers(200, {})
    clock.now += 1
    record.note_chunk(clock.now)
    clock.now += 0.5
    assert (record.info.longest_silence_ms, record.snapshot().silent_ms) == (1000, 500)


def test_a_client_that_did_not_read_is_not_the_backends_silence(record, clock):
    record.note_headers(200, {})
    clock.now += 60
    record.note_client_waited(clock.now)
    clock.now += 1
    record.note_chunk(clock.now)
    assert record.info.longest_silence_ms == 1000


def test_the_same_account_again_is_not_a_step(record):
    for _ in range(2):
        record.note_account("id-1", "work@example.com", "active account")
    record.note_account("id-2", "home@example.com", "tried after work@example.com")
    chosen = [step.note for step in record.snapshot().steps if step.name is StepName.CHOSEN]
    assert chosen == ["work@example.com: active account", "home@example.com: tried after work@example.com"]
    assert (record.snapshot().account_id, record.info.account) == ("id-2", "home@example.com")


def test_each_attempt_has_a_first_event_and_the_answer_one_first_token(record, clock):
    for attempt in range(2):
        record.note_sent()
        assert not record.has_first_event
        clock.now += 1
        record.note_first_event(clock.now)
        record.note_first_token(clock.now)
        assert record.has_first_event
        assert record.has_first_token
        if attempt == 0:
            record.note_retry(RateLimited("Slow down."), "at once")
    names = [step.name for step in record.snapshot().steps]
    assert (names.count(StepName.FIRST_EVENT), names.count(StepName.FIRST_TOKEN)) == (2, 1)
    assert (record.info.ttft_ms, record.info.retries) == (1000, 1)


# -- what is kept ---------------------------------------------------------------------------------


def test_secrets_in_errors_are_not_kept(record):
    secret = "sk-0123456789abcdef0123"
    error = UpstreamFailed(f"no such key {secret}")
    record.note_retry(error, "at once")
    record.note_failure(error)
    record.note_reported(502, "api_error", str(error))
    record.note_model(f"opus {secret}")
    assert secret not in f"{record}{record.snapshot()}"
    assert record.info.error == "no such key [redacted]"


def test_the_name_of_a_model_has_an_end(record):
    record.note_model("m" * 100_000)
    record.note_model_used("m" * 100_000)
    assert len(record.info.model) == len(record.info.model_used) == MAX_MODEL_CHARS


def test_a_session_is_kept_short(record):
    record.note_session("5e5510112233445566")
    assert record.info.session == "5e551011"
    assert len(record.info.session) == SESSION_CHARS
