"""A minimal ASGI toolkit: a request's head and body, and responses."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from codexd import bounds, jsontext
from codexd.errors import Busy
from codexd.memory import trim_heap
from codexd.web.base_url import find_meant
from codexd.web.caller import Caller, find_caller
from codexd.web.compression import decompress, read_encodings, too_large

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[["Request", Receive, Send], Awaitable[None]]


class ClientLeftError(Exception):
    """The client hung up before its request was complete, so there is nobody to answer."""


@frozen
class Request:
    """The head of a request. Header names are in lower case, and each name is there once."""

    id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    caller: Caller
    scope: Scope

    @classmethod
    def of(cls, scope: Scope, request_id: str) -> Request:
        headers = _read_headers(scope["headers"])
        query = scope["query_string"].decode("latin-1")
        path = scope["path"]
        caller = find_caller(find_meant(path) or path, query, headers)
        return cls(request_id, scope["method"], path, query, headers, caller, scope)


def _read_headers(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers. Several lines of one name are one list (RFC 9110, section 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


ROOM_WAIT_S = 30.0
"""How long a body may wait for room."""

TRIM_AFTER_BODIES = 500
"""How often the heap is trimmed, which takes a few milliseconds."""


class Room:
    """What the bodies of all running requests take. One that does not fit waits, in the order of arrival.

    Some of what a request leaves is in reference cycles: an error and its traceback, httpx's request and answer. Python
    counts objects before it looks for cycles, not bytes, so a few large bodies would stay for hours. After
    ``garbage_bytes`` of them the cycles are collected; ``gc.freeze`` at the start keeps that short.
    """

    def __init__(self, limit_bytes: int = bounds.BODIES_BYTES, garbage_bytes: int = bounds.GARBAGE_BYTES) -> None:
        self.used_bytes = 0
        self._limit_bytes = limit_bytes
        self._garbage_limit_bytes = garbage_bytes
        self._garbage_bytes = 0
        self._ended_bodies = 0
        self._line = trio.StrictFIFOLock()
        self._freed = trio.Event()

    @asynccontextmanager
    async def read(self, request: Request, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body, decompressed, which takes its room as long as the context lasts.

        Raises:
            Busy: there was no room in time.
            And what ``read_body`` raises.
        """
        taken_bytes = await self._take(_largest_size(request))
        try:
            body = await read_body(request, receive)
            self._free(taken_bytes - len(body))
            taken_bytes = len(body)
            yield body
        finally:
            self._free(taken_bytes)
            self._collect_garbage(taken_bytes)

    async def _take(self, size_bytes: int) -> int:
        with trio.move_on_after(ROOM_WAIT_S):
            async with self._line:
                while self.used_bytes and self.used_bytes + size_bytes > self._limit_bytes:
                    self._freed = trio.Event()
                    await self._freed.wait()
                self.used_bytes += size_bytes
                return size_bytes
        used_mib = self.used_bytes // bounds.MIB
        raise Busy(f"codexd already works on requests of {used_mib} MB in all; send this one again in a moment")

    def _free(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
        self._freed.set()

    def _collect_garbage(self, more_bytes: int) -> None:
        self._garbage_bytes += more_bytes
        if self._garbage_bytes >= self._garbage_limit_bytes:
            self._garbage_bytes = 0
            gc.collect()
        self._ended_bodies += 1
        if self._ended_bodies % TRIM_AFTER_BODIES == 0:
            trim_heap()


def _largest_size(request: Request) -> int:
    """How large the body may turn out.

    Raises:
        RequestTooLarge: ``Content-Length`` says so.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or "content-encoding" in request.headers:
        return bounds.BODY_BYTES
    if int(declared) > bounds.BODY_BYTES:
        raise too_large()
    return int(declared)


async def read_body(request: Request, receive: Receive) -> bytes:
    """The whole body, decompressed.

    Raises:
        RequestTooLarge: larger than ``bounds.BODY_BYTES``, before or after decompression. If ``Content-Length`` says
            so, the body is not read.
        RequestInvalid: the compression is not supported, or the body is not compressed as declared.
        ClientLeftError: the client hung up.
    """
    encodings = read_encodings(request.headers.get("content-encoding", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > bounds.BODY_BYTES:
        raise too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bounds.BODY_BYTES:
            raise too_large()
        if not message.get("more_body"):
            body = b"".join(parts)
            return await trio.to_thread.run_sync(decompress, body, encodings) if encodings else body


async def wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def send_json(send: Send, status: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
    """Send a whole JSON response."""
    body = jsontext.dumps(document)
    own = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    await send_start(send, status, own.items())
    await send({"type": "http.response.body", "body": body})
