"""What runs behind the prompt: asking the daemon for news, and passing on its log entries."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codexctl.async_client import AsyncControlClient
from codexctl.client import NoDaemon, Refused
from codexctl.render.format import Json

REFRESH_S = 2.0
RETRY_S = 0.5
CATCH_UP_ENTRIES = 200
"""How many entries may have been logged while a command ran, or while the connection was lost."""

KNOWN_REQUESTS = 50


@dataclass(frozen=True)
class Facts:
    """What the daemon last answered. ``problem`` says why there is nothing newer."""

    status: Json = field(default_factory=dict)
    accounts: Sequence[Json] = ()
    settings: Sequence[Json] = ()
    requests: Sequence[Json] = ()
    problem: str | None = None

    @property
    def models(self) -> Sequence[Json]:
        """Empty: fetching the backend's list can take seconds, too long for a prompt."""
        return ()

    @property
    def free_models(self) -> Sequence[Json]:
        """Empty, for the same reason."""
        return ()

    @property
    def active(self) -> Json | None:
        return next((account for account in self.accounts if account["active"]), None)


class Watch:
    """Keeps ``facts`` up to date while the prompt is shown. Not for use during a command: it would garble the output.

    ``say`` prints a message to the user; ``changed`` is called when ``facts`` are new.
    """

    def __init__(self, socket: Path, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.facts = Facts()
        self._socket = socket
        self._say = say
        self._changed = changed

    async def keep_facts(self) -> None:
        while True:
            try:
                await self._keep_asking()
            except NoDaemon as gone:
                self._lose(gone)
            await asyncio.sleep(RETRY_S)

    def _lose(self, gone: NoDaemon) -> None:
        """The daemon is away. Say so once, until it is back."""
        if self.facts.problem is None:
            self._say(f"{gone}\nWaiting for it to come back.")
        self._update(replace(self.facts, problem=str(gone)))

    async def _keep_asking(self) -> None:
        with closing(await AsyncControlClient.open(self._socket)) as client:
            while True:
                facts = await _ask(client)
                if self.facts.problem is not None:
                    self._say(f"codexd {facts.status['version']} is back (pid {facts.status['pid']}).")
                self._update(facts)
                await asyncio.sleep(REFRESH_S)

    def _update(self, facts: Facts) -> None:
        self.facts = facts
        self._changed()


async def _ask(client: AsyncControlClient) -> Facts:
    return Facts(
        status=await client.call("daemon.status"),
        accounts=(await client.call("accounts.list"))["accounts"],
        settings=(await client.call("settings.list"))["settings"],
        requests=(await client.call("requests.list", {"limit": KNOWN_REQUESTS}))["requests"],
    )


class LogTail:
    """Passes each new log entry of ``level`` or above to ``show``."""

    def __init__(self, socket: Path, level: str, show: Callable[[Json], None], say: Callable[[str], None]) -> None:
        self.level = level
        self._socket = socket
        self._show = show
        self._say = say
        self._since = time.time()

    async def run(self) -> None:
        """Continue where the last run ended."""
        while True:
            with suppress(NoDaemon, Refused):  # Watch reports that the daemon is away
                await self._follow()
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        params = {"level": self.level, "since": self._since, "limit": CATCH_UP_ENTRIES}
        with closing(await AsyncControlClient.open(self._socket)) as client:
            async for event in client.follow("logs.follow", params):
                self._pass_on(event)

    def _pass_on(self, event: dict[str, Any]) -> None:
        if "entry" not in event:
            self._say(f"{event['missed']} log entries came too fast and were left out")
            return
        self._since = math.nextafter(event["entry"]["at"], math.inf)
        self._show(event["entry"])
