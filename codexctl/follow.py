"""Following the log across restarts of the daemon."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codexctl.client import ControlClient, NoDaemon
from codexctl.terminal import say

RETRY_S = 0.5
CATCH_UP_ENTRIES = 1000
"""What a daemon that came back may have logged before this program noticed."""


def follow_logs(socket: Path, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of ``logs.follow``, without end: a daemon that goes away is waited for.

    Raises:
        NoDaemon: there was none to begin with.
        Refused: the daemon does not take ``params``.
    """
    client = ControlClient(socket)
    while True:
        try:
            with client:
                for event in client.follow("logs.follow", params):
                    yield event
                    params = _after(params, event)
        except NoDaemon as gone:
            say(f"{gone} Waiting for it to come back.")
        client = _reconnect(socket)
        say("codexd is back.")


def _after(params: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """What to ask a daemon that came back, so that nothing is shown twice or left out."""
    if "entry" not in event:
        return params
    return params | {"limit": CATCH_UP_ENTRIES, "since": math.nextafter(event["entry"]["at"], math.inf)}


def _reconnect(socket: Path) -> ControlClient:
    while True:
        time.sleep(RETRY_S)
        try:
            return ControlClient(socket)
        except NoDaemon:
            continue
