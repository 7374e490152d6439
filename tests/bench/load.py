"""The load: some keep-alive connections, each sending the same request again and again. Its own process.

Reads one JSON object (``Load``) on stdin, writes one on stdout: a list of ``[deltas, ttft_s, whole_s]`` for
each timed request, or ``{"error": ...}``. The first request of each connection warms it up and is not timed.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass

DELTA = re.compile(
    rb"event: ?(?:content_block_delta|response\.output_text\.delta)\r?\n"
    rb'|"delta": ?\{"content": ?"[^"]'  # of a Chat completion, whose first chunk has the role alone
)
END = b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """``deltas`` is how many each answer must have; the connections start over ``spread_s``."""

    host: str
    port: int
    head: str
    body: str
    streams: int
    requests: int
    deltas: int
    spread_s: float


class LoadError(Exception):
    pass


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport
    done: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.begin()

    def begin(self) -> None:
        self.parts: list[bytes] = []
        self.tail = b""
        self.first_at: float | None = None
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.parts.append(data)
        if self.first_at is None and DELTA.search(b"".join(self.parts)):
            self.first_at = now
        self.tail = (self.tail + data[-len(END) :])[-len(END) :]
        refused = self.parts[0][9:12] != b"200"
        if (self.tail == END or refused) and not self.done.done():
            self.ended_at = now
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(LoadError("the server closed the connection in the middle of an answer"))


async def measure(connection: Connection, request: bytes, deltas: int) -> tuple[int, float, float]:
    connection.begin()
    sent_at = time.perf_counter()
    connection.transport.write(request)
    await connection.done
    answer = b"".join(connection.parts)
    seen = len(DELTA.findall(answer))
    if connection.first_at is None or seen != deltas:
        raise LoadError(f"{seen} deltas instead of {deltas}: {answer[:500].decode(errors='replace')}")
    return seen, connection.first_at - sent_at, connection.ended_at - sent_at


async def run_connection(load: Load, request: bytes, delay_s: float) -> list[tuple[int, float, float]]:
    await asyncio.sleep(delay_s)
    _, connection = await asyncio.get_running_loop().create_connection(Connection, load.host, load.port)
    try:
        await measure(connection, request, load.deltas)
        return [await measure(connection, request, load.deltas) for _ in range(load.requests)]
    finally:
        connection.transport.close()


async def run(load: Load) -> list[tuple[int, float, float]]:
    body = load.body.encode()
    request = f"{load.head}content-length: {len(body)}\r\n\r\n".encode() + body
    delays = (load.spread_s * number / load.streams for number in range(load.streams))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_connection(load, request, delay_s)) for delay_s in delays]
    return [timing for task in tasks for timing in task.result()]


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(run(Load(**json.load(sys.stdin))))))
    except* (LoadError, OSError) as group:
        print(json.dumps({"error": str(group.exceptions[0])}))
