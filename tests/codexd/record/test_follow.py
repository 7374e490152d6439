"""Following requests."""

from __future__ import annotations

import pytest
import trio

from codexd.record.requests import RequestLog


@pytest.fixture
def log():
    return RequestLog(trio.current_time, lambda: 1_800_000_000.0)


def make(log, number=1):
    return log.record(f"req_{number}", "POST", "/v1/messages", "some/1.0")


async def take(follower):
    with trio.fail_after(100):
        return await anext(follower)


async def is_silent(follower, seconds):
    with trio.move_on_after(seconds) as scope:
        await anext(follower)
    return scope.cancelled_caught


async def test_a_request_is_followed_from_its_start_to_its_end(log, autojump_clock):
    with log.subscribe() as follower:
        with make(log) as record:
            assert (await take(follower)).request.state == "running"
            record.note_account("id", "work@example.com", "active account")
            assert (await take(follower)).request.account == "work@example.com"
            record.note_first_token(trio.current_time() + 1)
            assert (await take(follower)).request.ttft_ms == 1000
            record.note_status(200)
        last = (await take(follower)).request
        assert (last.state, last.status) == ("done", 200)
        assert await is_silent(follower, 10)


async def test_what_happened_meanwhile_is_one_event(log, autojump_clock):
    with log.subscribe() as follower:
        with make(log, 1) as record:
            record.note_sent()
            with make(log, 2):
                pass
        events = [await take(follower) for _ in range(2)]
        assert [(event.request.id, event.request.state) for event in events] == [
            ("req_1", "stopped"),
            ("req_2", "stopped"),
        ]
        assert await is_silent(follower, 10)


async def test_a_growing_answer_is_seen_every_second(log, autojump_clock):
    with log.subscribe() as follower, make(log) as record:
        fixed = []
        record.note_asked("gpt-5.5", lambda: fixed[0] if fixed else int(trio.current_time() * 10))
        await take(follower)
        started = trio.current_time()
        events = [await take(follower) for _ in range(5)]
        assert trio.current_time() - started == pytest.approx(5)
        tokens = [event.request.tokens for event in events]
        assert all(count.estimated for count in tokens)
        assert tokens[-1].output > tokens[0].output
        fixed.append(7)
        await take(follower)
        assert await is_silent(follower, 30)


async def test_growth_is_seen_while_others_come_and_go(log, autojump_clock):
    async def come_and_go():
        for number in range(2, 1000):
            with make(log, number):
                await trio.sleep(0.3)

    async with trio.open_nursery() as nursery:
        with log.subscribe() as follower, make(log) as record:
            record.note_asked("gpt-5.5", lambda: int(trio.current_time() * 10))
            nursery.start_soon(come_and_go)
            seen = [await take(follower) for _ in range(60)]
            assert sum(event.request.id == "req_1" for event in seen) >= 5
        nursery.cancel_scope.cancel()


async def test_the_past_comes_first_and_running_requests_always_come(log, autojump_clock):
    for number in range(4):
        with make(log, number):
            pass
    with make(log, 4):
        for limit, expected in ((0, ["req_4"]), (2, ["req_2", "req_3", "req_4"])):
            with log.subscribe(limit) as follower:
                assert [(await take(follower)).request.id for _ in expected] == expected
                assert await is_silent(follower, 10)


async def test_a_reader_that_falls_behind_learns_how_many_it_missed(log):
    with log.subscribe(capacity=3) as follower:
        for number in range(10):
            with make(log, number):
                pass
        events = [await take(follower) for _ in range(4)]
    assert events[0].missed == 7
    assert [event.request.id for event in events[1:]] == ["req_7", "req_8", "req_9"]


async def test_a_closed_follower_ends_and_is_forgotten(log):
    follower = log.subscribe()
    async with trio.open_nursery() as nursery:

        async def read():
            assert [event async for event in follower] == []

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        follower.close()
        follower.close()
    assert not log._followers
