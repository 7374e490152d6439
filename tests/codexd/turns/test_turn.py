"""What a turn remembers, and the pump between a provider and a client, both in memory."""

import pytest
import trio
from support import upstream_events as events
from support.bodies import HI, make

from codexd import jsontext
from codexd.accounts.model import Account
from codexd.errors import StreamBroken, UpstreamFailed, UpstreamTimeout
from codexd.record.requests import RequestLog
from codexd.record.snapshot import StepName
from codexd.translation.client_api import Target
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN
from codexd.turns.retry import How
from codexd.turns.turn import LATE_S, Attempt, Turn, pump, relay, wait_for_limit
from codexd.upstream.codex import ResponsesReader
from codexd.upstream.event_source import EventSource
from codexd.upstream.http import AnswerTimeouts

ANN = Account("0123456789ab", "workspace", "user-ann", "ann@example.com", "plus", 0.0)
TARGET = Target(BUILT_IN.describe("gpt-5.5"))
ANSWER = [events.added(0, type="message"), events.text("Hello"), events.text(" there")]
END = {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}


class ListSink:
    """Keeps what comes; full after each piece until ``room`` is set, where there is one."""

    def __init__(self, room=None):
        self.pieces = []
        self.room = room

    @property
    def is_full(self):
        return self.room is not None and not self.room.is_set()

    def emit(self, made):
        self.pieces.append([event["type"] for event in made])

    async def wait_for_room(self):
        await self.room.wait()


@pytest.fixture
def record():
    with RequestLog(lambda: 0.0).record("req_1", "POST", "/v1/messages", "some") as opened:
        yield opened


def make_turn(record, sink=None):
    turn = Turn(parse(jsontext.dumps(make(HI, stream=True)), {}), "req_1", record, sink or ListSink())
    body = turn.request.to_backend(TARGET)
    turn.stream = turn.request.open_stream(body, TARGET, "req_1")
    return turn


class Chunks:
    """The body of an answer, which comes piece by piece."""

    def __init__(self, chunks, gap_s):
        self._chunks = iter(chunks)
        self._gap_s = gap_s

    def __aiter__(self):
        return self

    async def __anext__(self):
        await trio.sleep(self._gap_s)
        for chunk in self._chunks:
            return b"".join(b"data: %b\n\n" % jsontext.dumps(event) for event in chunk)
        raise StopAsyncIteration


def source_of(*chunks, idle_timeout_s=30.0, gap_s=0.0):
    return EventSource(Chunks(chunks, gap_s), AnswerTimeouts(idle_timeout_s), ResponsesReader(), name="the backend")


async def carry(turn, source):
    await pump(turn, source, lambda made: relay(turn, turn.stream, made, now=0.0, at=0.0), lambda: 0.0)


def test_an_attempt_without_an_account():
    attempt = Attempt(TARGET)
    assert (attempt.model, attempt.account_id) == ("gpt-5.5", "")
    with pytest.raises(TypeError):
        attempt.own_account  # noqa: B018 - it raises
    assert "tok_secret" not in repr(Attempt(TARGET, ANN, "tok_secret"))


def test_what_was_tried_counts_for_its_account_or_for_the_request(record):
    turn = make_turn(record)
    turn.retries = {("ann", How.FRESH_TOKEN), ("ann", How.WITHOUT_REASONING), ("ann", How.ASK_AGAIN)}
    assert turn.tried_on("ann") == {How.FRESH_TOKEN, How.WITHOUT_REASONING, How.ASK_AGAIN}
    assert turn.tried_on("bob") == {How.WITHOUT_REASONING, How.ASK_AGAIN}
    turn.history.waited.add("bob")
    assert How.AFTER_WAIT in turn.tried_on("bob")
    assert How.AFTER_WAIT not in turn.tried_on("ann")


def test_reasoning_is_kept_until_it_was_refused(record):
    turn = make_turn(record)
    assert turn.keeps_reasoning
    turn.retries.add(("ann", How.WITHOUT_REASONING))
    assert not turn.keeps_reasoning


async def test_a_short_limit_is_waited_for(record, autojump_clock):
    turn = make_turn(record)
    began = trio.current_time()
    await wait_for_limit(turn, ANN, 4.0)
    assert trio.current_time() - began == pytest.approx(4.0 + LATE_S)
    assert turn.history.waited == {ANN.id}
    assert [step.note for step in record.snapshot().steps if step.name is StepName.WAITED] == [
        "4.0 s for ann@example.com"
    ]


async def test_a_chunk_goes_out_in_one_piece(record):
    turn = make_turn(record, ListSink())
    assert not turn.has_begun
    await carry(turn, source_of(ANSWER, [END]))
    begin, end = turn.sink.pieces
    assert begin[0] == "message_start"
    assert begin.count("content_block_delta") == 2
    assert end[-1] == "message_stop"
    assert (turn.has_begun, turn.is_answered) == (True, True)


async def test_the_pump_stops_at_the_end_of_the_answer_although_more_comes(record):
    turn = make_turn(record)
    await carry(turn, source_of([*ANSWER, END], [events.text("late")]))
    assert len(turn.sink.pieces) == 1


async def test_what_came_before_a_failure_goes_out_before_it(record):
    turn = make_turn(record)
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oh"}}}
    with pytest.raises(UpstreamFailed, match="oh"):
        await carry(turn, source_of([*ANSWER, failed]))
    assert turn.sink.pieces[0].count("content_block_delta") == 2


async def test_a_stream_that_ends_without_its_terminal_event_is_broken(record):
    with pytest.raises(StreamBroken, match="closed the stream"):
        await carry(make_turn(record), source_of(ANSWER))


async def test_silence_has_an_end(record, autojump_clock):
    with pytest.raises(UpstreamTimeout, match="silent for 30 s"):
        await carry(make_turn(record), source_of(ANSWER, [END], gap_s=40.0))


async def test_a_slow_client_is_not_the_backends_silence(record, autojump_clock):
    room = trio.Event()
    turn = make_turn(record, ListSink(room))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, turn, source_of(ANSWER, [END]))
        await trio.sleep(3600.0)
        assert len(turn.sink.pieces) == 1
        room.set()
    assert turn.is_answered
