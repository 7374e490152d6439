"""The floor: what Trio alone costs. Forwards bytes both ways to the port in argv, and looks at none of them."""

from __future__ import annotations

import sys
from functools import partial

import trio

READ_BYTES = 64 * 1024


async def pump(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some(READ_BYTES):
            await sink.send_all(data)
    except trio.BrokenResourceError:
        pass
    scope.cancel()


async def forward(upstream_port: int, client: trio.SocketStream) -> None:
    async with client, await trio.open_tcp_stream("127.0.0.1", upstream_port) as upstream:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, client, upstream, nursery.cancel_scope)
            nursery.start_soon(pump, upstream, client, nursery.cancel_scope)


async def main(upstream_port: int) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    print(listener.socket.getsockname()[1], flush=True)
    await trio.serve_listeners(partial(forward, upstream_port), [listener])


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
