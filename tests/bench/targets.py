"""What the load is sent to: the fake backend itself, the byte forwarder, codexd in each client API, and peers."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from payloads import (
    BACKEND_HEADERS,
    CLAUDE_CODE_HEADERS,
    CODEX_CLI_HEADERS,
    OPENAI_HEADERS,
    make_chat_request,
    make_login,
    make_messages_request,
    make_responses_request,
)
from processes import BenchError, choose_cpus, running

HERE = Path(__file__).parent
FLOOR = "floor"
APIS = ("messages", "chat", "responses")
START_S = 30.0


@dataclass(frozen=True)
class Target:
    """``pid`` None: nothing to read CPU and memory from."""

    name: str
    host: str
    port: int
    head: str
    body: str
    pid: int | None


@dataclass(frozen=True)
class Call:
    """A request of a client API."""

    path: str
    headers: Mapping[str, str]
    body: str


def make_calls() -> dict[str, Call]:
    """The same conversation in each API, as Claude Code, an OpenAI client and the Codex CLI send it."""
    messages = make_messages_request()
    return {
        "messages": Call("/v1/messages?beta=true", CLAUDE_CODE_HEADERS, json.dumps(messages)),
        "chat": Call("/v1/chat/completions", OPENAI_HEADERS, json.dumps(make_chat_request(messages))),
        "responses": Call("/v1/responses", CODEX_CLI_HEADERS, json.dumps(make_responses_request(messages))),
    }


class Setup:
    """The fake backend, and the targets in front of it; all of it ends with ``stack``."""

    def __init__(self, stack: ExitStack, upstream_port: int) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codexd-bench-")))
        self._server_cpu, upstream_cpu, self.load_cpu = choose_cpus()
        _, line = self._start("upstream", [str(HERE / "upstream.py"), str(upstream_port)], cpu=upstream_cpu)
        self._upstream_port = int(line)
        self._calls = make_calls()

    def make_targets(self, apis: Iterable[str], peers: Iterable[str]) -> list[Target]:
        past_codexd = Call("/backend-api/codex/responses", BACKEND_HEADERS, self._calls["responses"].body)
        direct = _make_target("direct", f"http://127.0.0.1:{self._upstream_port}", past_codexd, None)
        process, port = self._start(FLOOR, [str(HERE / "floor.py"), str(self._upstream_port)])
        floor = _make_target(FLOOR, f"http://127.0.0.1:{port}", past_codexd, process.pid)
        codexds = (self._start_codexd(api) for api in apis)
        return [direct, floor, *codexds, *(self._make_peer(peer) for peer in peers)]

    def set_script(self, deltas: int, per_s: float) -> None:
        """What every answer is from now on."""
        connection = http.client.HTTPConnection("127.0.0.1", self._upstream_port, timeout=10)
        connection.request("POST", "/script", json.dumps({"deltas": deltas, "per_s": per_s}))
        connection.getresponse().read()
        connection.close()

    def _start(
        self, name: str, arguments: list[str], *, cpu: int | None = None, environ: dict[str, str] | None = None
    ) -> tuple[subprocess.Popen[str], str]:
        cpu = self._server_cpu if cpu is None else cpu
        log = self._folder / f"{name}.log"
        return self._stack.enter_context(running(arguments, cpu=cpu, log=log, environ=environ))

    def _start_codexd(self, api: str) -> Target:
        """A daemon of its own for each API, so that none is blamed for the memory of another."""
        upstream = f"http://127.0.0.1:{self._upstream_port}"
        kept = {name: value for name, value in os.environ.items() if not re.match("(?i)codexd_|.*_proxy$", name)}
        environ = {
            **kept,
            "CODEXD_HOME": str(self._folder / api),
            "CODEXD_BACKEND_URL": f"{upstream}/backend-api",
            "CODEXD_AUTH_URL": upstream,
        }
        process, line = self._start(api, ["-m", "codexd", "--host", "127.0.0.1", "--port", "0"], environ=environ)
        login = self._folder / "auth.json"
        login.write_text(json.dumps(make_login()))
        command = [sys.executable, "-m", "codexctl", "--json", "accounts", "import", str(login)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=START_S, check=False)
        if done.returncode:
            raise BenchError(f"the account could not be imported: {done.stdout}{done.stderr}")
        return _make_target(f"codexd/{api}", line.rsplit(" ", 1)[1], self._calls[api], process.pid)

    def _make_peer(self, peer: str) -> Target:
        name, _, rest = peer.partition("=")
        url, _, pid = rest.partition("@")
        return _make_target(name, url, self._calls["messages"], int(pid) if pid else None)


def _make_target(name: str, url: str, call: Call, pid: int | None) -> Target:
    parts = urlsplit(url)
    head = "".join(f"{line}\r\n" for line in _list_head(parts.path.rstrip("/"), parts.netloc, call))
    return Target(name, parts.hostname or "", parts.port or 80, head, call.body, pid)


def _list_head(prefix: str, host: str, call: Call) -> Iterator[str]:
    yield f"POST {prefix}{call.path} HTTP/1.1"
    yield f"host: {host}"
    yield from (f"{name}: {value}" for name, value in call.headers.items())
