"""Records of requests, and what is logged of them."""

from __future__ import annotations

import pytest

from codexd.errors import Overloaded, RequestCancelled, RequestNotFound, UpstreamFailed, UsageLimitReached
from codexd.record.requests import KEPT_REQUESTS, REPEATED_S, RequestLog
from codexd.record.timeline import CLIENT_LEFT, MAX_MODEL_CHARS, StepName
from codexd.translation.backend import Usage
from codexd.translation.reading.losses import LossKind


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(clock):
    return RequestLog(clock, lambda: 1_800_000_000.0)


def make(log, number=1, client="some/1.0"):
    return log.record(f"req_{number}", "POST", "/v1/messages", client)


def test_a_request_is_in_flight_until_it_ends(log, clock):
    with make(log) as record:
        assert log.in_flight == 1
        assert log.records == [record]
        record.status = 200
        clock.now += 0.5
        record.note_first_token(clock.now)
        clock.now += 1
        record.note_first_token(clock.now)
    assert log.in_flight == 0
    assert (record.ttft_ms, record.duration_ms, record.started_at) == (500, 1500, 1_800_000_000.0)


def test_a_client_that_left_has_a_status_too(log):
    with make(log) as record:
        pass
    assert (record.status, record.error_kind, record.state) == (CLIENT_LEFT, "client_left", "failed")


@pytest.mark.parametrize(
    ("stop_reason", "told", "state", "kind"), [("end_turn", False, "done", None), (None, True, "failed", "overloaded")]
)
def test_a_client_may_leave_at_the_end(log, stop_reason, told, state, kind):
    with make(log) as record:
        record.status, record.stop_reason = 200, stop_reason
        if told:
            record.fail(Overloaded("full"))
            record.note_told(200, "overloaded_error", "full")
        record.note_client_left()
    assert (record.state, record.error_kind) == (state, kind)


def test_a_bug_is_a_failure_of_ours(log):
    with pytest.raises(ZeroDivisionError), make(log) as record:
        record.status = 1 // 0
    assert (record.status, record.error_kind) == (500, "internal")


def test_the_log_line_has_what_is_known(log, caplog):
    caplog.set_level("INFO")
    with make(log) as record:
        record.status, record.usage = 200, Usage(input_tokens=5, cached_tokens=3, output_tokens=2)
    fields = caplog.records[-1].fields
    assert (fields["input_tokens"], fields["cached_tokens"], fields["output_tokens"]) == (5, 3, 2)
    assert "error" not in fields
    assert "reasoning_tokens" not in fields


def test_an_error_is_a_warning(log, caplog):
    with make(log) as record:
        record.status, record.error = 502, "it broke"
    assert caplog.records[-1].levelname == "WARNING"


def test_a_thousand_are_kept(log):
    for number in range(KEPT_REQUESTS + 5):
        with make(log, number) as record:
            record.status = 200
    assert len(log.records) == KEPT_REQUESTS
    assert log.records[0].id == "req_5"


def test_a_kind_of_loss_is_told_once_for_a_client_and_its_version(log, caplog):
    caplog.set_level("INFO")
    for number, client in enumerate(["some/1.0", "some/1.0", "some/1.1"]):
        with make(log, number, client) as record:
            record.losses.add(LossKind.DROPPED, f"messages[{number}].x", "no such thing")
            record.losses.add(LossKind.COSMETIC, "cache_control", "nothing to see")
    told = [entry.getMessage() for entry in caplog.records if entry.name == "codexd.losses"]
    assert told == ["dropped messages[0].x: no such thing", "dropped messages[2].x: no such thing"]


def test_the_steps_have_their_times(log, clock):
    with make(log) as record:
        clock.now += 0.25
        record.note(StepName.CHOSEN, "work@example.com: active account")
        clock.now += 1
        record.note_headers(200, {"x-request-id": "upstream-1"})
        for pause_s in (1, 3, 2):
            clock.now += pause_s
            record.note_chunk(clock.now)
        record.status = 200
    assert [(step.at_ms, step.name.value) for step in record.steps] == [
        (0, "received"),
        (250, "account chosen"),
        (1250, "headers"),
        (7250, "end"),
    ]
    assert (record.longest_silence_ms, record.upstream_status, record.upstream_request_id) == (3000, 200, "upstream-1")


def test_before_its_headers_the_backend_is_not_silent(log, clock):
    with make(log) as record:
        clock.now += 60
        assert record.longest_silence_ms is None
        record.note_headers(200, {})
        clock.now += 1
        record.note_chunk(clock.now)
    assert record.longest_silence_ms == 1000


def test_the_same_account_again_is_no_step(log):
    with make(log) as record:
        for _ in range(2):
            record.note_account("id-1", "work@example.com", "active account")
        record.note_account("id-2", "home@example.com", "tried after work@example.com")
    chosen = [step.note for step in record.steps if step.name is StepName.CHOSEN]
    assert chosen == ["work@example.com: active account", "home@example.com: tried after work@example.com"]


def test_an_answer_is_let_go_of_at_its_end_and_its_last_count_kept(log):
    with make(log) as record:
        record.count_output, record.end_early = lambda: 7, lambda error: None
        assert record.output_tokens == 7
    assert (record.count_output, record.end_early, record.output_tokens) == (None, None, 7)


# -- finding --------------------------------------------------------------------------------------


def test_a_request_is_found_by_the_beginning_of_its_id(log):
    with make(log, "abc1") as first, make(log, "abd2") as second, make(log, "abc12"):
        assert log.find("req_abd") is second
        assert log.find("abd2") is second
        assert log.find("req_abc1") is first
        for name in ("ab", "x", ""):
            with pytest.raises(RequestNotFound):
                log.find(name)


def fail(log, number, error=None):
    with make(log, number) as record:
        record.status = 200
        if error is not None:
            record.fail(error)


def test_the_last_failed_is_none_that_its_user_ended(log):
    with pytest.raises(RequestNotFound, match="has failed"):
        log.find_last_failed()
    fail(log, 1, RequestCancelled("cancelled"))
    assert log.find_last_failed().id == "req_1"
    fail(log, 2, UpstreamFailed("it broke"))
    fail(log, 3, RequestCancelled("cancelled"))
    fail(log, 4)
    with make(log, 5):
        pass
    assert log.find_last_failed().id == "req_2"


def test_an_error_tells_when_its_limit_ends(log):
    with make(log) as record:
        record.fail(UsageLimitReached("used up", resets_at=1_800_000_100.0))
    assert record.resets_at == 1_800_000_100.0


# -- ending early ---------------------------------------------------------------------------------


def test_a_cancelled_request_is_ended_with_an_error(log):
    ends = []
    with make(log) as record:
        with pytest.raises(RequestNotFound, match="still being received"):
            log.cancel("req_1")
        record.end_early = ends.append
        assert log.cancel("1") is record
    assert [type(error) for error in ends] == [RequestCancelled]
    with pytest.raises(RequestNotFound, match="has ended"):
        log.cancel("req_1")


def test_the_next_try_of_a_cancelled_request_is_known_once_and_for_a_while(log, clock):
    with make(log) as record:
        record.session, record.end_early = "5e551011", lambda error: None
        log.cancel("req_1")
        assert not log.is_repeated("another-session")
        assert log.is_repeated("5e551011-and-more")
        assert not log.is_repeated("5e551011-and-more")
        log.cancel("req_1")
        clock.now += REPEATED_S
        assert not log.is_repeated("5e551011-and-more")


def test_secrets_in_errors_are_not_kept(log):
    secret = "sk-0123456789abcdef0123"
    with make(log) as record:
        error = UpstreamFailed(f"no such key {secret}")
        record.note_retry(error, "at once")
        record.fail(error)
        record.note_told(502, "api_error", str(error))
        record.note_model(f"opus {secret}")
    assert secret not in f"{record}"
    assert record.error == "no such key [redacted]"


def test_the_name_of_a_model_has_an_end(log):
    with make(log) as record:
        record.note_model("m" * 100_000)
        record.note_model_used("m" * 100_000)
    assert len(record.model) == len(record.model_used) == MAX_MODEL_CHARS
