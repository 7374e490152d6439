"""Keeps the model of ``codexctl top`` up to date by following and polling, across restarts of the daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from codexctl.async_client import AsyncControlClient
from codexctl.client import NoDaemon, Refused
from codexctl.top.keys import Ask
from codexctl.top.model import KEPT_ENTRIES, KEPT_REQUESTS, Model

POLL_S = 1.0
RETRY_S = 0.5


class Feed:
    """Updates ``model``, and calls ``changed`` when there is something new to draw."""

    def __init__(self, socket: Path, model: Model, changed: Callable[[], None]) -> None:
        self._socket = socket
        self._model = model
        self._changed = changed
        self._closed = False

    def close(self) -> None:
        """Make :meth:`run` return once its task is cancelled.

        A cancellation alone can get lost: asyncio's task group forgets it if it fails at the same moment.
        """
        self._closed = True

    async def run(self) -> None:
        """Run until :meth:`close`. When the daemon goes away, wait for it."""
        while not self._closed:
            try:
                await self._watch()
            except* (NoDaemon, Refused) as group:
                self._model.lose(str(_first(group)), time.time())
                self._changed()
            await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        with closing(await AsyncControlClient.open(self._socket)) as client:
            self._model.status = await client.call("daemon.status")
            self._model.begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll(client))
                tasks.create_task(self._follow_requests())
                tasks.create_task(self._follow_errors())

    async def _poll(self, client: AsyncControlClient) -> None:
        while True:
            self._model.status = await client.call("daemon.status")
            self._model.accounts = (await client.call("accounts.list"))["accounts"]
            if request := self._model.unfinished_why:
                await self.ask(Ask("requests.explain", {"id": request}))
            self._changed()
            await asyncio.sleep(POLL_S)

    async def _follow_requests(self) -> None:
        with closing(await AsyncControlClient.open(self._socket)) as client:
            async for event in client.follow("requests.follow", {"limit": KEPT_REQUESTS}):
                self._model.take_request_event(event, time.time())
                self._changed()

    async def _follow_errors(self) -> None:
        with closing(await AsyncControlClient.open(self._socket)) as client:
            async for event in client.follow("logs.follow", {"level": "warning", "limit": KEPT_ENTRIES}):
                self._model.take_log_event(event)
                self._changed()

    async def ask(self, ask: Ask) -> None:
        """Make the call and pass its result on to the model."""
        try:
            with closing(await AsyncControlClient.open(self._socket)) as client:
                self._model.take_reply(ask.method, ask.params, await client.call(ask.method, ask.params))
        except (NoDaemon, Refused) as error:
            self._model.take_refusal(ask.method, ask.params, str(error))
        self._changed()


def _first(group: BaseExceptionGroup[NoDaemon | Refused]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
