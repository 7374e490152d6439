"""What goes on behind the prompt: the daemon is asked how it is, and its log lines are passed on."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from codexctl.client import NoDaemon, Refused
from codexctl.link import Link
from codexctl.render.base import Json
from codexctl.shell.facts import Facts

REFRESH_S = 2.0
RETRY_S = 0.5
CATCH_UP_ENTRIES = 200
"""What the daemon may have logged while a command ran, or while it was away."""

KNOWN_REQUESTS = 50


class Watch:
    """``tell`` prints a sentence to the user; ``changed`` is called when ``facts`` are new.

    The tasks run while the prompt is shown and end with it: what a command prints is not mixed with log lines.
    """

    def __init__(self, socket: Path, tell: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.facts = Facts()
        self._socket = socket
        self._tell = tell
        self._changed = changed

    async def keep_facts(self) -> None:
        while True:
            try:
                await self._ask_on()
            except NoDaemon as gone:
                self._lose(gone)
            await asyncio.sleep(RETRY_S)

    def _lose(self, gone: NoDaemon) -> None:
        """Nobody is there: said once, until it is back."""
        if self.facts.problem is None:
            self._tell(f"{gone}\nWaiting for it.")
        self._know(replace(self.facts, problem=str(gone)))

    async def _ask_on(self) -> None:
        with closing(await Link.open(self._socket)) as link:
            while True:
                facts = await _ask(link)
                if self.facts.problem is not None:
                    self._tell(f"codexd {facts.status['version']} is back (pid {facts.status['pid']}).")
                self._know(facts)
                await asyncio.sleep(REFRESH_S)

    def _know(self, facts: Facts) -> None:
        self.facts = facts
        self._changed()


async def _ask(link: Link) -> Facts:
    return Facts(
        status=await link.call("daemon.status"),
        accounts=(await link.call("accounts.list"))["accounts"],
        settings=(await link.call("settings.list"))["settings"],
        requests=(await link.call("requests.list", {"limit": KNOWN_REQUESTS}))["requests"],
    )


class LogTail:
    """The log from now on, of ``level`` and above; ``show`` is given each entry."""

    def __init__(self, socket: Path, level: str, show: Callable[[Json], None], tell: Callable[[str], None]) -> None:
        self.level = level
        self._socket = socket
        self._show = show
        self._tell = tell
        self._since = time.time()

    async def run(self) -> None:
        """Go on where the last run ended."""
        while True:
            with suppress(NoDaemon, Refused):  # the watch tells of a daemon that is away
                await self._follow()
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        params = {"level": self.level, "since": self._since, "limit": CATCH_UP_ENTRIES}
        with closing(await Link.open(self._socket)) as link:
            async for event in link.follow("logs.follow", params):
                self._pass_on(event)

    def _pass_on(self, event: dict[str, Any]) -> None:
        if "entry" not in event:
            self._tell(f"too slow for {event['missed']} log entries, which are left out")
            return
        self._since = math.nextafter(event["entry"]["at"], math.inf)
        self._show(event["entry"])
