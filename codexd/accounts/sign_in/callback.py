"""The browser's return from a sign-in: the ports it returns to, and what it brings back or the user pastes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
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


class ServeCallback(Protocol):
    """``codexd.web.callback.serve_callback``."""

    async def __call__(
        self, port: int, receive: ReceiveCallback, *, stop: trio.Event, task_status: trio.TaskStatus[None]
    ) -> None: ...


@define(eq=False)
class _Listener:
    """``users``: how many sign-ins need it. On ``stop`` it finishes the responses under way; then it is ``closed``."""

    users: int = 0
    stop: trio.Event = Factory(trio.Event)
    closed: trio.Event = Factory(trio.Event)


class CallbackPorts:
    """Listens on ``ports``. Sign-ins share a port, and it is open only while one of them needs it.

    Each ``take`` must be followed by one ``release``.
    """

    def __init__(self, serve: ServeCallback, ports: tuple[int, ...] = CALLBACK_PORTS) -> None:
        self._serve = serve
        self._ports = ports
        self._lock = trio.Lock()
        self._listeners: dict[int, _Listener] = {}

    async def take(self, nursery: trio.Nursery, receive: ReceiveCallback, wanted: int | None) -> int:
        """Listen in ``nursery`` on the ``wanted`` port, or on the first free one; return the port.

        Raises:
            LoginFailed: other programs use the ports.
        """
        async with self._lock:
            for port in self._ports if wanted is None else (wanted,):
                if await self._join(nursery, receive, port):
                    return port
        both = " and ".join(str(port) for port in self._ports)
        raise LoginFailed(
            f"The browser can't return to this machine: {f'port {wanted} is' if wanted else f'ports {both} are'} "
            f"in use by another program, and the sign-in server accepts only ports {both}. Stop that program, or "
            "sign in without a port: `codexctl accounts add --no-browser` or `codexctl accounts add --device`."
        )

    def release(self, port: int) -> None:
        """Release the port for one sign-in. After the last one it is closed as soon as its last response is sent."""
        listener = self._listeners[port]
        listener.users -= 1
        if listener.users == 0:
            listener.stop.set()

    async def _join(self, nursery: trio.Nursery, receive: ReceiveCallback, port: int) -> bool:
        """Share the port's listener or open one; return whether that worked.

        No checkpoint follows ``start``, so a new listener always gets its first user.
        """
        try:
            listener = await self._open(nursery, receive, port)
        except OSError as error:
            log.info("port %d is not available (%s)", port, error.strerror or error)
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
