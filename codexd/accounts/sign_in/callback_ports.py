"""The listeners to which browsers come back: one per port, shared by sign-ins, open only while one needs it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import trio
from attrs import Factory, define

from codexd.accounts.model import Account
from codexd.accounts.sign_in.values import CALLBACK_PORTS
from codexd.errors import LoginFailed

log = logging.getLogger("codexd.sign_in")

SignedIn = tuple[Account, bool]
"""The account, and whether it is new."""

ReceiveCallback = Callable[[Mapping[str, str]], Awaitable[SignedIn]]
"""Takes the callback URL's query; raises an error of ours whose words are for the user."""


class ServeCallback(Protocol):
    """``codexd.web.callback.serve_callback``."""

    async def __call__(
        self, port: int, receive: ReceiveCallback, *, stop: trio.Event, task_status: trio.TaskStatus[None]
    ) -> None: ...


@define(eq=False)
class _Listener:
    """``users``: how many sign-ins wait on it. ``stop`` lets it answer what it has begun; then it is ``closed``."""

    users: int = 0
    stop: trio.Event = Factory(trio.Event)
    closed: trio.Event = Factory(trio.Event)


class CallbackPorts:
    """Which of ``ports`` are listened on. Each ``take`` is answered by one ``release``."""

    def __init__(self, serve: ServeCallback, ports: tuple[int, ...] = CALLBACK_PORTS) -> None:
        self._serve = serve
        self._ports = ports
        self._lock = trio.Lock()
        self._listeners: dict[int, _Listener] = {}

    async def take(self, nursery: trio.Nursery, receive: ReceiveCallback, wanted: int | None) -> int:
        """A port that is listened on in ``nursery``: ``wanted``, or the first that can be had.

        Raises:
            LoginFailed: other programs have them.
        """
        async with self._lock:
            for port in self._ports if wanted is None else (wanted,):
                if await self._join(nursery, receive, port):
                    return port
        both = " and ".join(str(port) for port in self._ports)
        raise LoginFailed(
            f"The browser can't come back to this machine: {f'port {wanted} is' if wanted else f'ports {both} are'} "
            f"in use by another program, and the sign-in server sends it to no other than {both}. End that program, or "
            "sign in without a port: `codexctl accounts add --no-browser` or `codexctl accounts add --device`."
        )

    def release(self, port: int) -> None:
        """One sign-in less; without any the port is free again as soon as the last answer is out."""
        listener = self._listeners[port]
        listener.users -= 1
        if listener.users == 0:
            listener.stop.set()

    async def _join(self, nursery: trio.Nursery, receive: ReceiveCallback, port: int) -> bool:
        """Whether the port is listened on. From ``start`` on there is no checkpoint, so no listener is left alone."""
        try:
            listener = await self._open(nursery, receive, port)
        except OSError as error:
            log.info("port %d can't be had (%s)", port, error.strerror or error)
            return False
        listener.users += 1
        return True

    async def _open(self, nursery: trio.Nursery, receive: ReceiveCallback, port: int) -> _Listener:
        known = self._listeners.get(port)
        if known is not None and not known.stop.is_set():
            return known
        if known is not None:
            await known.closed.wait()
        listener = _Listener()
        await nursery.start(partial(self._run, port, listener, receive))
        self._listeners[port] = listener
        return listener

    async def _run(
        self, port: int, listener: _Listener, receive: ReceiveCallback, *, task_status: trio.TaskStatus[None]
    ) -> None:
        try:
            await self._serve(port, receive, stop=listener.stop, task_status=task_status)
        finally:
            listener.stop.set()
            listener.closed.set()
