"""How long an answer is waited for."""

import pytest
import trio

from codexd import bounds
from codexd.errors import BackendSilent, StreamBroken, UpstreamTimeout
from codexd.upstream.codex import ResponsesReader
from codexd.upstream.event_source import EventSource
from codexd.upstream.http import AnswerTimeouts

NAME = "the backend"


async def test_once_an_answer_has_begun_only_the_idle_timeout_counts(autojump_clock):
    async def arrive():
        yield b": keepalive\n\n"
        await trio.sleep(250)
        yield b"data: [DONE]\n\n"
        await trio.sleep(400)
        yield b""

    source = EventSource(
        arrive(), AnswerTimeouts(300.0, 90.0), ResponsesReader(), name=NAME, begins_by=trio.current_time() + 90
    )
    with pytest.raises(UpstreamTimeout, match=r"silent for 300 s \(setting upstream.idle_timeout\)") as silent:
        with source.watched():
            while True:
                await source.receive_events()
    assert not isinstance(silent.value, BackendSilent)


@pytest.mark.parametrize(
    "kept_alive",
    [
        b": comment\n\n",
        b"\n\n",
        b"",
        b"x",
        b'data: {"type":"keepalive"}\n\n',
        b'data: {"type":"response.in_progress"}\n\n',
        b'data: {"type":"codex.rate_limits"}\n\n',
        b'data: {"type":"something.new"}\n\n',
        b"data: [DONE]\n\n",
    ],
)
@pytest.mark.parametrize("begun", [b"", b'data: {"type":"response.output_text.delta","delta":"a"}\n\n'])
async def test_an_answer_that_stands_still_is_not_waited_for_for_ever(autojump_clock, kept_alive, begun):
    class Chunks:
        sent = [begun] if begun else []

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.sent:
                await trio.sleep(20)
            return self.sent.pop() if self.sent else kept_alive

    start = trio.current_time()
    source = EventSource(Chunks(), AnswerTimeouts(30.0, 25.0), ResponsesReader(), name=NAME, begins_by=start + 25)
    with pytest.raises(UpstreamTimeout, match=r"nothing of the answer for 120 s \(4 times the setting upstream.idle_"):
        with source.watched():
            while True:
                await source.receive_events()
    assert 120 <= trio.current_time() - start <= 165


async def test_an_answer_that_is_slow_but_moves_is_waited_for(autojump_clock):
    class Chunks:
        left = 100

        def __aiter__(self):
            return self

        async def __anext__(self):
            await trio.sleep(20)
            self.left -= 1
            if self.left % 5 == 0:
                return b'data: {"type":"response.output_text.delta","delta":"a"}\n\n'
            return b": comment\n\n" if self.left > 0 else b'data: {"type":"response.completed"}\n\n'

    source = EventSource(Chunks(), AnswerTimeouts(30.0), ResponsesReader(), name=NAME)
    with source.watched():
        for _ in range(99):
            await source.receive_events()
    assert trio.current_time() >= 1900


async def test_what_a_slow_client_takes_is_not_the_answers_time(autojump_clock):
    class Chunks:
        def __aiter__(self):
            return self

        async def __anext__(self):
            await trio.sleep(20)
            return b": comment\n\n"

    source = EventSource(Chunks(), AnswerTimeouts(30.0), ResponsesReader(), name=NAME)
    with source.watched():
        for _ in range(20):
            await source.receive_events()
            await source.receive_events()
            with source.paused():
                await trio.sleep(500)
    assert trio.current_time() >= 20 * 540


async def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(bounds, "STREAM_BYTES", 3 * bounds.MIB)

    class Chunks:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return b'data: {"type":"response.output_text.delta","delta":"%s"}\n\n' % (b"x" * bounds.MIB)

    source, events = EventSource(Chunks(), AnswerTimeouts(300.0), ResponsesReader(), name=NAME), []
    with pytest.raises(StreamBroken, match="the backend sent more than 3 MB in one answer"):
        while True:
            events += await source.receive_events()
    assert len(events) == 2
