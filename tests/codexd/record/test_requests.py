"""Records of requests, and what is logged of them."""

from __future__ import annotations

import pytest

from codexd.record.requests import CLIENT_LEFT, KEPT_REQUESTS, RequestLog
from codexd.translation.losses import LossKind
from codexd.translation.responses import Usage


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
    assert record.status == CLIENT_LEFT


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
