"""A whole daemon on a simulated backend, over real sockets, in the nursery of a test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio
from attrs import define, frozen

from codexd.api.records import LogFilter
from codexd.assembly import Launch, Ready
from codexd.daemon import serve
from codexd.paths import Places, find_places
from codexd.record.logs import LogRing, configure
from codexd.settings.live import LiveSettings
from codexd.simulator.app import Simulator
from codexd.simulator.faults import parse_plan
from codexd.simulator.options import Options
from codexd.simulator.wire import Outcome
from codexd.web.exchange import Timing

HELLO = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


@define
class WallClock:
    """A wall clock that a test can move."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class RefusedError(Exception):
    """A method of the control socket refused; ``kind`` is its stable word."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.kind = error["data"]["kind"]


@frozen
class Running:
    """A running daemon and what stands behind it."""

    address: str
    simulator: Simulator
    places: Places
    logs: LogRing

    def load(self, *replies: dict[str, Any], then: str = "agent") -> None:
        """The next answers of the backend, as data (``codexd/simulator/scripts.py``)."""
        self.simulator.load({"replies": list(replies), "then": then})

    @property
    def asked(self) -> list[Any]:
        """The requests that the backend's responses endpoint has seen."""
        return [request for request in self.simulator.requests if request.path.endswith("/codex/responses")]

    @property
    def refreshes(self) -> int:
        return sum(1 for request in self.simulator.requests if request.path == "/oauth/token")

    def log_text(self) -> str:
        return "\n".join(f"{entry.message} {entry.fields}" for entry in self.logs.history(LogFilter()))

    async def request_fields(self) -> dict[str, Any]:
        """The log fields of the last finished request; it is logged a moment after its answer arrived."""
        with trio.fail_after(5):
            while True:
                entries = [entry for entry in self.logs.history(LogFilter()) if entry.logger == "codexd.request"]
                if entries:
                    return dict(entries[-1].fields)
                await trio.sleep(0.01)

    async def call(self, method: str, /, **params: Any) -> Any:
        """The result of a method of the control socket.

        Raises:
            RefusedError
        """
        async with await trio.open_unix_socket(str(self.places.socket)) as stream:
            await stream.send_all(
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n"
            )
            line = b""
            while not line.endswith(b"\n"):
                line += await stream.receive_some(1 << 16)
        answer = json.loads(line)
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer["result"]

    async def sign_in(self, email: str, **options: Any) -> None:
        """Another account."""
        file = self.places.state_dir / "login.json"
        file.write_text(json.dumps(self.simulator.sign_in(email, **options)))
        await self.call("accounts.import", source=str(file))
        file.unlink()

    async def let_token_expire(self) -> None:
        """Put a login in place whose access token is out of date."""
        file = self.places.state_dir / "expired.json"
        file.write_text(json.dumps(self.simulator.sign_in(access_expires_in_s=-10)))
        await self.call("accounts.import", source=str(file))


async def start_daemon(
    nursery: trio.Nursery,
    home: Path,
    *,
    options: Options | None = None,
    timing: Timing | None = None,
    drain_s: float = 5.0,
    environ: dict[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    faults: str | None = None,
) -> Running:
    """A daemon with one signed-in account; it ends with the nursery. ``clock`` is the wall clock of both sides."""
    plan = parse_plan(faults) if faults is not None else None
    simulator = Simulator(clock=clock, options=options or Options(), faults=plan)
    places = find_places({}, home)
    settings = LiveSettings.open(places.settings, environ=environ or {}, flags={"server.port": 0})
    logs = LogRing(settings.current.log.history)
    configure("debug", "text", logs)
    launch = Launch(
        settings,
        places,
        logs,
        environ={},
        simulator=simulator,
        clock=clock,
        drain_s=drain_s,
        timing=timing or Timing(),
    )
    ready: Ready = await nursery.start(serve, launch)
    return Running(ready.address, simulator, places, logs)


async def post(running: Running, body: Any, path: str = "/v1/messages", **headers: str) -> httpx.Response:
    """One request on a connection of its own; ``body`` is bytes or JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=running.address, trust_env=False, timeout=30) as client:
        return await client.post(path, content=content, headers=named)


async def start_request(
    running: Running, body: Any, path: str = "/v1/messages", *, receive_buffer: int | None = None
) -> trio.SocketStream:
    """A request on a raw connection whose answer is not read yet."""
    connection = trio.socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
    address = urlsplit(running.address)
    await connection.connect((address.hostname, address.port))
    stream = trio.SocketStream(connection)
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
    await stream.send_all(head.encode() + content)
    return stream


async def hang_up(running: Running, body: Any, path: str = "/v1/messages") -> Outcome | None:
    """Leave while the answer to ``body`` comes; how the backend saw its request end, within a second."""
    connection = await start_request(running, body, path)
    with trio.fail_after(10):
        if body["stream"]:
            await connection.receive_some(4096)
        while not running.asked:
            await trio.sleep(0.01)
    await connection.aclose()
    with trio.fail_after(1):
        await running.asked[0].ended.wait()
    return running.asked[0].outcome


def read_events(text: str) -> list[dict[str, Any]]:
    """The events of a stream's text; each frame's two names must agree."""
    events = []
    lines = [line for line in text.split("\n") if not line.startswith(":")]  # a ping of OpenAI's APIs is a comment
    for frame in "\n".join(lines).split("\n\n"):
        if not frame:
            continue
        name, _, data = frame.partition("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)
