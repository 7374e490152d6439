"""The simulator's server under ``--faults``: HTTP/1.1 over sockets that it may break at any byte.

Hypercorn sends nothing that isn't HTTP, so it can't serve here. h11 frames the answers; what a fault adds, leaves out
or cuts happens between h11 and the socket.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import h11
import trio

from codexd.jsontext import loads
from codexd.simulator.damage import COMMENT, EventDamage, Then, make_refusal, make_stray, make_token_reply
from codexd.simulator.faults import KINDS, Dice, Fault, Kind, Stage
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal
from codexd.simulator.scripts import find_last_user_text
from codexd.simulator.wire import ConnectionCut, Receive, Request, Send, send_refusal
from codexd.web.server import bind

log = logging.getLogger("codexd.simulator")

MAX_HEAD_BYTES = 64 * 1024
IDLE_S = 75.0
"""A kept connection may wait this long for its next request."""
_COMMENT_PAUSE_S = 0.1
_DRIP_PAUSE_S = 0.002
_DRIP_BYTES = 64
"""Times the place of the fault: how many bytes come at a time."""
_OUT_OF_DESCRIPTORS_PAUSE_S = 0.1
_BIND_PAUSE_S = 0.05
_CLIENT_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError)


class FaultyApp(Protocol):
    """The simulator, as far as this server needs it: an ASGI app, and its switches."""

    options: Options
    clock: Callable[[], float]

    def load_token_replies(self, *replies: Any) -> None: ...

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send, /) -> None: ...


async def serve_faulty(app: FaultyApp, listener: socket.socket, dice: Dice) -> None:
    """Serve until cancelled. Closes ``listener``."""
    host, port = listener.getsockname()[:2]
    async with trio.open_nursery() as connections:
        while True:
            with trio.socket.from_stdlib_socket(listener) as accepting:
                refused = await _accept_until_refused(app, accepting, dice, connections)
            await trio.sleep(refused.value / 1000)
            listener = await _bind_again(host, port)


async def _accept_until_refused(
    app: FaultyApp, listener: trio.socket.SocketType, dice: Dice, connections: trio.Nursery
) -> Fault:
    """Accept connections until one is to be refused; returns the fault that says so."""
    while True:
        try:
            connection, _ = await listener.accept()
        except OSError as failure:
            if failure.errno not in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                raise
            await trio.sleep(_OUT_OF_DESCRIPTORS_PAUSE_S)
            continue
        fault = dice.throw(Stage.CONNECTION)
        if fault is None:
            connections.start_soon(_Connection(trio.SocketStream(connection), app, dice).run)
            continue
        _reset(connection)
        if fault.kind is Kind.REFUSED:
            return fault


async def _bind_again(host: str, port: int) -> socket.socket:
    """Another program may have the port for a moment, as the local end of a connection."""
    while True:
        try:
            return bind(host, port)
        except OSError:
            await trio.sleep(_BIND_PAUSE_S)


def _reset(connection: trio.socket.SocketType) -> None:
    """Close the connection with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class _Connection:
    """One client connection: a request, its answer, and the next."""

    def __init__(self, stream: trio.SocketStream, app: FaultyApp, dice: Dice) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.left = trio.Event()
        """Set once the client has hung up."""
        self._app = app
        self._dice = dice

    async def run(self) -> None:
        try:
            while await self._serve_request():
                self.http.start_next_cycle()
        except* (*_CLIENT_ERRORS, ConnectionCut):
            pass  # the client left or sent what isn't HTTP, or a fault or a script cuts the connection
        except* Exception:  # as with Hypercorn, it ends only this connection
            log.exception("a simulated connection failed")
        finally:
            await trio.aclose_forcefully(self.stream)

    async def _serve_request(self) -> bool:
        """Answer one request. Returns whether another may follow on the connection."""
        request = None
        with trio.move_on_after(IDLE_S):
            request = await self._next_event()
        if not isinstance(request, h11.Request):
            return False
        body = await self._read_body()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            await self._answer(request, body)
            nursery.cancel_scope.cancel("answered")
        return self.http.our_state is h11.DONE and self.http.their_state is h11.DONE and not self.left.is_set()

    async def _next_event(self) -> Any:
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self.http.receive_data(await self.stream.receive_some())

    async def _read_body(self) -> bytes:
        """The whole body, or as much of it as shows that it is too large."""
        body = bytearray()
        while len(body) <= self._app.options.max_body_bytes:
            event = await self._next_event()
            if not isinstance(event, h11.Data):
                break
            body += event.data
        return bytes(body)

    async def _watch(self) -> None:
        """Notice when the client leaves. What else it sends is its next request."""
        try:
            while data := await self.stream.receive_some():
                self.http.receive_data(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.left.set()

    async def _answer(self, request: h11.Request, body: bytes) -> None:
        path, _, query = request.target.partition(b"?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method.decode(),
            "path": path.decode("latin-1"),
            "query_string": query,
            "headers": list(request.headers),
        }
        parts = iter((body,))

        async def receive() -> dict[str, Any]:
            for part in parts:
                return {"type": "http.request", "body": part, "more_body": False}
            await self.left.wait()
            return {"type": "http.disconnect"}

        fault = self._choose(path.decode("latin-1"), body)
        answer = _Answer(self, fault)
        refusal = make_refusal(fault, self._app.clock()) if fault is not None else None
        if refusal is None:
            await self._app(scope, receive, answer.send)
        else:
            await self._refuse(scope, refusal, answer)

    def _choose(self, path: str, body: bytes) -> Fault | None:
        """The fault of this request; one for the sign-in server is passed on to it."""
        if path == "/oauth/token":
            fault = self._dice.throw(Stage.TOKEN)
            if fault is not None:
                self._app.load_token_replies(make_token_reply(fault))
            return None
        if not path.startswith(_FAULTY_PATHS):
            return None
        fault = self._dice.throw(Stage.REQUEST, Stage.STREAM)
        return self._dice.obey(_find_prompt(body), Stage.REQUEST) or fault

    async def _refuse(self, scope: dict[str, Any], refusal: Refusal, answer: _Answer) -> None:
        request = Request(scope["method"], scope["path"], "", {})
        await send_refusal(answer.send, request, refusal)


_FAULTY_PATHS = ("/backend-api/", "/api/openrouter/")


def _find_prompt(body: bytes) -> str:
    """The last user message, if the body has one."""
    if b"[fault " not in body:
        return ""
    try:
        value = loads(body)
    except ValueError:
        return ""
    if not isinstance(value, dict):
        return ""
    items = value.get("input") or value.get("messages")  # Kilo's name for it
    messages = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return find_last_user_text({"input": messages})


class _Answer:
    """One answer on its way to the socket, and the fault that meets it."""

    def __init__(self, connection: _Connection, fault: Fault | None) -> None:
        self._connection = connection
        self._fault = fault
        self._parts = 0
        self._events: EventDamage | None = None
        self._zip: Any = None
        self._whole: tuple[h11.Response, bytearray] | None = None
        """The answer so far, if it is sent at once because its length has to be known."""
        self._is_chunked = True
        """Whether the body comes in several parts."""
        self._ended = False
        """Whether the fault has ended the answer, so that the rest of it is dropped."""

    @property
    def _kind(self) -> Kind | None:
        return self._fault.kind if self._fault is not None else None

    async def send(self, message: dict[str, Any]) -> None:
        """What the app calls. Raises ConnectionCut."""
        if self._connection.left.is_set():
            raise ConnectionCut("the client has hung up")
        if self._ended:
            return
        if message["type"] == "http.response.start":
            await self._start(message["status"], list(message["headers"]))
            return
        if message.get("body"):
            await self._send_part(message["body"])
        if not message.get("more_body") and not self._ended:
            await self._end()

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        is_stream = any(name == b"content-type" and b"event-stream" in value for name, value in headers)
        if self._fault is not None and KINDS[self._fault.kind].stage is Stage.STREAM:
            self._fault = self._fault if is_stream else None
            self._events = EventDamage(self._fault) if self._fault is not None else None
        self._is_chunked = all(name != b"content-length" for name, _ in headers)
        if self._kind in (Kind.GZIP, Kind.STRAY_LENGTH):
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        if self._kind is Kind.GZIP:
            self._zip = zlib.compressobj(wbits=31)
            headers.append((b"content-encoding", b"gzip"))
        response = h11.Response(status_code=status, headers=headers)
        if self._kind is Kind.STRAY_LENGTH:
            self._whole = response, bytearray()
            return
        head = self._frame(response)
        if self._kind in (Kind.RESET_HEAD, Kind.STALLED_HEAD):
            await self._put(head[: self._cut(len(head))])
            await self._break()
        await self._put(head)

    async def _send_part(self, data: bytes) -> None:
        self._parts += 1
        if self._whole is not None:
            self._whole[1].extend(data)
        elif self._zip is not None:
            packed = self._zip.compress(data) + self._zip.flush(zlib.Z_SYNC_FLUSH)
            middle = len(packed) // 2
            await self._put(self._frame(h11.Data(data=packed[:middle] + b"\xff\x00\xff" + packed[middle:])))
        elif self._events is not None and self._kind is not Kind.TRUNCATED_EVENT:
            changed, then = self._events.apply(data)
            await self._put_data(changed)
            await self._go_on(then)
        elif self._kind in _CUTS_BODY and (self._parts == self._place or not self._is_chunked):
            await self._put_data(data[: max(1, len(data) // 2)])
            await self._break()
        else:
            await self._put_data(data)

    async def _break(self) -> None:
        """Raises ConnectionCut, unless the body is to end properly."""
        match self._kind:
            case Kind.RESET_HEAD | Kind.RESET_BODY:
                _reset(self._connection.stream.socket)
            case Kind.STALLED_HEAD | Kind.STALLED_BODY:
                await self._connection.left.wait()
            case Kind.TRUNCATED_EVENT:
                await self._end()
                return
        raise ConnectionCut("a fault cuts the connection here")

    async def _go_on(self, then: Then) -> None:
        if then is Then.END:
            await self._end()
        while then is Then.COMMENTS:
            await self._put_data(COMMENT)
            await trio.sleep(_COMMENT_PAUSE_S)

    async def _end(self) -> None:
        self._ended = True
        if self._kind is Kind.TRUNCATED_END:
            raise ConnectionCut("a fault leaves out the last chunk")
        if self._whole is not None:
            await self._put(_shorten(*self._whole))
            await self._connection.left.wait()
            raise ConnectionCut("the client did not read all of the body")
        end = self._frame(h11.EndOfMessage())
        await self._put(end + make_stray(self._fault))

    @property
    def _place(self) -> int:
        return self._fault.place if self._fault is not None else 0

    def _cut(self, size: int) -> int:
        """Where a head of this size is cut: half of the times before its first byte."""
        return size * self._place // 10 if self._place > 4 else 0

    def _frame(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> bytes:
        return self._connection.http.send(event) or b""

    async def _put_data(self, data: bytes) -> None:
        if data:
            await self._put(self._frame(h11.Data(data=data)))

    async def _put(self, data: bytes) -> None:
        stream = self._connection.stream
        if self._kind is not Kind.DRIPPED:
            await stream.send_all(data)
            return
        size = _DRIP_BYTES * self._place
        for start in range(0, len(data), size):
            await stream.send_all(data[start : start + size])
            await trio.sleep(_DRIP_PAUSE_S)


_CUTS_BODY = (Kind.RESET_BODY, Kind.STALLED_BODY, Kind.TRUNCATED_CHUNK, Kind.TRUNCATED_EVENT)


def _shorten(response: h11.Response, body: bytearray) -> bytes:
    """The answer as bytes, with a content-length that leaves out the end of its body."""
    length = len(body) - min(len(body), 200) // 2
    headers = b"".join(b"%s: %s\r\n" % pair for pair in response.headers)
    return b"HTTP/1.1 %d OK\r\n%scontent-length: %d\r\n\r\n%s" % (response.status_code, headers, length, body)
