"""A client of the control socket that sends what it likes."""

from contextlib import asynccontextmanager

import trio
from support.control_server import serving as serving_alone

from codexd import rpc

PEERS = []


class Peer:
    """A client that sends what it likes."""

    def __init__(self, stream):
        self.stream = stream
        self.connection = rpc.Connection(2**26)
        self.received = []

    async def send(self, data):
        await self.stream.send_all(data if isinstance(data, bytes) else rpc.encode(data))

    async def receive(self):
        with trio.fail_after(10):
            while not self.received:
                try:
                    data = await self.stream.receive_some()
                except trio.BrokenResourceError:  # hung up on with bytes still unread
                    return None
                if not data:
                    return None
                self.received += self.connection.receive_data(data)
        return self.received.pop(0)

    async def call(self, method, params=None):
        await self.send(rpc.Request("call", method, params))
        reply = await self.receive()
        assert reply.id == "call"
        return reply


async def connect(control):
    peer = Peer(await trio.open_unix_socket(str(control.places.socket)))
    PEERS.append(peer)
    return peer


@asynccontextmanager
async def serving(control):
    """The server, and at the end the hang-up of every peer."""
    async with serving_alone(control):
        try:
            yield
        finally:
            while PEERS:
                await trio.aclose_forcefully(PEERS.pop().stream)
