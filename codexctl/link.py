"""A connection to the control socket for what goes on behind the prompt: ``client.py`` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from codexctl.client import MAX_REPLY_BYTES, NoDaemon, Refused, connect
from codexd import rpc

REPLY_TIMEOUT_S = 10.0


class Link:
    """One connection, for one task: the calls go one after the other."""

    def __init__(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._connection = rpc.Connection(MAX_REPLY_BYTES)
        self._received: list[rpc.Message] = []
        self._last_id = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """A connection to the daemon at ``path``.

        Raises:
            NoDaemon: nobody answers there, or somebody who is not the user's own daemon.
        """
        connection = connect(path)  # blocks no longer than it takes: there is no network in between
        connection.setblocking(False)
        return cls(path, *await asyncio.open_unix_connection(sock=connection))

    def close(self) -> None:
        self._writer.close()

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of ``method``.

        Raises:
            Refused: the daemon answered with an error.
            NoDaemon: it went away or does not answer.
        """
        self._last_id += 1
        self._writer.write(rpc.encode(rpc.Request(self._last_id, method, params)))
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await self._reply(self._last_id)
        except TimeoutError:
            raise NoDaemon(f"codexd at {self._path} has not answered for {REPLY_TIMEOUT_S:.0f} s.") from None

    async def follow(self, method: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Call a follow method, then give the params of each of its events.

        Raises:
            Refused, NoDaemon: as ``call``.
        """
        await self.call(method, params)
        while True:
            match await self._receive():
                case rpc.Notification(name, dict(event)) if name == f"{method}.event":
                    yield event

    async def _reply(self, call_id: int) -> Any:
        while True:
            match await self._receive():
                case rpc.Result(id_, result) if id_ == call_id:
                    return result
                case rpc.Failure(id_) as failure if id_ in (call_id, None):
                    raise Refused(failure)

    async def _receive(self) -> rpc.Message:
        while not self._received:
            try:
                data = await self._reader.read(65536)
            except OSError:
                data = b""
            if not data:
                raise NoDaemon(f"codexd at {self._path} closed the connection.")
            self._received += self._connection.receive_data(data)
        return self._received.pop(0)
