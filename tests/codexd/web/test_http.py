"""A request's head and body, with the messages of ASGI as a list."""

import gc
import gzip
import sys
import weakref
from functools import partial

import pytest
import trio
import trio.testing

from codexd import bounds
from codexd.errors import Busy, RequestInvalid, RequestTooLarge
from codexd.translation.client_api import Client
from codexd.web.caller import Shape
from codexd.web.http import ClientLeftError, Request, Room, read_body, send_json, wait_for_disconnect

if sys.version_info >= (3, 14):
    from compression.zstd import compress
else:
    from backports.zstd import compress


def make_request(**headers):
    scope = {
        "method": "POST",
        "path": "/v1/messages",
        "query_string": b"beta=true",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    return Request.of(scope, "req_1")


def receiving(*parts, then="http.disconnect"):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if then == "end" and messages:
        messages[-1]["more_body"] = False

    async def receive():
        return messages.pop(0) if messages else {"type": then}

    return receive


def test_the_head_has_lower_case_names_and_says_who_calls():
    request = make_request(User_Agent="claude-cli/2.1.330")
    assert request.headers == {"user-agent": "claude-cli/2.1.330"}
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", "beta=true")
    assert (request.caller.client, request.caller.shape) == (Client.CLAUDE_CODE, Shape.ANTHROPIC)


async def test_a_body_in_pieces():
    assert await read_body(make_request(), receiving(b"ab", b"", b"c", then="end")) == b"abc"


async def test_a_client_that_leaves_before_its_body_is_whole():
    with pytest.raises(ClientLeftError):
        await read_body(make_request(), receiving(b"ab"))
    await wait_for_disconnect(receiving(b"ab"))


async def test_a_compressed_body():
    request = make_request(content_encoding="gzip")
    assert await read_body(request, receiving(gzip.compress(b"{}"), then="end")) == b"{}"


async def test_encodings_on_several_lines_are_one_list():
    names = (b"Content-Encoding", b"gzip"), (b"content-encoding", b"zstd")
    request = Request.of({"method": "POST", "path": "/", "query_string": b"", "headers": names}, "req_1")
    assert request.headers == {"content-encoding": "gzip, zstd"}
    assert await read_body(request, receiving(compress(gzip.compress(b"{}")), then="end")) == b"{}"


async def test_a_compression_that_is_not_supported():
    with pytest.raises(RequestInvalid, match="'br' is not supported"):
        await read_body(make_request(content_encoding="br"), receiving(b""))  # nothing of it is read


async def test_a_body_that_is_too_large_however_it_comes():
    declared = make_request(content_length=str(bounds.BODY_BYTES + 1))
    with pytest.raises(RequestTooLarge):
        await read_body(declared, receiving())  # nothing of it is read
    half = b" " * (bounds.BODY_BYTES // 2 + 1)
    with pytest.raises(RequestTooLarge):
        await read_body(make_request(), receiving(half, half))
    bomb = gzip.compress(b" " * (bounds.BODY_BYTES + 1))
    with pytest.raises(RequestTooLarge):
        await read_body(make_request(content_encoding="gzip"), receiving(bomb, then="end"))


async def test_a_json_answer():
    sent = []

    async def send(message):
        sent.append(message)

    await send_json(send, 429, {"error": 1}, {"retry-after": "3"})
    start, body = sent
    assert (start["status"], body["body"]) == (429, b'{"error":1}')
    assert dict(start["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": b"11",
        b"retry-after": b"3",
    }


async def hold(room, size, *, release, entered=None):
    async with room.read(make_request(content_length=str(size)), receiving(b"x" * size, then="end")) as body:
        if entered is not None:
            entered.append(len(body))
        await release.wait()


async def test_a_body_waits_until_there_is_room_for_it_in_the_order_of_arrival(autojump_clock):
    room, first, rest, entered = Room(100), trio.Event(), trio.Event(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(hold, room, 80, release=first))
        await trio.testing.wait_all_tasks_blocked()
        for size in (70, 10):  # the small one would fit, but must not overtake the large one
            nursery.start_soon(partial(hold, room, size, release=rest, entered=entered))
            await trio.testing.wait_all_tasks_blocked()
        assert (entered, room.used_bytes) == ([], 80)
        first.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (entered, room.used_bytes) == ([70, 10], 80)
        rest.set()
    assert room.used_bytes == 0


class Cycle:
    """What only the collector frees."""

    def __init__(self, body):
        self.body = body
        self.itself = self


async def test_what_large_bodies_leave_in_cycles_does_not_stay(autojump_clock):
    """Left alone, the collector would not come: it counts objects."""
    room, left = Room(100, garbage_bytes=50), []
    gc.disable()
    try:
        for _ in range(9):
            async with room.read(make_request(content_length="20"), receiving(b"x" * 20, then="end")) as body:
                left.append(weakref.ref(Cycle(body)))
    finally:
        gc.enable()
    assert sum(each() is not None for each in left) <= 2


async def test_a_body_that_finds_no_room_is_refused_in_the_end(autojump_clock):
    room, release = Room(100), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(hold, room, 80, release=release))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Busy, match="send this one again"):
            await hold(room, 30, release=release)
        release.set()
    await hold(room, 100, release=release)  # nothing of the refused one is left
    assert room.used_bytes == 0


async def test_a_body_of_unknown_size_takes_the_most_only_until_it_is_read():
    room = Room(bounds.BODY_BYTES + 10)
    compressed = gzip.compress(b"{}" + b" " * 40)
    async with room.read(make_request(content_encoding="gzip"), receiving(compressed, then="end")):
        assert room.used_bytes == 42
    async with room.read(make_request(), receiving(b"ab", b"c", then="end")):
        assert room.used_bytes == 3
    with pytest.raises(ClientLeftError):
        async with room.read(make_request(), receiving(b"ab")):
            pass
    assert room.used_bytes == 0


async def test_one_body_always_fits():
    room = Room(10)
    async with room.read(make_request(content_length="12"), receiving(b"x" * 12, then="end")) as body:
        assert len(body) == room.used_bytes == 12
