"""Where a browser returns after a sign-in: ``http://localhost:<port>/auth/callback``, and the page that it shows.

Only a browser on this machine can reach it, and the ``state`` must belong to a sign-in that codexd started. The
authorization code in the URL must not stay in the address bar: the page replaces the address, and forbids the browser
to store it or pass it on.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack, closing

import trio
from attrs import frozen

from codexd.accounts.sign_in.callback import CALLBACK_PATH, CANCEL_PATH, CancelAtPort, ReceiveCallback, parse_query
from codexd.errors import CodexdError, Forbidden, MethodNotAllowed, NoSuchRoute
from codexd.web.callback_page import Page, render, show_account, show_cancelled, show_problem
from codexd.web.http import Receive, Request, Scope, Send, send_start
from codexd.web.server import bind, serve

DRAIN_S = 2.0
"""How long the last page may take to reach its browser after the port is closed."""

_NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""This machine has no IPv6, or no IPv4."""

_STATUS: Mapping[type[CodexdError], int] = {Forbidden: 403, NoSuchRoute: 404, MethodNotAllowed: 405}


async def serve_callback(
    port: int,
    receive: ReceiveCallback,
    *,
    cancel: CancelAtPort,
    stop: trio.Event,
    simulated: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on loopback until ``stop``; then the port is free at once, and the last page is still sent.

    ``receive`` takes the query and returns the account that is signed in, or raises the error for the page to show.
    ``cancel`` ends the sign-ins that wait at this port.

    Raises:
        OSError: the port is not available; it names the address.
    """
    listeners = bind_loopback(port)
    app = CallbackApp(port, receive, cancel, simulated)
    await serve(app, listeners, stop=stop, drain_s=DRAIN_S, task_status=task_status)


def bind_loopback(port: int) -> list[socket.socket]:
    """Listening sockets for every address that a browser may take ``localhost`` for.

    Otherwise another program could listen on ``[::1]``, which many browsers try first, and get the code.

    Raises:
        OSError: another program uses the port; it names the address.
    """
    listeners: list[socket.socket] = []
    with ExitStack() as undo:
        for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            try:
                listeners.append(undo.enter_context(closing(bind(host, port))))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise OSError(error.errno, error.strerror, f"{shown}:{port}") from None
        if not listeners:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL), f"localhost:{port}")
        undo.pop_all()
    return listeners


@frozen
class CallbackApp:
    """The ASGI app of one port."""

    port: int
    receive: ReceiveCallback
    cancel: CancelAtPort
    simulated: bool

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        incoming = Request.of(scope, "")
        try:
            self._check(incoming)
            status, page = 200, await self._answer(incoming)
        except CodexdError as error:
            status, page = _STATUS.get(type(error), 400), show_problem(error, simulated=self.simulated)
        await _send_page(send, status, page)

    async def _answer(self, incoming: Request) -> Page:
        if incoming.path == CANCEL_PATH:
            self.cancel(self.port)
            return show_cancelled(simulated=self.simulated)
        account, added = await self.receive(parse_query(incoming.query))
        return show_account(account, added=added)

    def _check(self, incoming: Request) -> None:
        """A name that a web page controls can resolve to 127.0.0.1; a browser can't forge ``Host``.

        Raises:
            Forbidden, MethodNotAllowed, NoSuchRoute
        """
        host = incoming.headers.get("host", "").lower()
        if host not in [f"{name}:{self.port}" for name in ("localhost", "127.0.0.1", "[::1]")]:
            raise Forbidden(f"This address is for sign-ins at http://localhost:{self.port} only.")
        if incoming.path not in (CALLBACK_PATH, CANCEL_PATH):
            raise NoSuchRoute("There is nothing here: codexd uses this port only to complete a sign-in.")
        if incoming.path == CANCEL_PATH and incoming.headers.get("sec-fetch-site", "none") != "none":
            raise Forbidden("A web page can't cancel a sign-in.")
        if incoming.method != "GET":
            raise MethodNotAllowed(f"{incoming.path} supports only GET")


async def _send_page(send: Send, status: int, page: Page) -> None:
    nonce = secrets.token_urlsafe(16)
    body = render(page, nonce).encode()
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(body)),
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "connection": "close",  # so that the port's drain does not wait for the browser
    }
    await send_start(send, status, headers.items())
    await send({"type": "http.response.body", "body": body})
