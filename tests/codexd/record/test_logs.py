import io
import json
import logging
import threading

import pytest
import trio
import trio.testing

from codexd.api.records import LogEntry, LogEvent, LogFilter
from codexd.record import logs
from codexd.record.logs import LogRing

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lb25lIn0.c2lnbmF0dXJl"


@pytest.fixture
def logging_restored():
    root, ours = logging.getLogger(), logging.getLogger("codexd")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def entry(message="m", at=1.0, level="info", request=None, logger="codexd.web", **fields):
    return LogEntry(0, at, level, logger, message, request, fields)


def messages(entries):
    return [found.message for found in entries]


def test_the_ring_keeps_the_newest_in_order():
    ring = LogRing(3)
    for number in range(5):
        ring.append(entry(str(number)))
    kept = ring.history(LogFilter())
    assert messages(kept) == ["2", "3", "4"]
    assert [found.id for found in kept] == [3, 4, 5]
    assert messages(ring.history(LogFilter(), 2)) == ["3", "4"]
    assert ring.history(LogFilter(), 0) == []
    ring.resize(1)
    assert messages(ring.history(LogFilter())) == ["4"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"level": "debug"}, ["old", "Bad thing", "asked"]),
        ({"level": "warning"}, ["Bad thing"]),
        ({"since": 2.0}, ["Bad thing", "asked"]),
        ({"request": "req_1f2e"}, ["asked"]),
        ({"request": "req_1"}, ["asked"]),
        ({"request": "1f"}, ["asked"]),
        ({"request": "f2e"}, []),
        ({"contains": "bad THING"}, ["Bad thing"]),
        ({"contains": "gpt-5.5"}, ["asked"]),
        ({"contains": "web"}, ["old", "Bad thing", "asked"]),
        ({"contains": "absent"}, []),
        ({"level": "error", "since": 2.0}, ["Bad thing"]),
    ],
)
def test_filters(filters, found):
    ring = LogRing(10)
    ring.append(entry("old", at=1.0))
    ring.append(entry("Bad thing", at=2.0, level="error"))
    ring.append(entry("asked", at=3.0, request="req_1f2e", model="gpt-5.5"))
    assert messages(ring.history(LogFilter(**filters))) == found


async def test_a_follower_gets_the_past_then_what_comes():
    ring = LogRing(10)
    for number in range(3):
        ring.append(entry(str(number)))
    with ring.subscribe(LogFilter(), 2) as follower:
        ring.append(entry("new"))
        assert [(await anext(follower)).entry.message for _ in range(3)] == ["1", "2", "new"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.testing.wait_all_tasks_blocked)
            nursery.start_soon(append_when_blocked, ring)
            assert (await anext(follower)).entry.message == "late"


async def append_when_blocked(ring):
    await trio.testing.wait_all_tasks_blocked()
    ring.append(entry("late"))


async def test_a_slow_follower_learns_what_it_missed_and_goes_on():
    ring = LogRing(10)
    with ring.subscribe(LogFilter(), capacity=2) as follower:
        for number in range(5):
            ring.append(entry(str(number)))
        assert await anext(follower) == LogEvent(missed=3)
        assert [(await anext(follower)).entry.message for _ in range(2)] == ["3", "4"]
        ring.append(entry("5"))
        assert (await anext(follower)).entry.message == "5"


async def test_the_past_takes_no_room_of_what_is_new():
    ring = LogRing(10)
    for number in range(3):
        ring.append(entry(str(number)))
    with ring.subscribe(LogFilter(), 3, capacity=1) as follower:
        ring.append(entry("3"))
        assert [(await anext(follower)).entry.message for _ in range(4)] == ["0", "1", "2", "3"]


async def test_a_follower_gets_only_what_it_asked_for():
    ring = LogRing(10)
    with ring.subscribe(LogFilter(level="error"), capacity=1) as follower:
        for level in ("info", "error", "info"):
            ring.append(entry(level, level=level))
        assert (await anext(follower)).entry.message == "error"


async def test_closing_ends_a_waiting_follower():
    ring = LogRing(10)
    follower = ring.subscribe(LogFilter())
    async with trio.open_nursery() as nursery:

        async def read_to_the_end():
            assert [event async for event in follower] == []

        nursery.start_soon(read_to_the_end)
        await trio.testing.wait_all_tasks_blocked()
        follower.close()
    assert not ring._followers


async def test_other_threads_may_log():
    ring = LogRing(2000)
    with ring.subscribe(LogFilter(), capacity=2000) as follower:

        def write():
            for number in range(500):
                ring.append(entry(str(number)))

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        with trio.fail_after(10):
            seen = [(await anext(follower)).entry.id for _ in range(1500)]
        for thread in threads:
            thread.join()
    assert seen == list(range(1, 1501))


def test_a_follower_of_a_finished_run_does_no_harm():
    ring = LogRing(10)

    async def leave_one_behind():
        ring.subscribe(LogFilter())

    trio.run(leave_one_behind)
    ring.append(entry())


def configured(log_format):
    ring, stream = LogRing(10), io.StringIO()
    logs.configure("info", log_format, ring, stream)
    return ring, stream


def test_text_lines(logging_restored):
    ring, stream = configured("text")
    log = logging.getLogger("codexd.web")
    log.info("hello %s", "you", extra={"request": "req_1", "fields": {"model": "gpt-5.5", "note": "two words"}})
    assert stream.getvalue().endswith('INFO    codexd.web [req_1] hello you model=gpt-5.5 note="two words"\n')
    assert ring.history(LogFilter())[0].fields == {"model": "gpt-5.5", "note": "two words"}


def test_no_mark_turns_the_order_of_a_line():
    assert logs.escape("gpt\u202e5\u2066") == r"gpt\u202e5\u2066"


def test_a_message_is_one_line_whatever_a_client_put_in(logging_restored):
    _ring, stream = configured("text")
    logging.getLogger("codexd").info("a\nb\x1b[31m\x9b", extra={"fields": {"model": "x\ny\u2028"}})
    assert stream.getvalue().count("\n") == 1
    assert not any(mark in stream.getvalue() for mark in "\x1b\x9b\u2028")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_tracebacks_are_logged_without_secrets(logging_restored, log_format):
    ring, stream = configured(log_format)
    try:
        raise TypeError(f"server said {JWT}")
    except TypeError:
        logging.getLogger("codexd").exception("it failed: %s", f"Bearer {JWT}")
    written = stream.getvalue() + str(ring.history(LogFilter()))
    assert "TypeError: server said [redacted]" in written
    assert "test_logs.py" in written
    assert JWT not in written
    assert "eyJ" not in written


def test_a_traceback_does_not_quote_what_a_peer_sent(logging_restored):
    """The words of a parser, of a failed conversion and of a missing key may be anything that was read."""
    _ring, stream = configured("text")
    try:
        try:
            try:
                int("PROMPT")
            except ValueError as error:
                raise KeyError("PROMPT") from error
        except KeyError:
            raise ExceptionGroup("both", [RuntimeError("PROMPT"), OSError("the disk is full")])  # noqa: B904 - as a nursery
    except ExceptionGroup:
        logging.getLogger("codexd").exception("it failed")
    written = stream.getvalue()
    assert "PROMPT" not in written.replace('"PROMPT"', "")  # the lines of this file
    for shown in ("ValueError", "KeyError", "ExceptionGroup: both", "RuntimeError", "OSError: the disk is full"):
        assert shown in written


def test_json_lines(logging_restored):
    _ring, stream = configured("json")
    logging.getLogger("codexd.x").warning("a\nb", extra={"request": "req_1", "fields": {"n": 1}})
    logging.getLogger("codexd.x").info("second")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "codexd.x",
        "request": "req_1",
        "message": "a\nb",
        "fields": {"n": 1},
    }
    assert second["request"] is None


def test_libraries_are_heard_from_warning_up(logging_restored):
    ring, _stream = configured("text")
    logging.getLogger("httpx").info("GET with a query")
    logging.getLogger("httpx").warning("trouble")
    logging.getLogger("codexd.web").debug("detail")
    logging.getLogger("codexd.web").info("news")
    assert messages(ring.history(LogFilter())) == ["trouble", "news"]


def test_configuring_again_replaces(logging_restored):
    ring, stream = configured("text")
    logs.configure("debug", "json", ring, stream)
    logging.getLogger("codexd").debug("once")
    assert messages(ring.history(LogFilter())) == ["once"]
    assert json.loads(stream.getvalue())["message"] == "once"


def test_a_message_that_does_not_fit_its_arguments_is_logged(logging_restored):
    ring, _stream = configured("text")
    logging.raiseExceptions, before = False, logging.raiseExceptions
    logging.getLogger("codexd").info("%d apples", "many")
    logging.raiseExceptions = before
    assert messages(ring.history(LogFilter())) == ["%d apples ('many',)"]


def test_a_huge_message_is_cut(logging_restored):
    ring, _stream = configured("text")
    logging.getLogger("codexd").info("x" * 100_000)
    (found,) = ring.history(LogFilter())
    assert len(found.message) < 40_000
    assert found.message.endswith("(68000 more characters)")


def test_levels_between_and_beyond_have_a_name(logging_restored):
    ring, _stream = configured("text")
    for level in (25, 60):
        logging.getLogger("codexd").log(level, "x")
    assert [found.level for found in ring.history(LogFilter())] == ["info", "critical"]
