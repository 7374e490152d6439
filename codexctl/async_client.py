"""``client.py`` for asyncio, used by the shell behind its prompt and by ``codexctl top``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from codexctl.client import READ_BYTES, Messages, connect, connection_lost, is_reply, no_answer, result_of
from codexd import rpc

REPLY_TIMEOUT_S = 5.0
"""None of the calls of the shell's prompt and of ``top`` waits for a server."""


class AsyncControlClient:
    """One connection, for one task, which makes one call at a time."""

    def __init__(
        self, path: Path, connection: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._path = path
        self._socket = connection
        self._reader = reader
        self._writer = writer
        self._messages = Messages()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """A connection to the daemon at ``path``.

        Raises:
            NoDaemon: nothing answers there, or the daemon is not the user's own.
        """
        connection = connect(path)  # blocks, but only for a moment: there is no network in between
        connection.setblocking(False)
        return cls(path, connection, *await asyncio.open_unix_connection(sock=connection))

    def close(self) -> None:
        self._writer.close()

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of ``method``.

        Raises:
            Refused: the daemon answered with an error.
            NoDaemon: it went away or does not answer.
        """
        self._writer.write(self._messages.encode_call(method, params))
        call_id = self._messages.last_id
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await self._reply(call_id)
        except TimeoutError:
            raise no_answer(self._path, REPLY_TIMEOUT_S) from None

    async def _reply(self, call_id: int) -> Any:
        while True:
            message = await self._next_message()
            if is_reply(message, call_id):
                return result_of(message)

    async def follow(self, method: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Call a follow method, then yield the params of each of its events.

        Raises:
            Refused, NoDaemon: as :meth:`call`.
        """
        await self.call(method, params)
        while True:
            match await self._next_message():
                case rpc.Notification(name, dict(event)) if name == f"{method}.event":
                    yield event

    async def _next_message(self) -> rpc.Message:
        while not self._messages.received:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise connection_lost(self._path, error) from None
            if not data:
                raise connection_lost(self._path)
            self._messages.receive(data)
        return self._messages.received.popleft()
