"""Starts a daemon from parsed arguments, and turns its end into an exit status."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import trio

from codexd import __version__
from codexd.assembly import Launch, Ready, make_simulator
from codexd.daemon import serve
from codexd.errors import CodexdError, FileUnreadable, SettingInvalid
from codexd.paths import Places, find_places, find_socket
from codexd.record.logs import LogRing, configure
from codexd.settings.live import LiveSettings

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130


def start(options: argparse.Namespace) -> int:
    """Run the daemon until it ends; return the exit status."""
    with ExitStack() as stack:
        try:
            places = _find_places(options, stack)
            live = _open_settings(options, places)
        except (SettingInvalid, FileUnreadable) as error:
            _print_error(error)
            return WRONG_USAGE
        settings = live.current
        logs = LogRing(settings.log.history)
        configure(settings.log.level, options.log_format, logs)
        simulator = make_simulator() if options.simulate else None
        launch = Launch(live, places, logs, environ=os.environ, simulator=simulator)
        status = 0
        try:
            trio.run(_run, launch)
        except* CodexdError as group:
            for leaf in _leaves(group):
                _print_error(leaf)
            status = FAILED
        except* KeyboardInterrupt:
            status = INTERRUPTED
    return status


async def _run(launch: Launch) -> None:
    async with trio.open_nursery() as nursery:
        ready: Ready = await nursery.start(serve, launch)
        # Everything that exists now lives as long as the daemon, so full garbage collections need not traverse it.
        # Done before any stream is open, because it blocks.
        gc.freeze()
        print(_greet(ready), flush=True)  # noqa: T201 - for the person at the terminal


def _find_places(options: argparse.Namespace, stack: ExitStack) -> Places:
    home = Path(options.home) if options.home is not None else None
    if options.simulate and home is None:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codexd-")))
    return find_places(os.environ, home)


def _open_settings(options: argparse.Namespace, places: Places) -> LiveSettings:
    flags = {"server.host": options.host, "server.port": options.port, "log.level": options.log_level}
    return LiveSettings.open(places.settings, environ=os.environ, flags=flags)


def _greet(ready: Ready) -> str:
    """The address, and lines to copy into another terminal."""
    hello = '{"model": "claude-sonnet-5-5", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}'
    codexctl = _name_codexctl(ready)
    note = " (simulated backend: no model answers and no ChatGPT account is used)" if ready.simulated else ""
    lines = [
        f"codexd {__version__} listens on {ready.address}{note}",
        "Next, run one of these in another terminal:",
        f"  curl {ready.address}/v1/messages -d '{hello}'",
        f"  ANTHROPIC_BASE_URL={ready.address} ANTHROPIC_AUTH_TOKEN=local claude",
        f"  {codexctl} logs -f",
    ]
    if not ready.has_accounts:
        lines.insert(2, f"  {codexctl} accounts add       # once: sign in with ChatGPT")
    return "\n".join(lines)


def _name_codexctl(ready: Ready) -> str:
    """The command for codexctl in the shell that started this daemon: it may not be on the PATH."""
    beside = Path(sys.argv[0]).absolute().with_name("codexctl")
    found = shutil.which("codexctl")
    name = str(beside) if beside.exists() and found != str(beside) else "codexctl"
    return name if find_socket(os.environ) == ready.places.socket else f"{name} --socket {ready.places.socket}"


def _leaves(group: BaseExceptionGroup[CodexdError]) -> list[CodexdError]:
    found: list[CodexdError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _print_error(error: CodexdError) -> None:
    print(f"codexd: {error}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
