"""The sign-in server's routes.

``/oauth/authorize``, ``/oauth/token``, ``/oauth/revoke``, ``/api/accounts/deviceauth/usercode``,
``/api/accounts/deviceauth/token``, ``/codex/device``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from codexd.simulator import login_pages
from codexd.simulator.exchange import Exchange
from codexd.simulator.grants import AuthorizeRequest, parse_authorize
from codexd.simulator.identity import PERSONAL
from codexd.simulator.oauth import SignIn, refuse_refresh
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error
from codexd.simulator.scripts import Drop, TokenReply
from codexd.simulator.wire import Ending, Holds, cut_connection, run_while_connected

Handler = Callable[[Exchange], Awaitable[None]]

_BAD_EMAIL = "Give an e-mail address; any will do."


class SignInRoutes:
    """The sign-in server. ``scripted`` are the next answers of ``/oauth/token``."""

    def __init__(self, oauth: SignIn, options: Options, holds: Holds) -> None:
        self.scripted: list[TokenReply] = []
        self._oauth = oauth
        self._options = options
        self._holds = holds
        self._routes: Mapping[str, Mapping[str, Handler]] = {
            "/oauth/authorize": {"GET": self._show_login, "POST": self._decide_login},
            "/oauth/token": {"POST": self._token},
            "/oauth/revoke": {"POST": self._revoke},
            "/api/accounts/deviceauth/usercode": {"POST": self._request_device_code},
            "/api/accounts/deviceauth/token": {"POST": self._poll_device},
            "/codex/device": {"GET": self._show_device, "POST": self._decide_device},
        }

    def serves(self, path: str) -> bool:
        return path in self._routes

    async def serve(self, exchange: Exchange) -> None:
        handler = self._routes[exchange.request.path].get(exchange.request.method)
        if handler is None:
            await exchange.refuse(detail("Method Not Allowed", status=405))
        else:
            await handler(exchange)

    async def _show_login(self, exchange: Exchange) -> None:
        if await self._read_authorize(exchange) is not None:
            await exchange.show(login_pages.make_login_page(), login_pages.HEADERS)

    async def _decide_login(self, exchange: Exchange) -> None:
        form = exchange.read_form()
        asked = await self._read_authorize(exchange)
        if asked is None:
            return
        email, workspace = _read_identity(form)
        if form.get("decision") != "allow":
            await exchange.redirect(self._oauth.deny(asked))
        elif "@" not in email:
            await exchange.refuse(_make_page_refusal(login_pages.make_login_page(email, workspace, _BAD_EMAIL)))
        else:
            await exchange.redirect(self._oauth.allow(asked, email, workspace))

    async def _read_authorize(self, exchange: Exchange) -> AuthorizeRequest | None:
        """What the page was opened with; None if it was not in order, which has been answered then."""
        try:
            return parse_authorize(exchange.request.query)
        except ValueError as fault:
            await exchange.refuse(_make_page_refusal(login_pages.make_fault_page(str(fault))))
            return None

    async def _token(self, exchange: Exchange) -> None:
        form = exchange.read_form()
        scripted = self.scripted.pop(0) if self.scripted else TokenReply()

        async def wait() -> Ending:
            await trio.sleep(scripted.delay_s)
            await self._holds.wait(scripted.hold)
            return Ending()

        if await run_while_connected(exchange.receive, wait) is not None:
            await self._answer_token(exchange, form, scripted)

    async def _answer_token(self, exchange: Exchange, form: dict[str, Any], scripted: TokenReply) -> None:
        if scripted.drop is Drop.BEFORE:
            await cut_connection(exchange.send, exchange.request, begun=False)
        reply = self._grant(exchange, form, scripted)
        if scripted.drop is Drop.AFTER:
            await cut_connection(exchange.send, exchange.request, begun=False)
        await exchange.reply(reply)

    def _grant(self, exchange: Exchange, form: dict[str, Any], scripted: TokenReply) -> dict[str, Any] | Refusal:
        if scripted.error is not None:
            return Refusal(scripted.error.status, scripted.error.body, scripted.error.headers)
        if scripted.code is not None:
            return refuse_refresh(scripted.code)
        match form.get("grant_type"):
            case "refresh_token":
                return self._oauth.refresh(form, omit=scripted.omit, access_expires_in_s=scripted.access_expires_in_s)
            case "authorization_code" if exchange.is_json:
                description = "The authorization_code grant must be form-encoded."
                return Refusal(400, {"error": "invalid_request", "error_description": description})
            case "authorization_code":
                return self._oauth.exchange(form, omit=scripted.omit, access_expires_in_s=scripted.access_expires_in_s)
            case _:
                return Refusal(400, {"error": "unsupported_grant_type"})

    async def _revoke(self, exchange: Exchange) -> None:
        form, status = exchange.read_form(), self._options.revoke_status
        if status >= 400:
            await exchange.refuse(error("The token could not be revoked.", code="server_error", status=status))
            return
        self._oauth.revoke_token(form.get("token"))
        await exchange.answer({})

    async def _request_device_code(self, exchange: Exchange) -> None:
        await exchange.reply(self._oauth.devices.request_code(exchange.read_form()))

    async def _poll_device(self, exchange: Exchange) -> None:
        await exchange.reply(self._oauth.poll_device(exchange.read_form(), exchange.issuer))

    async def _show_device(self, exchange: Exchange) -> None:
        await exchange.show(login_pages.make_device_page(), login_pages.HEADERS)

    async def _decide_device(self, exchange: Exchange) -> None:
        form = exchange.read_form()
        user_code = str(form.get("user_code", ""))
        email, workspace = _read_identity(form)
        allowed = form.get("decision", "allow") == "allow"
        fault = _BAD_EMAIL if allowed and "@" not in email else ""
        if not self._oauth.devices.is_pending(user_code):
            fault = "No program waits with this code. It may have expired; begin again there."
        if fault:
            page = login_pages.make_device_page(user_code, email, workspace, fault)
            await exchange.refuse(_make_page_refusal(page))
        elif allowed:
            self._oauth.approve_device(user_code, email, workspace)
            await exchange.show(login_pages.make_done_page("The device is signed in."), login_pages.HEADERS)
        else:
            self._oauth.devices.deny(user_code)
            await exchange.show(login_pages.make_done_page("The device was denied."), login_pages.HEADERS)


def _read_identity(form: Mapping[str, Any]) -> tuple[str, str]:
    """The email and the workspace that a page's form gives; a field left out has its default."""
    email = str(form.get("email", login_pages.DEFAULT_EMAIL)).strip()
    return email, str(form.get("workspace", "")).strip() or PERSONAL


def _make_page_refusal(page: str) -> Refusal:
    return Refusal(400, page, login_pages.HEADERS)
