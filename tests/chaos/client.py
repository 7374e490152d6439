"""A client of the chaos run: plain HTTP/1.1 over a socket, well-behaved or not."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from enum import Enum

import trio
from attrs import define, field, frozen
from chaos.answers import Answer, IllegalError, require
from chaos.turns import Turn

CHUNK_BYTES = 65_536
SLOW_BYTES = 700
SLOW_PAUSE_S = 0.01
MAX_KEPT = 20


class Manner(Enum):
    """How a client behaves."""

    PLAIN = "plain"
    """One connection a request."""
    KEPT = "kept"
    """Keeps its connection for another request."""
    CHUNKED = "chunked"
    """Sends its body in many small chunks."""
    HALF_CLOSED = "half-closed"
    """Says at once that it will send nothing more, and waits for the answer."""
    SLOW = "slow"
    """Reads a little at a time, with a small buffer."""
    PIPELINED = "pipelined"
    """Sends several requests at once, and reads all answers."""
    HANG_UP = "hang up"
    """Leaves before or within the answer."""
    PIPELINED_HANG_UP = "pipelined, hang up"
    """Sends several requests at once and leaves."""


MANNERS = {
    Manner.PLAIN: 58,
    Manner.KEPT: 14,
    Manner.CHUNKED: 4,
    Manner.HALF_CLOSED: 4,
    Manner.SLOW: 4,
    Manner.PIPELINED: 4,
    Manner.HANG_UP: 8,
    Manner.PIPELINED_HANG_UP: 4,
}
"""How often each is chosen."""

TURNS_AT_ONCE = {Manner.PIPELINED: 3, Manner.PIPELINED_HANG_UP: 3}


def choose_manner(rng: random.Random) -> Manner:
    return rng.choices(list(MANNERS), weights=list(MANNERS.values()))[0]


def _encode(turns: list[Turn], manner: Manner) -> list[bytes]:
    """What is sent, piece by piece."""
    if manner is Manner.CHUNKED:
        return turns[0].encode_in_chunks()
    return [b"".join(turn.encode() for turn in turns)]


@define
class Reading:
    """Reads answers off a connection."""

    stream: trio.SocketStream
    is_slow: bool = False
    buffer: bytearray = field(factory=bytearray)
    received_bytes: int = 0

    async def read_answer(self) -> Answer | None:
        """The next answer; None: the connection ended before its first byte.

        Interim answers are passed over; a server may send them at any time (RFC 9110, section 15.2).

        Raises:
            IllegalError: the bytes are not HTTP.
        """
        while True:
            answer = await self._read_one()
            if answer is None or answer.status >= 200:
                return answer

    async def _read_one(self) -> Answer | None:
        head = await self._read_until(b"\r\n\r\n")
        if head is None:
            require(not self.buffer, f"the head of an answer is cut: {bytes(self.buffer[-200:])!r}")
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        require(version == "HTTP/1.1" and rest[:3].isdigit(), f"not HTTP: {first[:100]!r}")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, complete = await self._read_body(headers)
        return Answer(int(rest[:3]), headers, body, complete)

    async def _read_body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._read_chunks()
        size = int(headers.get("content-length", "0"))
        while len(self.buffer) < size:
            if not await self._read_more():
                return bytes(self.buffer), False
        return self._take(size), True

    async def _read_chunks(self) -> tuple[bytes, bool]:
        body = bytearray()
        while True:
            line = await self._read_until(b"\r\n")
            if line is None:
                return bytes(body), False
            try:
                size = int(line, 16)
            except ValueError:
                raise IllegalError(f"not a chunk: {line[:100]!r}") from None
            while len(self.buffer) < size + 2:
                if not await self._read_more():
                    return bytes(body + self.buffer), False
            body += self._take(size)
            require(self._take(2) == b"\r\n", "a chunk without an end")
            if size == 0:
                return bytes(body), True

    async def _read_until(self, mark: bytes) -> bytes | None:
        while (at := self.buffer.find(mark)) < 0:
            if not await self._read_more():
                return None
        taken = self._take(at)
        del self.buffer[: len(mark)]
        return taken

    def _take(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    async def _read_more(self) -> bool:
        if self.is_slow:
            await trio.sleep(SLOW_PAUSE_S)
        try:
            data = await self.stream.receive_some(SLOW_BYTES if self.is_slow else CHUNK_BYTES)
        except trio.BrokenResourceError:
            return False
        self.buffer += data
        self.received_bytes += len(data)
        return bool(data)


@frozen
class Clients:
    """Connections to the daemon at ``host`` and ``port``. ``on_answer`` sees every answer."""

    host: str
    port: int
    on_answer: Callable[[Turn, Answer], None]
    kept: list[Reading] = field(factory=list)

    async def ask(self, turns: list[Turn], manner: Manner, rng: random.Random) -> list[Turn]:
        """Send ``turns`` and pass on their answers. Returns those that got none because this client left.

        Raises:
            IllegalError
        """
        if manner is Manner.KEPT:
            await self._ask_kept(turns[0])
            return []
        reading = await self._connect(is_slow=manner is Manner.SLOW)
        async with reading.stream:
            for piece in _encode(turns, manner):
                await reading.stream.send_all(piece)
            if manner in (Manner.HANG_UP, Manner.PIPELINED_HANG_UP):
                await self._leave(reading, rng)
                return turns
            if manner is Manner.HALF_CLOSED:
                await reading.stream.send_eof()
            for number, turn in enumerate(turns):
                answer = await reading.read_answer()
                if answer is None:
                    raise IllegalError(f"no answer to request {number + 1} of {len(turns)} ({manner.value})")
                self.on_answer(turn, answer)
        return []

    async def _ask_kept(self, turn: Turn) -> None:
        while True:
            is_old = bool(self.kept)
            reading = self.kept.pop() if is_old else await self._connect()
            try:
                answer = await self._try_kept(reading, turn)
            except BaseException:
                await trio.aclose_forcefully(reading.stream)
                raise
            if answer is None and is_old:  # the server may close an idle connection at any time
                await reading.stream.aclose()
                continue
            require(answer is not None, "no answer on a new connection")
            break
        require(not reading.buffer, f"bytes follow the answer: {bytes(reading.buffer[:100])!r}")
        if len(self.kept) < MAX_KEPT and answer.complete:
            self.kept.append(reading)
        else:
            await reading.stream.aclose()
        self.on_answer(turn, answer)

    async def _try_kept(self, reading: Reading, turn: Turn) -> Answer | None:
        try:
            await reading.stream.send_all(turn.encode())
        except trio.BrokenResourceError:
            return None
        return await reading.read_answer()

    async def _connect(self, *, is_slow: bool = False) -> Reading:
        connection = trio.socket.socket()
        if is_slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await connection.connect((self.host, self.port))
        return Reading(trio.SocketStream(connection), is_slow=is_slow)

    async def _leave(self, reading: Reading, rng: random.Random) -> None:
        """Read for a moment, then leave in good order or with a reset."""
        with trio.move_on_after(rng.choice((0, 0.001, 0.02, 0.2, 1.0))):
            while await reading._read_more():
                pass
        if rng.random() < 0.3:
            reading.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def close(self) -> None:
        while self.kept:
            await self.kept.pop().stream.aclose()
