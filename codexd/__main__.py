"""argv and environment to settings, and then the daemon until it ends. Exit status: 0, 1 failed, 2 wrong usage."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from codexd import __version__
from codexd.daemon import serve
from codexd.errors import CodexdError, FileUnreadable, SettingInvalid
from codexd.launch import Launch, Ready
from codexd.paths import Places, find_places, find_socket
from codexd.record.logs import LogRing, configure
from codexd.settings.live import LiveSettings
from codexd.settings.schema import SCHEMA
from codexd.simulator.app import Simulator
from codexd.simulator.options import Options

USAGE = 2

EXAMPLES = """
examples:
  codexd --simulate            try everything without a ChatGPT account
  codexd                       serve the account that `codexctl accounts add` signed in
  ANTHROPIC_BASE_URL=http://127.0.0.1:8081 ANTHROPIC_AUTH_TOKEN=local claude
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    options = _parser().parse_args(argv)
    with ExitStack() as stack:
        try:
            places = _find_places(options, stack)
            live = _open_settings(options, places)
        except (SettingInvalid, FileUnreadable) as error:
            _complain(error)
            return USAGE
        settings = live.current
        logs = LogRing(settings.log.history)
        configure(settings.log.level, options.log_format, logs)
        simulator = Simulator(options=Options(kept_requests=20)) if options.simulate else None
        launch = Launch(live, places, logs, environ=os.environ, simulator=simulator)
        try:
            trio.run(_run, launch)
        except* CodexdError as group:
            for leaf in _leaves(group):
                _complain(leaf)
            return_status = 1
        except* KeyboardInterrupt:
            return_status = 130
        else:
            return_status = 0
    return return_status


async def _run(launch: Launch) -> None:
    async with trio.open_nursery() as nursery:
        ready: Ready = await nursery.start(serve, launch)
        # All that is here now stays: each full collection would walk it again, and no stream moves meanwhile.
        gc.freeze()
        print(_greet(ready), flush=True)  # noqa: T201 - what to type next is for the person at the terminal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codexd",
        description="Lets Claude Code and OpenAI clients work on the Codex models of your own ChatGPT plan.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"codexd {__version__}")
    parser.add_argument("--host", help="address to listen on (server.host; default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (server.port; default 8081)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep settings, accounts and socket below DIR")
    parser.add_argument("--log-level", choices=SCHEMA["log.level"].choices, help="least level logged (log.level)")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="of the log on stderr")
    parser.add_argument(
        "--simulate",
        action="store_true",
        help="a built-in simulated backend and account, in a temporary home unless --home is given",
    )
    return parser


def _find_places(options: argparse.Namespace, stack: ExitStack) -> Places:
    home = options.home
    if options.simulate and home is None:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codexd-")))
    return find_places(os.environ, home)


def _open_settings(options: argparse.Namespace, places: Places) -> LiveSettings:
    flags = {"server.host": options.host, "server.port": options.port, "log.level": options.log_level}
    return LiveSettings.open(places.settings, environ=os.environ, flags=flags)


def _greet(ready: Ready) -> str:
    """What a newcomer sees: the address, and lines to copy into another terminal."""
    hello = '{"model": "claude-sonnet-5-5", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}'
    codexctl = _name_codexctl(ready)
    what = " (simulated backend: no model answers, no ChatGPT account is used)" if ready.simulated else ""
    lines = [
        f"codexd {__version__} listens on {ready.address}{what}",
        "Type next, in another terminal:",
        f"  curl {ready.address}/v1/messages -d '{hello}'",
        f"  ANTHROPIC_BASE_URL={ready.address} ANTHROPIC_AUTH_TOKEN=local claude",
        f"  {codexctl} logs -f",
    ]
    if not ready.simulated:
        lines.insert(2, f"  {codexctl} accounts add       # once: sign in with ChatGPT")
    return "\n".join(lines)


def _name_codexctl(ready: Ready) -> str:
    """How to call codexctl from a shell like the one that started us: it may not be on the PATH."""
    beside = Path(sys.argv[0]).absolute().with_name("codexctl")
    found = shutil.which("codexctl")
    name = str(beside) if beside.exists() and found != str(beside) else "codexctl"
    return name if find_socket(os.environ) == ready.places.socket else f"{name} --socket {ready.places.socket}"


def _leaves(group: BaseExceptionGroup[CodexdError]) -> list[CodexdError]:
    found: list[CodexdError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _complain(error: CodexdError) -> None:
    print(f"codexd: {error}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet


if __name__ == "__main__":
    sys.exit(main())
