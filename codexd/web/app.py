"""The ASGI app: the guard in front, the hot paths as plain callables, Quart-Trio for everything else.

Any error in a handler becomes a response and a log entry here, and never reaches the daemon.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import frozen
from quart import Response, request
from quart.asgi import ASGIHTTPConnection
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException

from codexd import __version__, bounds, jsontext
from codexd.api.records import Told
from codexd.errors import CodexdError, InternalError, MethodNotAllowed, ModelNotFound, NoSuchRoute, UpgradeRefused
from codexd.record.requests import RequestLog
from codexd.settings.schema import ServerSettings
from codexd.translation.client_api import Client, WireError
from codexd.translation.responses.fates import KEEPS_NOTHING
from codexd.web.base_url import advise, find_meant
from codexd.web.caller import to_wire
from codexd.web.exchange import read_client_name
from codexd.web.guard import (
    check_key,
    check_origin,
    find_allowed_origin,
    is_preflight,
    make_cors_headers,
    make_preflight_headers,
)
from codexd.web.http import (
    ClientLeftError,
    Handler,
    Receive,
    Request,
    Scope,
    Send,
    send_json,
    send_start,
)
from codexd.web.models import JsonAnswer, ModelLists

log = logging.getLogger("codexd.http")

INCOMING = "codexd.incoming"
"""The key in the ASGI scope under which the Quart routes find the request as the guard saw it."""

MAX_PATH_CHARS = 200
"""How much of a wrong path an error quotes."""

_INTERNAL = InternalError("codexd failed on this request; its log has the reason, under the request id")


class HTTPConnection(TrioASGIHTTPConnection):
    """Quart-Trio's connection, without its cancellation after the last body part.

    That cancellation hits Hypercorn's work at the end of a response: the keep-alive timer is not started again, and
    idle connections stay open forever (measured with quart-trio 0.12).
    """

    _sent_all = False

    async def handle_messages(self, nursery: Any, request: Any, receive: Any) -> None:  # type: ignore[override]
        await ASGIHTTPConnection.handle_messages(self, request, receive)
        if not self._sent_all:
            nursery.cancel_scope.cancel()

    async def _send_response(self, send: Any, response: Any) -> None:
        async def send_noting_end(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._sent_all = True
            await send(message)

        await super()._send_response(send_noting_end, response)


@frozen
class Refusals:
    """Reports errors outside a model request in the caller's API, and records them under the request's id.

    ``clock`` returns seconds since the epoch.
    """

    requests: RequestLog
    clock: Callable[[], float]

    def report(self, incoming: Request, error: CodexdError) -> WireError:
        wire = to_wire(error, incoming.caller, now=self.clock())
        is_expected = _is_expected(incoming, error)
        level = logging.DEBUG if is_expected else logging.INFO
        log.log(level, "%s %s refused: %s", incoming.method, incoming.path, error, extra={"request": incoming.id})
        if not is_expected:
            told = Told(wire.status, wire.type, wire.message)
            client = read_client_name(incoming.headers)
            self.requests.note_refused(incoming.id, incoming.method, incoming.path, client, error, told)
        return wire


def _is_expected(incoming: Request, error: CodexdError) -> bool:
    """Whether a Codex client goes on after the refusal as if nothing had happened, several times in each session.

    It then uses HTTP, or its built-in list of models, or does without ChatGPT's plugins, settings and telemetry.
    """
    if isinstance(error, UpgradeRefused):
        return True
    asks_chatgpt = incoming.path.startswith("/backend-api/") and find_meant(incoming.path) is None
    is_missing = isinstance(error, NoSuchRoute | ModelNotFound)
    return incoming.caller.client is Client.CODEX and is_missing and (asks_chatgpt or incoming.path == "/v1/models")


def create_quart(*, simulated: bool, refusals: Refusals, models: ModelLists) -> QuartTrio:
    """The app with all routes except the hot ones."""
    app = QuartTrio("codexd", static_folder=None)
    app.asgi_http_class = HTTPConnection
    app.config["RESPONSE_TIMEOUT"] = None  # 60 s by default, which would cut a followed log
    app.config["BODY_TIMEOUT"] = 60
    app.config["MAX_CONTENT_LENGTH"] = bounds.BODY_BYTES

    @app.get("/health")
    async def health() -> Response:
        return _json({"status": "ok", "version": __version__, "simulated": simulated})

    @app.get("/")
    async def root() -> Response:
        return Response(f"codexd {__version__} is running.\n", content_type="text/plain; charset=utf-8")

    @app.get("/api/hello")  # Claude Code requests this at its start
    async def hello() -> Response:
        return Response("", content_type="text/plain; charset=utf-8")

    @app.get("/v1/models")
    async def list_models() -> Response:
        return _respond(models.list_all(_incoming()))

    @app.get("/v1/models/<path:name>")
    async def show_model(name: str) -> Response:
        return _respond(models.show(name, _incoming()))

    @app.route("/v1/responses/<path:name>", methods=["GET", "POST", "DELETE"])
    async def response(name: str) -> Response:
        incoming = _incoming()
        if find_meant(incoming.path) is not None:
            raise _no_route(incoming)
        raise NoSuchRoute(f"codexd has no response {name}: {KEEPS_NOTHING}")

    @app.errorhandler(CodexdError)
    async def refuse(error: CodexdError) -> Response:
        incoming = _incoming()
        wire = refusals.report(incoming, error)
        body = jsontext.dumps(wire.to_body(incoming.id))
        return Response(body, status=wire.status, headers=dict(wire.headers), content_type="application/json")

    @app.errorhandler(HTTPException)
    async def refuse_http(error: HTTPException) -> Response:
        match error.code:
            case 404:
                return await refuse(_no_route(_incoming()))
            case 405:
                return await refuse(MethodNotAllowed(f"{request.path} does not support {request.method}"))
            case _:
                return await refuse(_INTERNAL)  # Quart has logged the traceback

    return app


def _check_path(incoming: Request) -> None:
    """Refuse paths that the routes would read differently: Quart takes ``//v1/models`` for ``/v1/models``.

    Raises:
        NoSuchRoute
    """
    if not incoming.path.startswith("/") or "//" in incoming.path:
        raise _no_route(incoming, ": a path starts with one slash and has no empty part")


def _no_route(incoming: Request, why: str = "") -> NoSuchRoute:
    path = incoming.path[:MAX_PATH_CHARS]
    return NoSuchRoute(f"codexd has no {path}{why}.{advise(path, incoming.headers.get('host', ''))}")


def _incoming() -> Request:
    incoming: Request = cast("Scope", request.scope)[INCOMING]
    return incoming


def _json(document: Any) -> Response:
    return Response(jsontext.dumps(document), content_type="application/json")


def _respond(found: JsonAnswer) -> Response:
    return Response(found.body, headers=dict(found.headers), content_type="application/json")


@frozen
class App:
    """The whole HTTP side as one ASGI callable.

    ``server`` returns its settings; ``hot`` has the handlers of model requests, by path.
    """

    server: Callable[[], ServerSettings]
    hot: Mapping[str, Handler]
    quart: Callable[..., Any]
    refusals: Refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # a WebSocket, which the server closes
        incoming = Request.of(scope, f"req_{secrets.token_hex(8)}")
        scope[INCOMING] = incoming
        origin = find_allowed_origin(incoming.path, incoming.headers, self.server())
        answer = _Answer(send, incoming.id, make_cors_headers(origin) if origin else {})
        try:
            await self._dispatch(incoming, receive, answer.send)
        except ClientLeftError:
            pass
        except CodexdError as error:
            await self._refuse(answer, incoming, error)
        except Exception:  # a bug in one handler, which must not end the daemon
            log.exception("%s %s failed", incoming.method, incoming.path, extra={"request": incoming.id})
            await self._refuse(answer, incoming, _INTERNAL)

    async def _dispatch(self, incoming: Request, receive: Receive, send: Send) -> None:
        server = self.server()
        check_origin(incoming.path, incoming.headers, server)
        _check_path(incoming)
        if is_preflight(incoming.method, incoming.headers):
            await self._answer_preflight(incoming, server, send)
            return
        if incoming.path.startswith("/v1/"):
            check_key(incoming.headers, server)
        hot = self.hot.get(incoming.path)
        if hot is None:
            await self.quart(incoming.scope, receive, send)
        elif "sec-websocket-key" in incoming.headers:
            raise UpgradeRefused(f"codexd does not support WebSockets; POST {incoming.path} streams over HTTP")
        elif incoming.method != "POST":
            raise MethodNotAllowed(f"{incoming.path} supports only POST")
        else:
            await hot(incoming, receive, send)

    async def _answer_preflight(self, incoming: Request, server: ServerSettings, send: Send) -> None:
        if find_allowed_origin(incoming.path, incoming.headers, server) is None:
            raise MethodNotAllowed(f"{incoming.path} does not support OPTIONS")
        await send_start(send, 204, make_preflight_headers(incoming.headers).items())
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, answer: _Answer, incoming: Request, error: CodexdError) -> None:
        if answer.started:
            raise ConnectionAbortedError("the response was under way")  # the server closes without an end mark
        wire = self.refusals.report(incoming, error)
        await send_json(answer.send, wire.status, wire.to_body(incoming.id), wire.headers)


class _Answer:
    """Adds the request id under both APIs' names, and ``more`` headers; knows whether the response has started."""

    def __init__(self, send: Send, request_id: str, more: Mapping[str, str]) -> None:
        self.started = False
        self._send = send
        headers = {"request-id": request_id, "x-request-id": request_id, **more}
        self._headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message["headers"], *self._headers]}
        await self._send(message)
