"""A fast fake of the Codex backend: asyncio protocols, answers made in advance.

Prints its port. ``POST /script`` with ``{"deltas": 400, "per_s": 0}`` sets what every answer is from now on:
``per_s`` 0 is a burst (all frames in one write, each an HTTP chunk of its own, as a fast backend behind a
proxy delivers them), else so many deltas a second, each written by itself. It signs nobody in: a request to
``/oauth/token`` finds the connection closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import lru_cache

from payloads import OPENING_FRAMES, make_answer

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-codex-plan-type: pro\r\nx-codex-primary-used-percent: 42\r\nx-codex-primary-window-minutes: 300\r\n"
    b"x-codex-primary-reset-after-seconds: 1200\r\n\r\n"
)
END = b"0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"

script = {"deltas": 400, "per_s": 0.0}


@lru_cache
def make_chunks(deltas: int) -> list[bytes]:
    return [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in make_answer(deltas)]


@lru_cache
def make_whole(deltas: int) -> bytes:
    return HEAD + b"".join(make_chunks(deltas)) + END


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport
    pacing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = bytearray()
        self.needed_bytes = 0

    def connection_lost(self, error: Exception | None) -> None:
        if self.pacing is not None:
            self.pacing.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.needed_bytes:
            self.needed_bytes = measure(self.received)
        if self.needed_bytes and len(self.received) >= self.needed_bytes:
            self.answer(bytes(self.received))
            self.received.clear()
            self.needed_bytes = 0

    def answer(self, request: bytes) -> None:
        target = request.split(b" ", 2)[1]
        if target == b"/script":
            script.update(json.loads(request.partition(b"\r\n\r\n")[2]))
            self.transport.write(EMPTY)
        elif target != b"/backend-api/codex/responses":
            self.transport.close()
        elif script["per_s"]:
            self.pacing = asyncio.ensure_future(self.pace(make_chunks(int(script["deltas"])), script["per_s"]))
        else:
            self.transport.write(make_whole(int(script["deltas"])))

    async def pace(self, chunks: list[bytes], per_s: float) -> None:
        """The opening and the first delta at once, so that the first token is not ours to delay; then one by one."""
        self.transport.write(HEAD)
        for chunk in chunks[:OPENING_FRAMES]:
            self.transport.write(chunk)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number, chunk in enumerate(chunks[OPENING_FRAMES:], start=1):
            await asyncio.sleep(max(started + number / per_s - loop.time(), 0))
            self.transport.write(chunk)
        self.transport.write(END)


def measure(received: bytearray) -> int:
    """The bytes of the whole request; 0 while its head is incomplete."""
    end = received.find(b"\r\n\r\n")
    if end == -1:
        return 0
    _, found, rest = bytes(received[:end]).lower().partition(b"\r\ncontent-length:")
    return end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
