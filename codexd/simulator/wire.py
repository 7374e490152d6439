"""ASGI by hand: bodies in, answers out, and streams that notice when their client hangs up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import trio
from attrs import frozen

from codexd.errors import CodexdError
from codexd.jsontext import dumps
from codexd.simulator.events import Cut, Pause, Step, encode
from codexd.simulator.records import Outcome, Request
from codexd.simulator.refusals import Refusal
from codexd.simulator.scripts import CutBy

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

KEEPALIVE = b': keepalive\n\nevent: keepalive\ndata: {"type":"keepalive"}\n\n'


class ConnectionCut(CodexdError):
    """A script asked for it: an app that fails in the middle of a body makes the server close the connection."""


class BodyTooLarge(CodexdError):
    pass


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The request's body; None if the client left before its end.

    Raises:
        BodyTooLarge: it has more than ``max_bytes``.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLarge(f"the body has more than {max_bytes} bytes")
        if not message.get("more_body"):
            return bytes(body)


async def send_json(send: Send, request: Request, value: Any, headers: Mapping[str, str] | None = None) -> None:
    """A 200 with a JSON body."""
    request.finish(Outcome.COMPLETED)
    await send_whole(send, request, 200, dumps(value), {"content-type": "application/json", **(headers or {})})


async def send_refusal(send: Send, request: Request, refusal: Refusal) -> None:
    if refusal.body is None:
        body, kind = b"", "text/plain"
    elif isinstance(refusal.body, str):
        body, kind = refusal.body.encode(), "text/html"
    else:
        body, kind = dumps(refusal.body), "application/json"
    request.finish(Outcome.REFUSED)
    await send_whole(send, request, refusal.status, body, {"content-type": kind, **refusal.headers})


async def send_whole(send: Send, request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    request.status = status
    await send(_make_head(status, {**headers, "content-length": str(len(body))}))
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def cut_connection(send: Send, request: Request, *, begun: bool) -> None:
    """Close the connection in the middle of the answer, which is begun first if need be.

    Raises:
        ConnectionCut: always.
    """
    if not begun:
        request.status = 200
        await send(_make_head(200, {"content-type": "application/json"}))
        await send({"type": "http.response.body", "body": b"", "more_body": True})
    request.finish(Outcome.CUT_BY_SCRIPT)
    raise ConnectionCut("the script cuts the connection here")


@frozen
class Ending:
    """How an answer ended: by itself, by a cut, or in a refusal that is still to be sent."""

    cut: CutBy | None = None
    refusal: Refusal | None = None


class EventStream:
    """One streamed answer."""

    def __init__(
        self, send: Send, request: Request, *, chunk_events: int, keepalive_interval_s: float | None, holds: Holds
    ) -> None:
        self._send = send
        self._request = request
        self._chunk_events = chunk_events
        self._keepalive_interval_s = keepalive_interval_s
        self._holds = holds
        self._chunk: list[bytes] = []

    async def begin(self, headers: Mapping[str, str]) -> None:
        self._request.status = 200
        await self._send(_make_head(200, {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}))
        # An empty part makes the server send the head now.
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def write(self, data: bytes) -> None:
        if data:
            self._request.bytes_sent += len(data)
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def play(self, steps: Iterator[Step]) -> Ending:
        """Send the steps in their order and time, as fast as the client reads."""
        for step in steps:
            if isinstance(step, Cut):
                await self._flush()
                return Ending(cut=step.by)
            if isinstance(step, Pause):
                await self._flush()
                await self._pause(step)
                continue
            self._chunk.append(encode(step))
            if len(self._chunk) >= self._chunk_events:
                await self._flush()
        await self._flush()
        return Ending()

    async def _flush(self) -> None:
        chunk, self._chunk = self._chunk, []
        self._request.events_sent += len(chunk)
        await self.write(b"".join(chunk))

    async def _pause(self, pause: Pause) -> None:
        left_s = pause.seconds
        interval_s = self._keepalive_interval_s
        while interval_s is not None and left_s > interval_s:
            await trio.sleep(interval_s)
            await self.write(KEEPALIVE)
            left_s -= interval_s
        await trio.sleep(left_s)
        await self._holds.wait(pause.hold)


class Holds:
    """Named gates at which answers wait until a test releases them."""

    def __init__(self) -> None:
        self._gates: dict[str, trio.Event] = {}

    def release(self, name: str) -> None:
        self._find(name).set()

    async def wait(self, name: str | None) -> None:
        if name is not None:
            await self._find(name).wait()

    def _find(self, name: str) -> trio.Event:
        return self._gates.setdefault(name, trio.Event())


async def run_while_connected(receive: Receive, answer: Callable[[], Awaitable[Ending]]) -> Ending | None:
    """What ``answer`` came to; None if the client hung up first, which cancels it."""
    ending: Ending | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, receive, nursery.cancel_scope)
        ending = await answer()
        nursery.cancel_scope.cancel("answered")
    return ending


async def finish_stream(send: Send, request: Request, ending: Ending | None) -> None:
    """The last part of an answer; to be called outside the nursery that a hang-up cancels.

    Raises:
        ConnectionCut: the ending asks for it.
    """
    if ending is None:
        request.finish(Outcome.CUT_BY_CLIENT)
    elif ending.refusal is not None:
        await send_refusal(send, request, ending.refusal)
    elif ending.cut is CutBy.CONNECTION:
        await cut_connection(send, request, begun=True)
    else:
        # Settled before the last part: whoever has read all of the answer finds it so.
        request.finish(Outcome.COMPLETED if ending.cut is None else Outcome.CUT_BY_SCRIPT)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _watch(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel("the client hung up")


def _make_head(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}
