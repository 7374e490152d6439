"""What keeps the model of ``codexctl top`` up to date: follows and polls, across restarts of the daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from codexctl.client import NoDaemon, Refused
from codexctl.link import Link
from codexctl.top.keys import Ask
from codexctl.top.model import KEPT_ENTRIES, KEPT_REQUESTS, Model

POLL_S = 1.0
RETRY_S = 0.5


class Feed:
    """``changed`` is called when there is something new to draw."""

    def __init__(self, socket: Path, model: Model, changed: Callable[[], None]) -> None:
        self._socket = socket
        self._model = model
        self._changed = changed
        self._closed = False

    def close(self) -> None:
        """End :meth:`run`, whose task is to be cancelled then.

        A cancellation alone may get lost: asyncio's groups forget it when they fail at the same moment.
        """
        self._closed = True

    async def run(self) -> None:
        """Until :meth:`close`: a daemon that goes away is waited for."""
        while not self._closed:
            try:
                await self._watch()
            except* (NoDaemon, Refused) as group:
                self._model.lose(str(_first(group)), time.time())
                self._changed()
            await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        with closing(await Link.open(self._socket)) as link:
            self._model.status = await link.call("daemon.status")
            self._model.begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll(link))
                tasks.create_task(self._follow_requests())
                tasks.create_task(self._follow_errors())

    async def _poll(self, link: Link) -> None:
        while True:
            self._model.status = await link.call("daemon.status")
            self._model.accounts = (await link.call("accounts.list"))["accounts"]
            if request := self._model.unfinished_why:
                await self.ask(Ask("requests.explain", {"id": request}))
            self._changed()
            await asyncio.sleep(POLL_S)

    async def _follow_requests(self) -> None:
        with closing(await Link.open(self._socket)) as link:
            async for event in link.follow("requests.follow", {"limit": KEPT_REQUESTS}):
                self._model.take_request_event(event, time.time())
                self._changed()

    async def _follow_errors(self) -> None:
        with closing(await Link.open(self._socket)) as link:
            async for event in link.follow("logs.follow", {"level": "warning", "limit": KEPT_ENTRIES}):
                self._model.take_log_event(event)
                self._changed()

    async def ask(self, ask: Ask) -> None:
        """Do what the user wants, and tell the model what came of it."""
        try:
            with closing(await Link.open(self._socket)) as link:
                self._model.take_reply(ask.method, ask.params, await link.call(ask.method, ask.params))
        except (NoDaemon, Refused) as error:
            self._model.take_refusal(ask.method, ask.params, str(error))
        self._changed()


def _first(group: BaseExceptionGroup[NoDaemon | Refused]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
