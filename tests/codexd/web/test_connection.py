"""One connection: who has left and who still waits, what is read ahead, and the clocks of a head and a body."""

from __future__ import annotations

import fcntl
import json
import socket
import struct

import pytest
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.worker_context import WorkerContext
from support.harness import HELLO, start_daemon

from codexd.simulator.wire import Outcome
from codexd.web import connection, protocol
from codexd.web.server import bind, make_config, serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHAT = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "gpt-5.5", "input": "hi"}
BODIES = {"/v1/messages": HELLO, "/v1/chat/completions": CHAT, "/v1/responses": RESPONSES}

HELD = {"output": [{"text": "x" * 100}], "hold": "for ever", "after_items": 0}


def post(path, body, version="1.1"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/{version}\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def count_descriptors():
    """How many this process has; without /proc, which not every system has."""

    def is_open(number):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            return False
        return True

    return sum(map(is_open, range(2048)))


async def start(nursery, app):
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    stop = trio.Event()

    async def run(task_status):
        await serve(app, [listener], stop=stop, drain_s=0, task_status=task_status)

    await nursery.start(run)
    return port


async def read_all(stream):
    answer = b""
    while data := await stream.receive_some(1 << 16):
        answer += data
    return answer


async def echo_length(_scope, receive, send):
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % length})


async def ignore_body(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


LEAVING = {
    "pipelined": HEALTH * 20,
    "many": HEALTH * 3000,
    "head": HEALTH.replace(b"GET", b"HEAD") * 20,
    "not-found": HEALTH.replace(b"/health", b"/nowhere") * 20,
    "half-a-request-behind": HEALTH + HEALTH[:20],
    "two-turns": post("/v1/messages", HELLO) * 2,
    "two-streams": post("/v1/messages", {**HELLO, "stream": True}) * 2,
    "half-a-turn-behind": post("/v1/responses", RESPONSES) + post("/v1/responses", RESPONSES)[:80],
    "body-nobody-reads": post("/nowhere", b"x" * 500_000) * 2,
    "large-body-behind": post("/v1/chat/completions", CHAT) + post("/v1/chat/completions", b" " * 500_000),
    "half-a-body": post("/v1/messages", HELLO)[:-10],
}


# httpx leaves a generator of its own behind if it is cancelled while it sends a request.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("end", ["fin", "reset", "after-the-first-byte"])
@pytest.mark.parametrize("name", LEAVING)
async def test_a_client_that_left_leaves_no_descriptor(nursery, tmp_path, name, end):
    running = await start_daemon(nursery, tmp_path)
    running.load(HELD, then="repeat-last")
    port = int(running.address.rpartition(":")[2])
    before = count_descriptors()
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", port))
        client.setblocking(False)
        client.send(LEAVING[name])
        if end == "after-the-first-byte":
            with trio.move_on_after(0.05):
                await trio.lowlevel.wait_readable(client)
        elif end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await trio.lowlevel.checkpoint()
    spare = 10  # kept connections to the simulated backend, at both of their ends, and the usage history
    with trio.fail_after(10):
        while count_descriptors() > before + spare or (await running.call("daemon.status"))["streams_in_flight"]:
            await trio.sleep(0.02)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_shut_down_its_side_gets_its_answer(nursery, tmp_path, path, stream, version):
    running = await start_daemon(nursery, tmp_path)
    running.load(HELD)
    client = await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))
    await client.send_all(post(path, {**BODIES[path], "stream": stream}, version))
    await client.send_eof()
    with trio.fail_after(20):
        while not running.asked:
            await trio.sleep(0.01)
        probe = await client.receive_some(1000) if version == "1.1" else b""
        running.simulator.release("for ever")
        answer = probe + await read_all(client)
    await client.aclose()
    ends = {"/v1/messages": b"message_stop", "/v1/chat/completions": b"[DONE]", "/v1/responses": b"response.completed"}
    final = answer.partition(b"HTTP/1.1 200")[2]
    assert final
    assert (b"HTTP/1.1 100" in answer) is (version == "1.1")
    assert (ends[path] if stream else b'"usage"') in final
    assert (await running.request_fields())["status"] == 200


@pytest.mark.parametrize("number", [1, 5])
async def test_a_client_that_shut_down_its_side_gets_all_its_answers(nursery, tmp_path, number):
    running = await start_daemon(nursery, tmp_path)
    client = await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))
    await client.send_all(HEALTH * number)
    await client.send_eof()
    with trio.fail_after(10):
        assert (await read_all(client)).count(b"HTTP/1.1 200") == number
    await client.aclose()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_the_turn_of_a_client_that_closed_its_socket_is_cancelled(nursery, tmp_path, path, stream):
    running = await start_daemon(nursery, tmp_path)
    running.load(HELD)
    client = await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))
    await client.send_all(post(path, {**BODIES[path], "stream": stream}))
    while not running.asked:
        await trio.sleep(0.01)
    await client.aclose()
    with trio.fail_after(5):
        await running.asked[0].ended.wait()
    assert running.asked[0].outcome is Outcome.CUT_BY_CLIENT


async def test_a_probe_comes_again_while_the_answer_takes_long(nursery, autojump_clock):
    async def slow(_scope, receive, send):
        await receive()
        await trio.sleep(3.5 * connection.PROBE_S)
        await ignore_body(_scope, receive, send)

    client = await trio.open_tcp_stream("127.0.0.1", await start(nursery, slow))
    await client.send_all(GET)
    await client.send_eof()
    assert (await read_all(client)).count(b"HTTP/1.1 100") == 4
    await client.aclose()


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
async def test_bodies_arrive_whole_one_after_another(nursery, size):
    client = await trio.open_tcp_stream("127.0.0.1", await start(nursery, echo_length))
    answer = b""
    with trio.fail_after(10):
        async with trio.open_nursery() as both:
            both.start_soon(client.send_all, post("/", b"x" * size) * 3)
            while answer.count(b"HTTP/1.1 200") < 3 or not answer.endswith(b"0\r\n\r\n"):
                answer += await client.receive_some(1 << 16)
    await client.aclose()
    assert answer.count(b"\r\n%d\r\n" % size) == 3


async def test_a_refused_body_does_not_cost_the_client_its_answer(nursery):
    port = await start(nursery, ignore_body)
    for _ in range(20):
        client = await trio.open_tcp_stream("127.0.0.1", port)
        with trio.fail_after(10):
            await client.send_all(post("/", b"x" * 5_000_000))
            assert (await read_all(client)).startswith(b"HTTP/1.1 404")
        await client.aclose()


async def test_what_is_pipelined_beyond_the_bound_waits_in_the_socket(nursery):
    done = trio.Event()

    async def wait(scope, receive, send):
        await receive()
        await done.wait()
        await ignore_body(scope, receive, send)

    client = await trio.open_tcp_stream("127.0.0.1", await start(nursery, wait))
    sent = 0
    with trio.move_on_after(0.3):
        while True:
            sent += await client.socket.send(GET * 100)
    assert sent < 64 * 1024 * 1024  # what the buffers of two sockets take, at most
    done.set()
    with trio.fail_after(10):
        answer = b""
        while b"HTTP/1.1 404" not in answer:
            answer += await client.receive_some(1000)
    await client.aclose()


@pytest.mark.parametrize(
    ("data", "limit_s", "status"),
    [
        (b"", protocol.KEEP_ALIVE_S, b""),
        (GET, protocol.KEEP_ALIVE_S, b"HTTP/1.1 404"),
        (b"G", protocol.HEAD_S, b"HTTP/1.1 408"),
        (GET[:-2], protocol.HEAD_S, b"HTTP/1.1 408"),
        (post("/", b"x" * 100)[:-1], protocol.BODY_S, b"HTTP/1.1 408"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", protocol.BODY_S, b"HTTP/1.1 408"),
    ],
)
async def test_each_phase_has_a_clock(nursery, autojump_clock, data, limit_s, status):
    app = ignore_body if data == GET else echo_length
    client = await trio.open_tcp_stream("127.0.0.1", await start(nursery, app))
    begun = trio.current_time()
    if data:
        await client.send_all(data)
    assert (await read_all(client)).startswith(status)
    assert limit_s <= trio.current_time() - begun <= limit_s + connection.LINGER_S
    await client.aclose()


@pytest.mark.parametrize("data", [GET, post("/", b"x" * 5000)], ids=["head", "body"])
async def test_a_byte_now_and_then_does_not_stop_the_clock(nursery, autojump_clock, data):
    client = await trio.open_tcp_stream("127.0.0.1", await start(nursery, echo_length))
    begun = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):
        for byte in data:
            await client.send_all(bytes([byte]))
            await trio.sleep(2)
    limit_s = protocol.HEAD_S if data == GET else protocol.HEAD_S + protocol.BODY_S
    assert trio.current_time() - begun < limit_s + connection.LINGER_S + 5
    await client.aclose()


async def test_a_stop_may_come_while_a_connection_is_being_closed():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    listener = bind("127.0.0.1", 0)
    with listener:
        client = await trio.open_tcp_stream(*listener.getsockname())
        accepted, _ = await trio.socket.from_stdlib_socket(listener).accept()
    served = connection.Connection(ASGIWrapper(app), make_config(), WorkerContext(None), trio.SocketStream(accepted))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.run)
            await client.send_all(GET)
            await client.receive_some(1000)
            await client.aclose()
    served.finish(0.0)  # the server forgets a connection only a moment after it was closed
