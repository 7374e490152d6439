"""Following something across restarts of the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from codexctl.client import ControlClient, NoDaemon
from codexctl.terminal import say

RETRY_S = 0.5

Params: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]


def follow(
    socket: Path,
    method: str,
    params: Params,
    resume: Callable[[Params, Event], Params],
    *,
    tick_s: float | None = None,
    on_lost: Callable[[], None] = lambda: None,
) -> Iterator[Event | None]:
    """The events of ``method``, without end: a daemon that goes away is waited for.

    ``resume`` gives, from the last params and the last event, what to ask a daemon that came back, so that nothing is
    shown twice or left out. ``on_lost`` is called when it went away. With ``tick_s`` also None each time that nothing
    has come for so long.

    Raises:
        NoDaemon: there was none to begin with.
        Refused: the daemon does not take ``params``.
    """
    client = ControlClient(socket)
    while True:
        try:
            with client:
                for event in client.follow(method, params, tick_s=tick_s):
                    yield event
                    params = params if event is None else resume(params, event)
        except NoDaemon as gone:
            on_lost()
            say(f"{gone}\nWaiting for it to come back.")
        client = _reconnect(socket)
        say("codexd is back.")


def _reconnect(socket: Path) -> ControlClient:
    while True:
        time.sleep(RETRY_S)
        try:
            return ControlClient(socket)
        except NoDaemon:
            continue
