"""The buffer between the reader of an answer and its client."""

import pytest
import trio

from codexd import bounds
from codexd.errors import StreamBroken
from codexd.web.outbox import Outbox, Signal


async def test_everything_that_waits_leaves_in_one_piece():
    outbox = Outbox()
    outbox.put(b"a")
    outbox.put(b"b")
    assert outbox.has_data
    assert await outbox.take(1.0) == b"ab"
    assert not outbox.has_data
    outbox.put(b"c")
    outbox.end()
    assert [await outbox.take(1.0), await outbox.take(1.0)] == [b"c", Signal.END]


async def test_silence(autojump_clock):
    outbox = Outbox()
    assert await outbox.take(10.0) is Signal.SILENCE
    assert trio.current_time() == pytest.approx(10.0, abs=0.1)
    assert not await outbox.wait(5.0)
    outbox.put(b"a")
    assert await outbox.wait(5.0)


async def test_the_first_end_counts_and_nothing_comes_after_it():
    outbox, failure = Outbox(), StreamBroken("cut")
    outbox.put(b"a")
    outbox.end(failure)
    outbox.end()
    outbox.put(b"late")
    assert outbox.failure is failure
    assert await outbox.take(1.0) == b"a"
    assert await outbox.take(1.0) is Signal.END
    assert not outbox.is_full


async def test_the_writer_waits_until_the_first_part_has_gone():
    outbox = Outbox()
    assert not outbox.is_full
    outbox.put(b"a")
    assert outbox.is_full
    assert await outbox.take(1.0) == b"a"
    assert outbox.is_full  # the reader has it, and is still sending
    outbox.put(b"b")
    assert await outbox.take(1.0) == b"b"
    assert not outbox.is_full


async def test_a_slow_reader_holds_the_writer_up(autojump_clock):
    outbox, wrote = Outbox(), []

    async def write():
        for _ in range(5):
            outbox.put(b"x" * bounds.OUTBOX_BYTES)
            await outbox.wait_for_room()
            wrote.append(trio.current_time())
        outbox.end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        size = 0
        while (data := await outbox.take(100.0)) is not Signal.END:
            size += len(data)
            assert len(data) <= 2 * bounds.OUTBOX_BYTES
            await trio.sleep(1.0)
    assert size == 5 * bounds.OUTBOX_BYTES
    assert wrote[-1] >= 2.0


async def test_a_writer_that_waits_is_let_go_at_the_end(autojump_clock):
    outbox = Outbox()
    outbox.put(b"a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.wait_for_room)
        await trio.sleep(1.0)
        outbox.end()
