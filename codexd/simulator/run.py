"""Serving a simulated backend on a port of its own."""

from __future__ import annotations

from functools import partial

import trio

from codexd.simulator.app import Simulator
from codexd.web.server import bind, serve


async def serve_simulator(
    simulator: Simulator, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled. The started value is the base URL, such as ``http://127.0.0.1:40619``.

    The sign-in server is at the base itself, the backend at ``<base>/backend-api``.
    """
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, simulator, [listener], stop=trio.Event(), drain_s=0.0))
        task_status.started(f"http://127.0.0.1:{port}")
