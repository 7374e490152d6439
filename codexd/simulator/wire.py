"""One request and its answer in plain ASGI: the record for tests, the body, and streams that notice a hang-up.

Records hold no tokens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import trio
from attrs import define, field, frozen

from codexd.errors import CodexdError
from codexd.jsontext import dumps, loads
from codexd.simulator.events import Cut, Pause, Step, encode
from codexd.simulator.refusals import Refusal
from codexd.simulator.scripts import CutBy


class Outcome(Enum):
    """How a request ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    REFUSED = "refused"
    CUT_BY_CLIENT = "cut by client"
    """The client hung up, or the server was shut down, before the end of the answer."""
    CUT_BY_SCRIPT = "cut by script"


@define(eq=False)
class Request:
    """The record of one request.

    ``headers`` has lower-case names, and ``authorization`` names the account instead of holding the token. ``query`` is
    as written, but without its secrets. ``body`` is the parsed JSON object or form, or None. ``ended`` is set once
    ``outcome`` is final.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any] | None = None
    status: int | None = None
    outcome: Outcome = Outcome.RUNNING
    events_sent: int = 0
    bytes_sent: int = 0
    ended: trio.Event = field(factory=trio.Event, repr=False)

    def finish(self, outcome: Outcome) -> None:
        """Set the outcome, unless it is set already."""
        if self.outcome is Outcome.RUNNING:
            self.outcome = outcome


SECRET_FIELDS = frozenset(
    (
        "access_token",
        "authorization_code",
        "code",
        "code_verifier",
        "device_auth_id",
        "id_token",
        "refresh_token",
        "token",
        "user_code",
    )
)
REDACTED = "<redacted>"


def redact_form(form: dict[str, Any]) -> dict[str, Any]:
    """A sign-in form without its secrets."""
    return {key: REDACTED if key in SECRET_FIELDS and value else value for key, value in form.items()}


def redact_query(query: str) -> str:
    """A query string without its secrets, otherwise as written."""
    return "&".join(_redact_pair(pair) for pair in query.split("&"))


def _redact_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name}={REDACTED}" if value and unquote_plus(name) in SECRET_FIELDS else pair


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

KEEPALIVE = b': keepalive\n\nevent: keepalive\ndata: {"type":"keepalive"}\n\n'


class ConnectionCut(CodexdError):
    """Raised on purpose: if an app fails in the middle of a body, the server closes the connection."""


class BodyTooLarge(CodexdError):
    pass


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The body of the request; None if the client hung up before its end.

    Raises:
        BodyTooLarge: it has more than ``max_bytes``.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLarge(f"the body has more than {max_bytes} bytes")
        if not message.get("more_body"):
            return bytes(body)


async def send_json(send: Send, request: Request, value: Any, headers: Mapping[str, str] | None = None) -> None:
    """A 200 with a JSON body."""
    request.finish(Outcome.COMPLETED)
    await send_whole(send, request, 200, dumps(value), {"content-type": "application/json", **(headers or {})})


async def send_refusal(send: Send, request: Request, refusal: Refusal) -> None:
    if refusal.body is None:
        body, kind = b"", "text/plain"
    elif isinstance(refusal.body, str):
        body, kind = refusal.body.encode(), "text/html"
    else:
        body, kind = dumps(refusal.body), "application/json"
    request.finish(Outcome.REFUSED)
    await send_whole(send, request, refusal.status, body, {"content-type": kind, **refusal.headers})


async def send_whole(send: Send, request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    request.status = status
    await send(_make_head(status, {**headers, "content-length": str(len(body))}))
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def cut_connection(send: Send, request: Request, *, begun: bool) -> None:
    """Close the connection in the middle of the answer. Starts the answer first unless it has ``begun``.

    Raises:
        ConnectionCut: always.
    """
    if not begun:
        request.status = 200
        await send(_make_head(200, {"content-type": "application/json"}))
        await send({"type": "http.response.body", "body": b"", "more_body": True})
    request.finish(Outcome.CUT_BY_SCRIPT)
    raise ConnectionCut("the script cuts the connection here")


@frozen
class Ending:
    """How an answer ended: normally, with a cut, or with a refusal that is still to be sent."""

    cut: CutBy | None = None
    refusal: Refusal | None = None


class EventStream:
    """One streamed answer."""

    def __init__(
        self, send: Send, request: Request, *, chunk_events: int, keepalive_interval_s: float | None, holds: Holds
    ) -> None:
        self._send = send
        self._request = request
        self._chunk_events = chunk_events
        self._keepalive_interval_s = keepalive_interval_s
        self._holds = holds
        self._chunk: list[bytes] = []

    async def begin(self, headers: Mapping[str, str]) -> None:
        self._request.status = 200
        await self._send(_make_head(200, {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}))
        # An empty part makes the server send the headers now.
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def write(self, data: bytes) -> None:
        if data:
            self._request.bytes_sent += len(data)
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def play(self, steps: Iterator[Step]) -> Ending:
        """Send the steps in order, with their pauses, as fast as the client reads."""
        for step in steps:
            if isinstance(step, Cut):
                await self._flush()
                return Ending(cut=step.by)
            if isinstance(step, Pause):
                await self._flush()
                await self._pause(step)
                continue
            self._chunk.append(encode(step))
            if len(self._chunk) >= self._chunk_events:
                await self._flush()
        await self._flush()
        return Ending()

    async def _flush(self) -> None:
        chunk, self._chunk = self._chunk, []
        self._request.events_sent += len(chunk)
        await self.write(b"".join(chunk))

    async def _pause(self, pause: Pause) -> None:
        left_s = pause.seconds
        interval_s = self._keepalive_interval_s
        while interval_s is not None and left_s > interval_s:
            await trio.sleep(interval_s)
            await self.write(KEEPALIVE)
            left_s -= interval_s
        await trio.sleep(left_s)
        await self._holds.wait(pause.hold)


class Holds:
    """Named gates at which answers wait until a test releases them."""

    def __init__(self) -> None:
        self._gates: dict[str, trio.Event] = {}

    def release(self, name: str) -> None:
        self._find(name).set()

    async def wait(self, name: str | None) -> None:
        if name is not None:
            await self._find(name).wait()

    def _find(self, name: str) -> trio.Event:
        return self._gates.setdefault(name, trio.Event())


async def run_while_connected(receive: Receive, answer: Callable[[], Awaitable[Ending]]) -> Ending | None:
    """Run ``answer`` and return its ending; None if the client hung up first, which cancels it."""
    ending: Ending | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, receive, nursery.cancel_scope)
        ending = await answer()
        nursery.cancel_scope.cancel("answered")
    return ending


async def finish_stream(send: Send, request: Request, ending: Ending | None) -> None:
    """Send the last part of an answer. Call it outside the nursery that a hang-up cancels.

    Raises:
        ConnectionCut: the ending asks for it.
    """
    if ending is None:
        request.finish(Outcome.CUT_BY_CLIENT)
    elif ending.refusal is not None:
        await send_refusal(send, request, ending.refusal)
    elif ending.cut is CutBy.CONNECTION:
        await cut_connection(send, request, begun=True)
    else:
        # Set before the last part is sent: a client that has read the whole answer finds the outcome final.
        request.finish(Outcome.COMPLETED if ending.cut is None else Outcome.CUT_BY_SCRIPT)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _watch(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel("the client hung up")


def _make_head(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


@frozen
class Exchange:
    """One request, and the ways to answer it. ``issuer`` is the base URL that the client used."""

    request: Request
    raw: bytes
    receive: Receive
    send: Send

    @property
    def issuer(self) -> str:
        return f"http://{self.request.headers.get('host', '')}"

    @property
    def is_json(self) -> bool:
        return "json" in self.request.headers.get("content-type", "")

    def read_json(self) -> Any:
        """Parse the body and keep it in the record; None if it is not JSON."""
        try:
            body = loads(self.raw)
        except ValueError:
            return None
        self.request.body = body if isinstance(body, dict) else None
        return body

    def read_form(self) -> dict[str, Any]:
        """Parse a sign-in form, JSON or URL-encoded, and keep it in the record without its secrets."""
        if self.is_json:
            body = self.read_json()
            form = body if isinstance(body, dict) else {}
        else:
            form = dict(parse_qsl(self.raw.decode("utf-8", "replace"), keep_blank_values=True))
        self.request.body = redact_form(form)
        return form

    async def answer(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        await send_json(self.send, self.request, value, headers)

    async def answer_unchanged(self, headers: Mapping[str, str]) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 304, b"", headers)

    async def reply(self, value: dict[str, Any] | Refusal) -> None:
        """Send an answer or a refusal."""
        if isinstance(value, Refusal):
            await self.refuse(value)
        else:
            await self.answer(value)

    async def show(self, page: str, headers: Mapping[str, str]) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 200, page.encode(), headers)

    async def redirect(self, url: str) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 302, b"", {"location": url, "cache-control": "no-store"})

    async def refuse(self, refusal: Refusal) -> None:
        await send_refusal(self.send, self.request, refusal)
