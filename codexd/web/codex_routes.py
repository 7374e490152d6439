"""The routes that the Codex CLI requests from ``chatgpt_base_url``, answered with what codexd knows.

Its ``/status`` shows the limits of the account that its requests use, which is codexd's active one. The login that the
CLI sends with a request is ignored and never passed on. Everything else below ``/backend-api`` is a 404, which the CLI
handles well, except for ChatGPT's apps: a 404 there makes it warn at each start. Those answers follow the lifecycle of
MCP (https://modelcontextprotocol.io/specification).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, cast

from attrs import frozen
from quart import Response, request
from quart_trio import QuartTrio

from codexd import __version__, jsontext, rpc
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.limits.windows import Limits, Window
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountError, Forbidden, NoSuchRoute, UpstreamError
from codexd.settings.schema import is_loopback

log = logging.getLogger("codexd.http")

UNUSED_ORIGIN = "https://127.0.0.1"
"""The CLI requires an https origin. With codexd as its provider it never uses it, and nothing listens here."""


@frozen
class CodexRoutes:
    """``clock`` returns seconds since the epoch."""

    store: AccountStore
    poller: UsagePoller
    limits: Callable[[str], Limits]
    clock: Callable[[], float]

    def add_to(self, app: QuartTrio) -> None:
        app.add_url_rule("/backend-api/wham/usage", view_func=self.usage)
        app.add_url_rule("/backend-api/wham/accounts/check", view_func=self.check_accounts)
        app.add_url_rule("/backend-api/ps/mcp", view_func=self.apps, methods=["POST"])

    async def usage(self) -> Response:
        """The active account's limits."""
        _check_peer()
        account = self.store.active
        if account is None:
            # Not a 401, after which the CLI would refresh its own login.
            raise NoSuchRoute("no account is active, so there are no limits; see `codexctl accounts`")
        if self.limits(account.id).is_stale(self.clock()):
            try:
                await self.poller.check(account.id)
            except (AccountError, UpstreamError) as error:
                log.info("no fresh limits for the Codex CLI: %s", error, extra={"fields": {"account": account.label}})
        limits = self.limits(account.id)
        return _json(to_usage(limits, limits.plan or account.plan, self.clock()))

    async def check_accounts(self) -> Response:
        """The account that the CLI is signed in to, with an origin that is not used."""
        _check_peer()
        own = {"account_routing_override": "NO_CONSTRAINT", "workspace_backend_origin": UNUSED_ORIGIN}
        return _json({"accounts": [{"id": request.headers.get("chatgpt-account-id", ""), **own}]})

    async def apps(self) -> Response:
        """ChatGPT's apps, which are not available: an MCP server that offers nothing."""
        _check_peer()
        data = await request.data
        match rpc.Connection().receive_data(data.replace(b"\n", b" ") + b"\n"):
            case [rpc.Request(asked, "initialize", {"protocolVersion": str(version)})]:
                server = {"name": "codexd", "version": __version__}
                result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
                return _rpc(rpc.Result(asked, result))
            case [rpc.Request(asked, "tools/list")]:
                return _rpc(rpc.Result(asked, {"tools": []}))
            case [rpc.Request(asked, method)]:
                return _rpc(rpc.Failure(asked, rpc.ErrorCode.METHOD_NOT_FOUND, f"codexd has no apps, so no {method}"))
            case [rpc.Malformed() as malformed]:
                return _rpc(malformed.failure)
            case _:
                return Response(b"", status=202)


def to_usage(limits: Limits, plan: str | None, now: float) -> dict[str, Any]:
    """``limits`` in the form of the backend's usage document."""
    metered = dict.fromkeys(window.limit for window in limits.windows if window.limit is not None)
    main = [window for window in limits.windows if window.limit is None]
    reached = limits.is_used_up(now)
    credit = limits.credits
    return {
        "plan_type": plan or "unknown",
        "rate_limit": _to_rate_limit(main, reached=reached, now=now),
        "additional_rate_limits": [
            {
                "limit_name": name,
                "metered_feature": name,
                "rate_limit": _to_rate_limit(own, reached=any(window.is_full(now) for window in own), now=now),
            }
            for name in metered
            if (own := [window for window in limits.windows if window.limit == name])
        ],
        "credits": credit
        and {"has_credits": credit.has_credits, "unlimited": credit.unlimited, "balance": credit.balance},
    }


def _to_rate_limit(windows: Iterable[Window], *, reached: bool, now: float) -> dict[str, Any]:
    shortest_first = sorted(windows, key=lambda window: window.window_s)
    first, second, *_ = [*(_to_window(window, now) for window in shortest_first), None, None]
    return {"allowed": not reached, "limit_reached": reached, "primary_window": first, "secondary_window": second}


def _to_window(window: Window, now: float) -> dict[str, int]:
    return {
        "used_percent": round(window.used_percent),
        "limit_window_seconds": round(window.window_s),
        "reset_after_seconds": max(0, round(window.resets_at - now)),
        "reset_at": round(window.resets_at),
    }


def _check_peer() -> None:
    """Answer only programs on this machine, because the CLI can't send codexd's key here.

    Raises:
        Forbidden
    """
    client = cast("dict[str, Any]", request.scope).get("client")
    if not client or not is_loopback(client[0]):
        raise Forbidden("only programs on this machine can ask for the Codex CLI's usage")


def _rpc(answer: rpc.Result | rpc.Failure) -> Response:
    return Response(rpc.encode(answer), content_type="application/json")


def _json(document: Any) -> Response:
    return Response(jsontext.dumps(document), content_type="application/json")
