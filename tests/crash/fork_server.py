"""A process that has everything imported and forks a daemon for each line of its standard input.

A line is JSON: ``home``, and ``upstream``, the base URL of the simulator. The answers are lines as well: ``forked <pid>``,
``ready``, and ``ended <wait status>``. Both processes end when the standard input is closed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from pathlib import Path

import trio

from codexd.assembly import Launch
from codexd.daemon import serve
from codexd.paths import find_places
from codexd.record.logs import LogRing, configure
from codexd.settings.live import LiveSettings

STDIN = 0


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run_child(json.loads(line))
        tell(f"forked {pid}")
        tell(f"ended {os.waitpid(pid, 0)[1]}")


def run_child(order: dict[str, str]) -> None:
    try:
        trio.run(live, order)
    except BaseException:  # noqa: BLE001 - the loop of the parent must not go on in the child
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def live(order: dict[str, str]) -> None:
    upstream = {"upstream.backend_url": f"{order['upstream']}/backend-api", "upstream.auth_url": order["upstream"]}
    places = find_places({}, Path(order["home"]))
    settings = LiveSettings.open(places.settings, environ={}, flags={"server.port": 0, **upstream})
    logs = LogRing(settings.current.log.history)
    configure("error", "text", logs)
    launch = Launch(settings, places, logs, environ={})
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, launch)
        tell("ready")
        await trio.lowlevel.wait_readable(STDIN)
        nursery.cancel_scope.cancel()


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
