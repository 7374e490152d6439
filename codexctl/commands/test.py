"""``codexctl test``: a real request, sent as a client would send it."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from codexctl.client import PROBE, ControlClient, NoDaemon
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.render import requests as render_requests
from codexctl.terminal import Spinner, write_out
from codexd import __version__

DEFAULT_MODEL = "sonnet"
MAX_TOKENS = 32_000
"""The same as Claude Code sends."""

IDLE_TIMEOUT_S = 120.0
"""Generous: the daemon sends a ping every few seconds."""

WATCH_INTERVAL_S = 1.0
"""How often the daemon is asked meanwhile whether it is there."""

RECENT_REQUESTS = 100
RECORD_TIMEOUT_S, RECORD_POLL_S = 2.0, 0.02
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""The address for all interfaces, which a server can listen on but no client can connect to -> where to connect."""


def _test(invocation: Invocation) -> None:
    prompt = _read_prompt(invocation.arguments.prompt)
    with invocation.connect() as client:
        address = _find_address(client.call("daemon.status")["addresses"])
        key = client.call("settings.get", {"name": "server.api_key"})["value"]
        answer = _Answer(invocation, address, prompt)
        started = time.monotonic()
        try:
            with closing(_connect(address)) as connection, _watch(invocation.socket, connection):
                answer.ask(connection, key)
        except Stop:
            client.call("daemon.status")  # if the daemon is gone, this raises a better reason
            raise
        took_ms = (time.monotonic() - started) * 1000
        request = _find_ended(client, answer.request_id)
    if invocation.as_json:
        invocation.write([json.dumps({"text": answer.text, "took_ms": round(took_ms), "request": request}, indent=2)])
    else:
        invocation.write(render_requests.answered(request, took_ms, invocation.style()))


def _read_prompt(given: str) -> str:
    """The prompt; ``-`` stands for standard input."""
    if given == "-":
        given = sys.stdin.buffer.read().decode(errors="replace")
    if not given.strip():
        raise Stop(EXIT_USAGE, "the prompt is empty. Give a text, or - to read it from standard input.")
    return given


def _find_ended(client: ControlClient, request_id: str) -> Any:
    """The request as it ended, which is recorded a moment after its answer; None if it is no longer known."""
    give_up_at = time.monotonic() + RECORD_TIMEOUT_S
    while True:
        listed = client.call("requests.list", {"limit": RECENT_REQUESTS})["requests"]
        request = next((each for each in listed if each["id"] == request_id), None)
        if request is None or request["state"] != "running" or time.monotonic() > give_up_at:
            return request
        time.sleep(RECORD_POLL_S)


def _find_address(addresses: list[str]) -> str:
    if not addresses:
        raise Stop(EXIT_REFUSED, "codexd does not listen on any address. Its log says why: codexctl logs --level error")
    return addresses[0]


def _connect(address: str) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    host = parts.hostname or ""
    return http.client.HTTPConnection(LOOPBACK_OF.get(host, host), parts.port, timeout=IDLE_TIMEOUT_S)


@contextmanager
def _watch(path: Path, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Close the connection if the daemon stops answering calls: the first byte of an answer may take minutes.

    Raises:
        NoDaemon: it has stopped answering.
    """
    ended = threading.Event()
    gone: list[NoDaemon] = []

    def watch() -> None:
        try:
            with ControlClient(path) as client:
                while not ended.wait(WATCH_INTERVAL_S):
                    client.call(PROBE)
        except NoDaemon as error:
            gone.append(error)
            if (waiting := connection.sock) is not None:
                with suppress(OSError):  # it is closed already
                    waiting.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except Stop:
        if gone:
            raise gone[0] from None
        raise
    finally:
        ended.set()
        thread.join()


class _Answer:
    """The answer to the prompt, printed as it comes."""

    def __init__(self, invocation: Invocation, address: str, prompt: str) -> None:
        self._invocation = invocation
        self._prompt = prompt
        self._address = address
        self._progress = Spinner(invocation.environ)
        self._is_complete = False
        self.request_id = ""
        self.text = ""

    def ask(self, connection: http.client.HTTPConnection, key: str | None) -> None:
        """Send the prompt and read the whole answer.

        Raises:
            Stop: it failed; the text says why.
        """
        self._progress.turn("waiting for the answer, Ctrl-C cancels")
        try:
            response = self._send(connection, key)
            for event in _read_events(response):
                self._take(event)
        except (OSError, http.client.HTTPException) as error:
            raise self._fail(f"the connection to codexd at {self._address} failed ({_reason(error)}).") from None
        finally:
            self._clear_progress()
        if not self._is_complete:
            raise self._fail("the answer ended early.")
        self._end_line()

    def _send(self, connection: http.client.HTTPConnection, key: str | None) -> http.client.HTTPResponse:
        given = self._invocation.arguments
        message = {"role": "user", "content": self._prompt}
        body = {"model": given.model, "max_tokens": MAX_TOKENS, "stream": True, "messages": [message]}
        headers = {"content-type": "application/json", "user-agent": f"codexctl/{__version__}"}
        if key:
            headers["x-api-key"] = key
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        response = connection.getresponse()
        self.request_id = response.getheader("request-id", "")
        if response.status != 200:
            raise self._refused(response.status, response.read())
        return response

    def _refused(self, status: int, body: bytes) -> Stop:
        try:
            return self._fail(_describe(json.loads(body)))
        except (ValueError, TypeError, KeyError):
            return self._fail(f"{self._address} answered HTTP {status}, but not with an error of the Messages API.")

    def _take(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
                self._clear_progress()
                self.text += text
                if not self._invocation.as_json:
                    write_out(render_requests.printable(text))
            case {"type": "error"}:
                raise self._fail(_describe(event))
            case {"type": "message_stop"}:
                self._is_complete = True

    def _clear_progress(self) -> None:
        """Only before the answer begins: later this would erase a line of it."""
        if not self.text:
            self._progress.clear()

    def _fail(self, text: str) -> Stop:
        self._clear_progress()
        self._end_line()
        more = f"\nTo see what happened: codexctl why {self.request_id}" if self.request_id else ""
        return Stop(EXIT_REFUSED, text + more)

    def _end_line(self) -> None:
        if self.text and not self.text.endswith("\n") and not self._invocation.as_json:
            write_out("\n")


def _read_events(response: http.client.HTTPResponse) -> Iterator[Any]:
    """The data of server-sent events. codexd writes each on one line."""
    for line in response:
        if line.startswith(b"data:"):
            yield json.loads(line[len(b"data:") :])


def _describe(document: Any) -> str:
    """An error of the Messages API, which may be a whole response or an event of a stream."""
    error = document["error"]
    return f"{error['message']} ({error['type']})"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


COMMANDS = (
    Command(
        ("test",),
        "Send a prompt as a client would, and print the answer",
        'codexctl test "Say hello"\ncodexctl test "Say hello" --model opus',
        _test,
        (
            argument("prompt", metavar="PROMPT", help="the prompt to send; - reads it from standard input"),
            argument(
                "--model",
                default=DEFAULT_MODEL,
                metavar="MODEL",
                help=f"any model that a client can ask for (default: {DEFAULT_MODEL})",
                values=Values.MODELS,
            ),
        ),
        details="The exit status is 1 if the request fails. It counts towards your plan like any other request.",
    ),
)
