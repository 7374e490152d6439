"""The accept loop: whatever a client sends or does, the next one is answered; and a stop ends in time."""

from __future__ import annotations

import socket
import struct
from functools import partial

import h2.config
import h2.connection
import pytest
import trio
import trio.testing

from codexd.web.server import bind, serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
WEBSOCKET = GET + b"Upgrade: websocket\r\nConnection: upgrade\r\n"
ACCEPTABLE = WEBSOCKET + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


def http2(path=b"/", method=b"GET", headers=()):
    config = h2.config.H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    head = [(b":method", method), (b":path", path), (b":scheme", b"http"), (b":authority", b"x"), *headers]
    connection.send_headers(1, head, end_stream=True)
    return connection.data_to_send()


ODD = {
    "nothing": b"",
    "one-request": GET + b"\r\n",
    "pipelined": (GET + b"\r\n") * 5,
    "pipelined-streams": b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    "stream": b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
    "http10": b"GET / HTTP/1.0\r\n\r\n",
    "http09": b"GET /\r\n",
    "half-a-head": b"GET / HTT",
    "endless-head": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000,
    "negative-length": POST + b"Content-Length: -1\r\n\r\n",
    "huge-length": POST + b"Content-Length: 99999999999999999999999\r\n\r\nx",
    "bad-chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad-later-chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n",
    "unknown-encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "short-body": POST + b"Content-Length: 30\r\n\r\nabc",
    "target-star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-absolute": b"GET http://y/z HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-relative": b"GET foo HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-query": b"GET ?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-hash": b"GET # HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-bytes": b"GET /%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "target-broken-url": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "connect": b"CONNECT y:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "host-bytes": b"GET / HTTP/1.1\r\nHost: \xff\xfe:::]\r\n\r\n",
    "header-bytes": GET + b"X: \xff\xfe\r\nCookie: \xff=\xfe\r\n\r\n",
    "content-type": POST + b"Content-Length: 2\r\nContent-Type: multipart/form-data; boundary\r\n\r\nab",
    "websocket-without-key": WEBSOCKET + b"\r\n",
    "websocket-version": WEBSOCKET + b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n",
    "websocket": ACCEPTABLE,
    "websocket-garbage": ACCEPTABLE + b"\xff" * 50,
    "websocket-odd-protocol": WEBSOCKET + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: \xff\r\n"
    b"Sec-WebSocket-Extensions: \xff;;;=\r\nSec-WebSocket-Key: \xff\r\n\r\n",
    "h2c-odd-settings": GET + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: !!!!\r\n\r\n",
    "h2c-without-settings": GET + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "h2c-bytes": GET
    + b"Upgrade: h2c\r\nX: \xff\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
    "h2-garbage": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "h2-wrong-preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "h2": http2(),
    "h2-path-bytes": http2(b"/\xff\xfe"),
    "h2-method-bytes": http2(b"/", b"G\xff"),
    "h2-empty-path": http2(b""),
    "h2-header-bytes": http2(b"/", b"GET", [(b"x-a", b"\xff")]),
    "h2-connect": http2(b"/", b"CONNECT", [(b":protocol", b"websocket")]),
    "h2-reset": http2(b"/stream") + bytes([0, 0, 4, 3, 0]) + struct.pack(">II", 1, 8),
    "h2-own-priority": http2() + bytes([0, 0, 5, 2, 0]) + struct.pack(">I", 1) + struct.pack(">IB", 1, 1),
    "h2-goaway": http2(b"/stream") + bytes([0, 0, 8, 7, 0]) + struct.pack(">III", 0, 0, 0),
    "random": bytes(range(256)) * 20,
}


async def app(scope, receive, send):
    """Answers everything; ``/stream`` without end, ``/parts`` in parts."""
    if scope["type"] != "http":
        return
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        if scope["path"] not in ("/stream", "/parts")
        else {"type": "http.response.start", "status": 200, "headers": []}
    )
    if scope["path"] == "/parts":
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    while scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"data\n" * 1000, "more_body": True})
        await trio.lowlevel.checkpoint()
    await send({"type": "http.response.body", "body": b"ok"})


async def failing(scope, receive, send):
    if scope["path"] == "/late":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    if scope["path"] != "/":
        raise RuntimeError("a bug")
    await app(scope, receive, send)


@pytest.fixture
async def port(nursery):
    return await start(nursery, app)


async def start(nursery, asgi, stop=None, drain_s=0.2, **options):
    listener = bind("127.0.0.1", 0)
    number = listener.getsockname()[1]

    async def run(task_status):
        event = trio.Event() if stop is None else stop
        await serve(asgi, [listener], stop=event, drain_s=drain_s, task_status=task_status, **options)

    await nursery.start(run)
    return number


async def is_alive(port):
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(GET + b"Connection: close\r\n\r\n")
    with trio.fail_after(5):
        answer = await stream.receive_some(1000)
    await stream.aclose()
    return answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_request_harms_nobody_else(port, name, end, caplog):
    client = socket.socket()
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
    try:
        await stream.send_all(ODD[name])
        with trio.move_on_after(0.05):  # what it says, if it says anything
            await stream.receive_some(100)
    except trio.BrokenResourceError:
        pass  # refused while it was still being sent
    if end == "reset":
        client = stream.socket
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)
    assert await is_alive(port)
    assert "a connection failed" not in caplog.text


@pytest.mark.parametrize("path", [b"/early", b"/late"])
async def test_a_failing_app_ends_its_own_connection(nursery, path):
    port = await start(nursery, failing)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    answer = b""
    with trio.fail_after(5):
        while data := await stream.receive_some(1000):
            answer += data
    await stream.aclose()
    assert answer.startswith(b"HTTP/1.1 500" if path == b"/early" else b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")
    assert await is_alive(port)


async def test_keep_alive_connections_are_closed_by_a_stop(nursery):
    stop = trio.Event()
    port = await start(nursery, app, stop, drain_s=60)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(GET + b"\r\n")
    assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 200")
    stop.set()
    with trio.fail_after(5):
        while await stream.receive_some(1000):
            pass
    await stream.aclose()


async def test_a_connection_that_was_just_accepted_is_still_answered_at_a_stop(nursery):
    stop = trio.Event()
    port = await start(nursery, app, stop, drain_s=60)
    stream, silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
    await trio.testing.wait_all_tasks_blocked(0.01)
    stop.set()
    await trio.testing.wait_all_tasks_blocked(0.01)
    await stream.send_all(GET + b"\r\n")
    with trio.fail_after(5):
        assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 200")
        assert await silent.receive_some(1000) == b""
    await stream.aclose()
    await silent.aclose()


async def read_answer(stream):
    answer = b""
    while not answer.endswith(b"ok"):
        data = await stream.receive_some(1000)
        assert data, answer
        answer += data
    return answer.lower()


async def test_if_another_process_serves_on_a_kept_connection_is_used_once_more(nursery, mock_clock):
    stop = trio.Event()
    port = await start(nursery, app, stop, drain_s=60, last_request_s=lambda: 5.0)
    used, unused = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
    for stream in (used, unused):
        await stream.send_all(GET + b"\r\n")
        assert b"connection: close" not in await read_answer(stream)
    await trio.testing.wait_all_tasks_blocked(0.01)
    stop.set()
    await trio.testing.wait_all_tasks_blocked(0.01)
    used.socket._sock.send(GET + b"\r\n")
    mock_clock.jump(5.1)  # the request and the deadline are there at the same time
    assert b"connection: close" in await read_answer(used)
    for stream in (used, unused):
        assert await stream.receive_some(1000) == b""
        await stream.aclose()


@pytest.mark.parametrize("ticks", range(10))
async def test_no_connection_is_lost_between_two_processes(ticks):
    """Whatever the stop coincides with, a connection is answered here or left to the other process."""
    stop, listener = trio.Event(), bind("127.0.0.1", 0)
    with listener.dup() as of_the_other, socket.socket() as client:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, app, [listener], stop=stop, drain_s=60))
            await trio.testing.wait_all_tasks_blocked(0.01)
            client.connect(of_the_other.getsockname())
            client.sendall(GET + b"\r\n")
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            stop.set()
        try:
            of_the_other.accept()[0].close()
        except BlockingIOError:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")


async def test_a_client_that_does_not_read_cannot_hold_up_a_stop():
    stop = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            port = await start(nursery, app, stop, drain_s=0.1)
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await stream.receive_some(1)
            stop.set()
    await stream.aclose()


async def test_a_client_that_leaves_with_the_last_byte_leaves_no_connection_behind(nursery):
    """Where the hang-up was seen before the answer's own end, the connection waited for its next request."""
    port = await start(nursery, app)
    for _ in range(30):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(b"GET /parts HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        with trio.fail_after(5):
            while not answer.endswith(b"0\r\n\r\n"):
                answer += await stream.receive_some(1000)
            await stream.send_eof()
            assert await stream.receive_some(1) == b""
        await stream.aclose()


async def test_no_new_connections_after_a_stop():
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        port = await start(nursery, app, stop)
        stop.set()
    with pytest.raises(OSError):
        await trio.open_tcp_stream("127.0.0.1", port)


@pytest.mark.parametrize("steps", range(12))
async def test_a_client_that_leaves_at_a_stop_does_not_end_the_server_early(steps):
    stop = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            port = await start(nursery, app, stop, drain_s=5)
            clients = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(5)]
            for client in clients:
                await client.send_all(GET + b"\r\n")
                await client.receive_some(1000)
            for client in clients:
                await client.aclose()
            for _ in range(steps):  # the server closes its side in several of its own
                await trio.lowlevel.checkpoint()
            stop.set()
