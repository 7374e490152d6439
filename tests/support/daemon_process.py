"""A codexd in a process of its own, on a simulated backend in the test's process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from attrs import define, field

from codexd.simulator.app import Simulator, serve_simulator
from codexd.simulator.options import Options

TURNS: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "/v1/chat/completions": {"model": "gpt-5.5", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"model": "gpt-5.5", "stream": True, "input": "hi"},
}
"""A streamed turn of each API."""

LAST_EVENTS = {
    "/v1/messages": 'data: {"type":"message_stop"}',
    "/v1/chat/completions": "data: [DONE]",
    "/v1/responses": 'data: {"type":"response.completed"',
}
"""How a whole answer ends."""

SHORT_DRAIN = """\
import functools, sys, codexd.start
codexd.start.Launch = functools.partial(codexd.start.Launch, drain_s={drain_s})
from codexd.__main__ import main
sys.exit(main())
"""


@define(eq=False)
class DaemonProcess:
    """``process`` is the one that was started; others may have taken over from it."""

    process: trio.Process
    simulator: Simulator
    home: Path
    address: str = ""
    environ: dict[str, str] = field(factory=dict)
    stderr: Path = Path(os.devnull)

    @property
    def socket(self) -> Path:
        return self.home / "control.sock"

    @property
    def log(self) -> str:
        return self.stderr.read_text()

    async def call(self, method: str, /, **params: Any) -> Any:
        """The reply of a control method: ``result`` or ``error``."""
        async with await trio.open_unix_socket(str(self.socket)) as stream:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            await stream.send_all(json.dumps(request).encode() + b"\n")
            line = b""
            while not line.endswith(b"\n"):
                data = await stream.receive_some()
                assert data, f"{method}: the connection was closed"
                line += data
        return json.loads(line)

    async def read_pid(self) -> int:
        """The process that serves."""
        return (await self.call("daemon.status"))["result"]["pid"]

    async def sign_in(self, email: str = "ann@example.com", **options: Any) -> None:
        file = self.home.parent / "login.json"
        file.write_text(json.dumps(self.simulator.sign_in(email, **options)))
        assert "result" in await self.call("accounts.import", source=str(file))
        file.unlink()

    async def codexctl(self, *arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "codexctl", "--socket", str(self.socket), *arguments]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=self.environ)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    async def turn(self, path: str, client: httpx.AsyncClient | None = None) -> str:
        """The text of a streamed answer, on a connection of its own unless ``client`` is given."""
        if client is None:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as own:
                return await self.turn(path, own)
        answer = await client.post(f"{self.address}{path}", json=TURNS[path])
        assert answer.status_code == 200, answer.text
        return answer.text

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process that was started; return how it ends."""
        self.process.send_signal(number)
        with trio.fail_after(20):
            return await self.process.wait()


@asynccontextmanager
async def open_daemon(
    folder: Path,
    *,
    drain_s: float | None = None,
    port: int | None = None,
    options: Options | None = None,
    **environ: str,
) -> AsyncIterator[DaemonProcess]:
    """A daemon with one signed-in account. At the end all of its processes are killed.

    ``port`` is a setting that it reads; by default it takes any port.
    """
    home, simulator = folder / "home", Simulator(options=options or Options())
    home.mkdir(parents=True)
    program = ["-m", "codexd"] if drain_s is None else ["-c", SHORT_DRAIN.format(drain_s=drain_s)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEXD_")}
    async with trio.open_nursery() as nursery:
        base = await nursery.start(serve_simulator, simulator)
        (home / "settings.toml").write_text(
            f'[upstream]\nbackend_url = "{base}/backend-api"\nauth_url = "{base}"\n[log]\nlevel = "debug"\n'
            f"[server]\nport = {port or 0}\n"
        )
        with (folder / "stderr").open("w") as stderr:
            start = partial(
                trio.run_process,
                [sys.executable, *program, "--home", str(home), *(["--port", "0"] if port is None else [])],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=kept | environ,
                check=False,
            )
            process = await nursery.start(start)
        daemon = DaemonProcess(process, simulator, home, environ=kept | environ, stderr=folder / "stderr")
        try:
            with trio.fail_after(30):
                said = await process.stdout.receive_some()
                daemon.address = said.decode().split("listens on ")[1].split()[0]
            await daemon.sign_in()
            yield daemon
        finally:
            await _kill_all(daemon)
            nursery.cancel_scope.cancel()


async def _kill_all(daemon: DaemonProcess) -> None:
    with trio.CancelScope(shield=True), suppress(OSError, AssertionError, trio.BrokenResourceError, LookupError):
        daemon.process.kill()
        with trio.fail_after(5):
            while True:  # the one that serves, until none does
                os.kill(await daemon.read_pid(), signal.SIGKILL)
                await trio.sleep(0.01)
