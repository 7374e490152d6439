"""The log of requests: what it keeps, finds, ends early, and writes."""

from __future__ import annotations

import pytest

from codexd import bounds
from codexd.errors import RequestCancelled, RequestNotFound, UpstreamFailed
from codexd.record.requests import REPEATED_S, RequestLog
from codexd.record.timeline import CLIENT_LEFT
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
def log(clock):
    return RequestLog(clock, lambda: 1_800_000_000.0)


def make(log, number=1, client="some/1.0"):
    return log.record(f"req_{number}", "POST", "/v1/messages", client)


def test_a_request_is_in_flight_until_it_ends(log, clock):
    with make(log) as record:
        assert log.in_flight == 1
        assert [request.info.state for request in log.snapshots] == ["running"]
        record.note_status(200)
        clock.now += 0.5
        record.note_first_token(clock.now)
        clock.now += 1
        record.note_first_token(clock.now)
    assert log.in_flight == 0
    (ended,) = log.snapshots
    assert (ended.info.ttft_ms, ended.info.duration_ms, ended.info.started_at) == (500, 1500, 1_800_000_000.0)


def test_a_request_without_an_outcome_was_left_by_its_client(log):
    with make(log):
        pass
    (ended,) = log.snapshots
    assert (ended.info.status, ended.info.error_kind, ended.info.state) == (CLIENT_LEFT, "client_left", "stopped")


def test_a_client_that_stops_its_request_is_no_warning(log, caplog):
    with caplog.at_level("INFO", "codexd.request"), make(log) as record:
        record.note_status(200)
        record.note_client_left()
    assert [line.levelname for line in caplog.records] == ["INFO"]


def test_a_bug_is_a_failure_of_ours(log):
    with pytest.raises(ZeroDivisionError), make(log) as record:
        record.note_status(1 // 0)
    (ended,) = log.snapshots
    assert (ended.info.status, ended.info.error_kind) == (500, "internal")


def test_the_log_line_has_what_is_known(log, caplog):
    caplog.set_level("INFO")
    with make(log) as record:
        record.note_answer(Usage(input_tokens=5, cached_tokens=3, output_tokens=2), "end_turn")
        record.note_status(200)
    fields = caplog.records[-1].fields
    assert (fields["input_tokens"], fields["cached_tokens"], fields["output_tokens"]) == (5, 3, 2)
    assert "error" not in fields
    assert "reasoning_tokens" not in fields


def test_an_error_is_a_warning(log, caplog):
    with make(log) as record:
        record.note_status(502)
        record.note_failure(UpstreamFailed("it broke"))
    assert caplog.records[-1].levelname == "WARNING"


def test_a_thousand_are_kept(log):
    for number in range(bounds.REQUESTS + 5):
        with make(log, number) as record:
            record.note_status(200)
    assert len(log.snapshots) == bounds.REQUESTS
    assert log.snapshots[0].info.id == "req_5"


def test_a_kind_of_loss_is_logged_once_for_a_client_and_its_version(log, caplog):
    caplog.set_level("INFO")
    for number, client in enumerate(["some/1.0", "some/1.0", "some/1.1"]):
        losses = Losses()
        with make(log, number, client) as record:
            record.note_losses(losses)
            losses.add(LossKind.DROPPED, f"messages[{number}].x", "no such thing")
            losses.add(LossKind.COSMETIC, "cache_control", "nothing to see")
    logged = [entry.getMessage() for entry in caplog.records if entry.name == "codexd.losses"]
    assert logged == ["dropped messages[0].x: no such thing", "dropped messages[2].x: no such thing"]


# -- finding --------------------------------------------------------------------------------------


def test_a_request_is_found_by_the_beginning_of_its_id(log):
    with make(log, "abc1"), make(log, "abd2"), make(log, "abc12"):
        assert log.find("req_abd").info.id == "req_abd2"
        assert log.find("abd2").info.id == "req_abd2"
        assert log.find("req_abc1").info.id == "req_abc1"
        for name in ("ab", "x", ""):
            with pytest.raises(RequestNotFound):
                log.find(name)


def fail(log, number, error=None):
    with make(log, number) as record:
        record.note_status(200)
        if error is not None:
            record.note_failure(error)


def test_a_cancelled_request_is_the_last_failed_only_if_there_is_no_other_and_a_stopped_one_never(log):
    with make(log, 0):
        pass
    with pytest.raises(RequestNotFound, match="has failed"):
        log.find_last_failed()
    fail(log, 1, RequestCancelled("cancelled"))
    assert log.find_last_failed().info.id == "req_1"
    fail(log, 2, UpstreamFailed("it broke"))
    fail(log, 3, RequestCancelled("cancelled"))
    fail(log, 4)
    with make(log, 5):
        pass
    assert log.find_last_failed().info.id == "req_2"


# -- ending early ---------------------------------------------------------------------------------


def test_a_cancelled_request_is_ended_with_an_error(log):
    ends = []
    with make(log) as record:
        with pytest.raises(RequestNotFound, match="still being received"):
            log.cancel("req_1")
        record.note_running(ends.append)
        assert log.cancel("1").info.id == "req_1"
        record.note_failure(ends[0])
        assert record.info.state == "running"
    assert [type(error) for error in ends] == [RequestCancelled]
    assert record.info.state == "cancelled"
    with pytest.raises(RequestNotFound, match="has already ended"):
        log.cancel("req_1")


def test_a_beginning_means_a_running_request_before_one_that_ended(log):
    with make(log, 11):
        pass
    with make(log, 12) as record:
        record.note_running(lambda error: None)
        assert log.cancel("1").info.id == "req_12"
        with make(log, 13), pytest.raises(RequestNotFound, match="2 request ids"):
            log.cancel("1")


def test_the_next_try_of_a_cancelled_request_is_known_once_and_for_a_while(log, clock):
    with make(log) as record:
        record.note_session("5e551011-and-more")
        record.note_running(lambda error: None)
        log.cancel("req_1")
        assert not log.is_repeated("another-session")
        assert log.is_repeated("5e551011-and-more")
        assert not log.is_repeated("5e551011-and-more")
        log.cancel("req_1")
        clock.now += REPEATED_S
        assert not log.is_repeated("5e551011-and-more")
