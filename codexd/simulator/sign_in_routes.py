"""The sign-in server's routes and pages. Each page says that it is simulated, and loads nothing from elsewhere.

``/oauth/authorize``, ``/oauth/token``, ``/oauth/revoke``, ``/api/accounts/deviceauth/usercode``,
``/api/accounts/deviceauth/token``, ``/codex/device``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Any

import trio

from codexd.simulator.credentials import PERSONAL, REDIRECT_URIS, AuthorizeRequest, parse_authorize
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal, detail, error
from codexd.simulator.scripts import Drop, TokenReply
from codexd.simulator.sign_in import SignIn, refuse_refresh
from codexd.simulator.wire import Ending, Exchange, Holds, cut_connection, run_while_connected

Handler = Callable[[Exchange], Awaitable[None]]

_BAD_EMAIL = "Enter an email address; any will do."


class SignInRoutes:
    """The routes. ``scripted``: the next replies of ``/oauth/token``."""

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
            await exchange.show(make_login_page(), PAGE_HEADERS)

    async def _decide_login(self, exchange: Exchange) -> None:
        form = exchange.read_form()
        wanted = await self._read_authorize(exchange)
        if wanted is None:
            return
        email, workspace = _read_identity(form)
        if form.get("decision") != "allow":
            await exchange.redirect(self._oauth.deny(wanted))
        elif "@" not in email:
            await exchange.refuse(_make_page_refusal(make_login_page(email, workspace, _BAD_EMAIL)))
        else:
            await exchange.redirect(self._oauth.allow(wanted, email, workspace))

    async def _read_authorize(self, exchange: Exchange) -> AuthorizeRequest | None:
        """The request that opened the page; None if it was not valid and has been refused."""
        try:
            return parse_authorize(exchange.request.query)
        except ValueError as fault:
            await exchange.refuse(_make_page_refusal(make_fault_page(str(fault))))
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
        await exchange.show(make_device_page(), PAGE_HEADERS)

    async def _decide_device(self, exchange: Exchange) -> None:
        form = exchange.read_form()
        user_code = str(form.get("user_code", ""))
        email, workspace = _read_identity(form)
        allowed = form.get("decision", "allow") == "allow"
        fault = _BAD_EMAIL if allowed and "@" not in email else ""
        if not self._oauth.devices.is_pending(user_code):
            fault = "No program is waiting with this code. It may have expired; start again in the program."
        if fault:
            page = make_device_page(user_code, email, workspace, fault)
            await exchange.refuse(_make_page_refusal(page))
        elif allowed:
            self._oauth.approve_device(user_code, email, workspace)
            await exchange.show(make_done_page("The device is signed in."), PAGE_HEADERS)
        else:
            self._oauth.devices.deny(user_code)
            await exchange.show(make_done_page("The device was denied."), PAGE_HEADERS)


def _read_identity(form: Mapping[str, Any]) -> tuple[str, str]:
    """The email and the workspace in the form of a page; a missing field gets its default."""
    email = str(form.get("email", DEFAULT_EMAIL)).strip()
    return email, str(form.get("workspace", "")).strip() or PERSONAL


def _make_page_refusal(page: str) -> Refusal:
    return Refusal(400, page, PAGE_HEADERS)


DEFAULT_EMAIL = "simulated@example.com"

_ORIGINS = " ".join(uri.removesuffix("/auth/callback") for uri in REDIRECT_URIS)
PAGE_HEADERS: Mapping[str, str] = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    # Browsers also apply form-action to the redirect that follows the form.
    "content-security-policy": f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {_ORIGINS}",
}

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f4f2;color:#222}
main{max-width:26rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:.6rem}
h1{font-size:1.3rem;margin:0 0 .5rem}
label{display:block;margin:1rem 0 .2rem}
input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit}
button{margin:1.2rem .5rem 0 0;padding:.5rem 1.2rem;font:inherit}
.simulated{color:#8a4b00}.fault{color:#a00000}
"""
_NOTICE = "This is a simulated sign-in page: it asks for no password, and nothing leaves this computer."


def make_login_page(email: str = DEFAULT_EMAIL, workspace: str = PERSONAL, fault: str = "") -> str:
    """The page that asks whether the program may sign in. Its form posts to the page's own URL, query included."""
    return _make_page("Sign in to the simulated ChatGPT", _make_form(_make_identity_fields(email, workspace), fault))


def make_device_page(
    user_code: str = "", email: str = DEFAULT_EMAIL, workspace: str = PERSONAL, fault: str = ""
) -> str:
    """The page where a person enters the code of a device."""
    code_field = _make_field("user_code", "Code shown by the program", user_code)
    return _make_page("Sign in a device", _make_form(code_field + _make_identity_fields(email, workspace), fault))


def make_done_page(text: str) -> str:
    return _make_page("Done", f'<p id="done">{escape(text)} You can close this page.</p>')


def make_fault_page(fault: str) -> str:
    """The page for a request that is not valid."""
    return _make_page("Authentication error", f'<p class="fault" id="fault">{escape(fault)}</p>')


def _make_page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (simulated)</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f'<body><main><h1>{escape(title)}</h1><p class="simulated">{_NOTICE}</p>{content}</main></body></html>'
    )


def _make_form(fields: str, fault: str) -> str:
    note = f'<p class="fault" id="fault">{escape(fault)}</p>' if fault else ""
    return (
        f'<form method="post">{note}{fields}'
        '<button id="allow" name="decision" value="allow">Allow</button>'
        '<button id="deny" name="decision" value="deny" formnovalidate>Deny</button></form>'
    )


def _make_identity_fields(email: str, workspace: str) -> str:
    return _make_field("email", "Email", email, kind="email") + _make_field("workspace", "Workspace", workspace)


def _make_field(name: str, label: str, value: str, *, kind: str = "text") -> str:
    return (
        f'<label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="off" required>'
    )
