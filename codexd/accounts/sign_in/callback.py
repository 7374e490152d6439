"""The browser's return from a sign-in: the ports it returns to, and what it brings back or the user pastes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import trio
from attrs import Factory, define, field, frozen

from codexd.accounts.model import Account
from codexd.errors import LoginFailed, RequestInvalid

log = logging.getLogger("codexd.sign_in")

CALLBACK_PATH = "/auth/callback"
CALLBACK_PORTS = (1455, 1457)
"""The only ports to which the sign-in server sends a browser back."""

MAX_INPUT_CHARS = 8192
MAX_REASON_CHARS = 200


# -- what the browser brings back -----------------------------------------------------------------


@frozen
class Callback:
    """What came back from the sign-in page: a code or an error. A code pasted by itself has no state."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    error: str | None = None
    description: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Callback:
        """Read the callback URL's query; empty values count as missing."""
        names = {"code": "code", "state": "state", "error": "error", "description": "error_description"}
        return cls(**{field_: query.get(name) or None for field_, name in names.items()})


CALLBACK_HOSTS = ("localhost", "127.0.0.1")
"""The hosts that the sign-in server was seen to accept. It may accept only one of them, so both get their turn."""


def redirect_uri(port: int, host: str = CALLBACK_HOSTS[0]) -> str:
    """Where the browser is sent back to."""
    return f"http://{host}:{port}{CALLBACK_PATH}"


def parse_query(query: str) -> dict[str, str]:
    """The first value of each name."""
    return dict(reversed(parse_qsl(query)))


def parse_pasted(text: str) -> Callback:
    """Read what a user pasted: the callback URL, its query, ``code#state``, or the code alone.

    Line breaks (from terminals that wrap long lines) and quotes (from shells) are removed.

    Raises:
        RequestInvalid: it contains neither a code nor an error.
    """
    joined = "".join(text.split()).strip("'\"<>`")
    if not joined or len(joined) > MAX_INPUT_CHARS:
        raise RequestInvalid("input", f"paste the address that the browser ended up at{_LOOKS_LIKE}")
    if "://" in joined or joined.startswith(("localhost", "127.0.0.1")):
        callback = Callback.of(parse_query(_query_of(joined)))
    elif "=" in joined.partition("#")[0]:
        callback = Callback.of(parse_query(joined.lstrip("?")))
    else:
        code, _, state = joined.partition("#")
        callback = Callback(code=code or None, state=state or None)
    if callback.code is None and callback.error is None:
        raise RequestInvalid("input", f"contains no code; paste the address that the browser ended up at{_LOOKS_LIKE}")
    return callback


_LOOKS_LIKE = f", which starts with {redirect_uri(CALLBACK_PORTS[0])}?code="


def _query_of(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").query
    except ValueError:
        return ""


def refusal_of(callback: Callback) -> LoginFailed:
    """The error for a callback that reports one."""
    if "missing_codex_entitlement" in f"{callback.error} {callback.description}":
        return LoginFailed(
            "This workspace has no access to Codex. Ask its administrator for access, or sign in with another one."
        )
    reason = _printable(callback.description or "")
    if callback.error == "access_denied":
        note = f" (it says: {reason})" if reason else ""
        return LoginFailed(f"The sign-in was denied on the sign-in page{note}. Start it again if that was a mistake.")
    shown = ": ".join(part for part in (_printable(callback.error or ""), reason) if part)
    return LoginFailed(f"The sign-in page ended with an error ({shown}). Start the sign-in again.")


def _printable(text: str) -> str:
    """``text`` as one line of bounded length, for terminals and logs."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:MAX_REASON_CHARS].rstrip(".")


# -- where the browser returns to -----------------------------------------------------------------

SignedIn = tuple[Account, bool]
"""The account, and whether it is new."""

ReceiveCallback = Callable[[Mapping[str, str]], Awaitable[SignedIn]]
"""Takes the callback URL's query; raises a CodexdError with a text for the user."""

CancelAtPort = Callable[[int], None]
"""Cancels the sign-ins that wait at a port, because another program asked for it."""

CANCEL_PATH = "/cancel"
"""The Codex CLI's sign-in asks for this path when its port is taken, then tries for two seconds to open the port."""

CANCEL_TRIES = 10
CANCEL_TRY_S = 0.2
CANCEL_TIMEOUT_S = 1.0


class ServeCallback(Protocol):
    """``codexd.web.callback.serve_callback``. Raises an OSError that names the address which another program uses."""

    async def __call__(
        self,
        port: int,
        receive: ReceiveCallback,
        *,
        cancel: CancelAtPort,
        stop: trio.Event,
        task_status: trio.TaskStatus[None],
    ) -> None: ...


async def ask_to_cancel(port: int) -> None:
    """Ask a Codex CLI, or another codexd, to give up the sign-in that it waits for at ``port``."""
    for host in ("127.0.0.1", "::1"):
        with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(CANCEL_TIMEOUT_S):
            async with await trio.open_tcp_stream(host, port) as stream:
                await stream.send_all(
                    f"GET {CANCEL_PATH} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
                )
                await stream.receive_some(1024)


@define(eq=False)
class _Listener:
    """``users``: how many sign-ins need it. On ``stop`` it finishes the responses under way; then it is ``closed``."""

    users: int = 0
    stop: trio.Event = Factory(trio.Event)
    closed: trio.Event = Factory(trio.Event)


class CallbackPorts:
    """Listens on ``ports``. Sign-ins share a port, and it is open only while one of them needs it.

    Each ``take`` must be followed by one ``release``. ``ask`` is ``ask_to_cancel``.
    """

    def __init__(
        self,
        serve: ServeCallback,
        receive: ReceiveCallback,
        cancel: CancelAtPort,
        ports: tuple[int, ...],
        ask: Callable[[int], Awaitable[None]],
    ) -> None:
        self._serve = serve
        self._receive = receive
        self._cancel = cancel
        self._ports = ports
        self._ask = ask
        self._lock = trio.Lock()
        self._listeners: dict[int, _Listener] = {}
        self._taken: dict[int, str] = {}
        """The address of each port that another program uses, as found by the last try."""

    async def take(self, nursery: trio.Nursery, wanted: int | None) -> int:
        """Listen in ``nursery`` on the ``wanted`` port, or on the first free one; return the port.

        If none is free, the programs that use them are asked to cancel the sign-ins that they may be waiting for.

        Raises:
            LoginFailed: other programs use the ports.
        """
        ports = self._ports if wanted is None else (wanted,)
        async with self._lock:
            port = await self._join_first(nursery, ports)
            if port is None:
                async with trio.open_nursery() as asking:
                    for each in ports:
                        asking.start_soon(self._ask, each)
                port = await self._join_soon(nursery, ports)
        if port is not None:
            return port
        taken = " and ".join(self._taken[each] for each in ports)
        accepted = " and ".join(str(each) for each in self._ports)
        raise LoginFailed(
            f"The browser can't return to this machine: another program is using {taken}, and the sign-in server "
            f"accepts only the ports {accepted}. Stop that program, or sign in without a port: "
            "`codexctl accounts add --no-browser` or `codexctl accounts add --device`."
        )

    def release(self, port: int) -> None:
        """Release the port for one sign-in. After the last one it is closed as soon as its last response is sent."""
        listener = self._listeners[port]
        listener.users -= 1
        if listener.users == 0:
            listener.stop.set()

    async def _join_soon(self, nursery: trio.Nursery, ports: tuple[int, ...]) -> int | None:
        for _ in range(CANCEL_TRIES):
            await trio.sleep(CANCEL_TRY_S)
            port = await self._join_first(nursery, ports)
            if port is not None:
                return port
        return None

    async def _join_first(self, nursery: trio.Nursery, ports: tuple[int, ...]) -> int | None:
        for port in ports:
            if await self._join(nursery, port):
                return port
        return None

    async def _join(self, nursery: trio.Nursery, port: int) -> bool:
        """Share the port's listener or open one; return whether that worked.

        No checkpoint follows ``start``, so a new listener always gets its first user.
        """
        try:
            listener = await self._open(nursery, port)
        except OSError as error:
            self._taken[port] = str(error.filename or f"port {port}")
            log.debug("%s is not available (%s)", self._taken[port], error.strerror or error)
            return False
        listener.users += 1
        return True

    async def _open(self, nursery: trio.Nursery, port: int) -> _Listener:
        known = self._listeners.get(port)
        if known is not None and not known.stop.is_set():
            return known
        if known is not None:
            await known.closed.wait()
        listener = _Listener()
        await nursery.start(partial(self._run, port, listener))
        self._listeners[port] = listener
        return listener

    async def _run(self, port: int, listener: _Listener, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._serve(port, self._receive, cancel=self._cancel, stop=listener.stop, task_status=task_status)
        finally:
            listener.stop.set()
            listener.closed.set()
