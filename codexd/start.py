"""Starts a daemon from parsed arguments, and turns its end into an exit status."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import trio

from codexd import __version__
from codexd.assembly import Launch, Ready, describe_faults, make_simulator
from codexd.daemon import serve
from codexd.descriptors import raise_limit
from codexd.errors import AddressUnavailable, AlreadyRunning, CodexdError, FileUnreadable, SettingInvalid
from codexd.files import explain
from codexd.memory import return_large_blocks
from codexd.output import Output, open_missing_descriptors
from codexd.paths import Places, find_places, find_running_folder, find_socket, read_running
from codexd.record.logs import LogRing, configure, make_missing_note
from codexd.service.handover import Predecessor
from codexd.service.line import Line
from codexd.service.listeners import adopt, pin_address
from codexd.service.manager import knows_main_process
from codexd.service.running import find_living, make_temporary_home, share_temporary_home
from codexd.settings.live import LiveSettings

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

OUTPUT_END_S = 2.0
"""How long the end waits for the last lines to be written."""

_stdout, _stderr = Output(1), Output(2)

_Error = TypeVar("_Error", bound=BaseException)


def start(options: argparse.Namespace) -> int:
    """Run the daemon until it ends; return the exit status."""
    open_missing_descriptors()
    if options.faults == "help":
        _print(describe_faults())
        _finish_output()
        return 0
    raise_limit()
    return_large_blocks()
    predecessor = Predecessor.find(os.environ, os.getpid())
    has_waiter = not knows_main_process(os.environ, os.getpid())
    line = Line(has_waiter=has_waiter) if predecessor is None else predecessor.line
    return line.end(_start(options, line, predecessor))


def _start(options: argparse.Namespace, line: Line, predecessor: Predecessor | None) -> int:
    with ExitStack() as stack:
        stack.callback(_finish_output)
        try:
            launch = _prepare(options, stack, line, predecessor)
        except (SettingInvalid, FileUnreadable, AddressUnavailable) as error:
            _say_error(str(error))
            return WRONG_USAGE
        except OSError as error:
            _say_error(explain(error))
            return FAILED
        return _run(launch)


def _prepare(options: argparse.Namespace, stack: ExitStack, line: Line, predecessor: Predecessor | None) -> Launch:
    """Raises SettingInvalid, FileUnreadable, AddressUnavailable, OSError."""
    if options.faults is not None and not options.simulate:
        raise SettingInvalid("--faults: only the simulated backend fails on purpose; add --simulate")
    temporary_home = _make_temporary_home(options, stack, predecessor)
    places = _find_places(options, temporary_home)
    live = _open_settings(options, places)
    settings = live.current
    _stderr.note = make_missing_note(options.log_format)
    logs = LogRing(settings.log.history, _stderr)
    configure(settings.log.level, options.log_format, logs, _stderr)
    adopted = adopt(os.environ) if predecessor is None else predecessor.adopt(settings.server)
    if adopted.origin.is_manager:
        pin_address(adopted, live)
    return Launch(
        live,
        places if adopted.control_path is None else places._replace(socket=adopted.control_path),
        logs,
        environ=os.environ,
        simulator=make_simulator(options.faults) if options.simulate else None,
        running_folder=_find_running_folder(),
        adopted=adopted,
        command=_find_command(),
        temporary_home=temporary_home,
        line=line,
        predecessor=predecessor,
    )


def _find_command() -> tuple[str, ...]:
    """What starts this program again, as it is installed by then."""
    program = Path(sys.argv[0])
    if program.suffix != ".py" and os.access(program, os.X_OK):
        return str(program.absolute()), *sys.argv[1:]
    return sys.executable, "-m", "codexd", *sys.argv[1:]


def _run(launch: Launch) -> int:
    status = 0
    try:
        trio.run(_serve, launch)
    except* AlreadyRunning as group:
        _say_error(f"{_leaves(group)[0]}{_name_rival(launch)}")
        status = FAILED
    except* CodexdError as group:
        for leaf in _leaves(group):
            _say_error(str(leaf))
        status = FAILED
    except* OSError as group:
        for failure in _leaves(group):
            _say_error(explain(failure))
        status = FAILED
    except* KeyboardInterrupt:
        status = INTERRUPTED
    return status


async def _serve(launch: Launch) -> None:
    async with trio.open_nursery() as nursery:
        ready: Ready = await nursery.start(serve, launch)
        # Everything that exists now lives as long as the daemon, so full garbage collections need not traverse it.
        # Done before any stream is open, because it blocks.
        gc.freeze()
        if launch.predecessor is None and not launch.adopted.origin.is_manager:
            _print(_greet(ready, launch.running_folder))


def _name_rival(launch: Launch) -> str:
    """The daemon that uses the same home or socket, as a sentence."""
    for daemon in find_living(launch.running_folder):
        if daemon.home == launch.places.state_dir or daemon.socket == launch.places.socket:
            return f" It is {daemon}."
    return ""


def _make_temporary_home(options: argparse.Namespace, stack: ExitStack, predecessor: Predecessor | None) -> Path | None:
    """The home of a simulated daemon that has no other, which the end of ``stack`` deletes."""
    if not options.simulate or options.home is not None:
        return None
    if predecessor is None or predecessor.temporary_home is None:
        return make_temporary_home(stack)
    share_temporary_home(predecessor.temporary_home, stack)
    return predecessor.temporary_home


def _find_places(options: argparse.Namespace, temporary_home: Path | None) -> Places:
    if options.home == "":
        raise SettingInvalid("--home: must not be empty")
    home = Path(options.home) if options.home is not None else temporary_home
    try:
        return find_places(os.environ, home)
    except RuntimeError:
        raise SettingInvalid("your home folder is unknown; set HOME, or choose a folder with --home") from None
    except FileNotFoundError:
        raise SettingInvalid("the current folder is gone; start codexd in another one") from None


def _find_running_folder() -> Path | None:
    try:
        return find_running_folder()
    except RuntimeError:  # the home folder is unknown, and --home names another
        return None


def _open_settings(options: argparse.Namespace, places: Places) -> LiveSettings:
    flags = {"server.host": options.host, "server.port": options.port, "log.level": options.log_level}
    return LiveSettings.open(places.settings, environ=os.environ, flags=flags)


def _greet(ready: Ready, running_folder: Path | None) -> str:
    """The address, and lines to copy into another terminal."""
    hello = '{"model": "claude-sonnet-5-5", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}'
    codexctl = _name_codexctl(ready, running_folder)
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


def _name_codexctl(ready: Ready, running_folder: Path | None) -> str:
    """The command for codexctl in the shell that started this daemon: it may not be on the PATH.

    It finds this daemon by its default socket, or if no other one runs.
    """
    beside = Path(sys.argv[0]).absolute().with_name("codexctl")
    found = shutil.which("codexctl")
    name = str(beside) if beside.exists() and found != str(beside) else "codexctl"
    socket = ready.places.socket
    noted = [daemon.socket for daemon in read_running(running_folder)] if running_folder is not None else []
    names_another = bool(os.environ.get("CODEXD_SOCKET") or os.environ.get("CODEXD_HOME"))
    is_found = _is_default(socket) or (noted == [socket] and not names_another)
    return name if is_found else f"{name} --socket {socket}"


def _is_default(socket: Path) -> bool:
    try:
        return find_socket(os.environ) == socket
    except RuntimeError:  # the home folder is unknown
        return False


def _leaves(group: BaseExceptionGroup[_Error]) -> list[_Error]:
    found: list[_Error] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _print(text: str) -> None:
    """Print for the person at the terminal. If nobody reads it, or it can't be printed, codexd runs all the same."""
    _stdout.write(f"{text}\n")


def _say_error(text: str) -> None:
    _stderr.write(f"codexd: {text}\n")


def _finish_output() -> None:
    """Let what was said last be written, unless nobody reads it."""
    deadline = time.monotonic() + OUTPUT_END_S
    for output in (_stdout, _stderr):
        output.drain(max(0.0, deadline - time.monotonic()))
