"""The commands that set Claude Code up, put it back, and start it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codexctl.invocation import EXIT_REFUSED, Command, Invocation, Show, Stop, argument
from codexctl.render.clients import CLAUDE_CODE
from codexctl.set_up import place, prove, set_up
from codexctl.terminal import has_input_terminal

PROGRAM = "claude"

RUN = ("claude", "run")
"""What follows these words is Claude Code's, options too."""


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("claude.status", _place(invocation)), CLAUDE_CODE.status)


def _proxy(invocation: Invocation) -> None:
    prove(invocation, "claude.proxy", _place(invocation), CLAUDE_CODE)


def _direct(invocation: Invocation) -> None:
    _set_up(invocation, "claude.direct", _read_key(invocation), CLAUDE_CODE.set_up)


def _set(invocation: Invocation) -> None:
    params = {"api_url": invocation.arguments.url} | _read_key(invocation)
    _set_up(invocation, "claude.set", params, CLAUDE_CODE.set_up)


def _reset(invocation: Invocation) -> None:
    _set_up(invocation, "claude.reset", {}, CLAUDE_CODE.was_reset)


def _set_up(invocation: Invocation, method: str, params: dict[str, Any], show: Show) -> None:
    set_up(invocation, method, params | _place(invocation), show, CLAUDE_CODE)


def _place(invocation: Invocation) -> dict[str, Any]:
    return place(invocation, invocation.environ.get("CLAUDE_CONFIG_DIR"), ".claude")


def _read_key(invocation: Invocation) -> dict[str, Any]:
    """Never from the command line, where every user of the machine could read it."""
    if not invocation.arguments.key:
        return {}
    import getpass  # noqa: PLC0415 - the other commands start faster without

    key = getpass.getpass("Key: ") if has_input_terminal() else sys.stdin.readline()
    if not key.strip():
        raise Stop(EXIT_REFUSED, "no key was given, so nothing was changed.")
    return {"api_key": key.strip()}


def _run(invocation: Invocation) -> None:
    """Become Claude Code."""
    command, environ = make_command(invocation)
    sys.stdout.flush()
    try:
        os.execve(command[0], command, environ)  # noqa: S606 - the user's own program, found in their PATH
    except OSError as error:
        raise Stop(EXIT_REFUSED, f"{command[0]} can't be started: {error.strerror or error}.") from None


def make_command(invocation: Invocation) -> tuple[list[str], dict[str, str]]:
    """The command line that starts Claude Code on codexd, and its environment.

    The settings file is named besides the environment, for the user's own settings file wins over the latter.
    """
    program = _find_program(invocation.environ)
    wanted = invocation.call("claude.environment")
    kept = {name: value for name, value in invocation.environ.items() if name not in wanted["remove"]}
    given = list(invocation.arguments.arguments)
    given = given[1:] if given[:1] == ["--"] else given
    return [program, "--settings", wanted["settings_path"], *given], kept | wanted["variables"]


def _find_program(environ: Mapping[str, str]) -> str:
    """In the PATH, or where Claude Code's own installers put it."""
    import shutil  # noqa: PLC0415 - as above

    home = Path(environ.get("HOME") or Path.home())
    places = (home / ".local" / "bin", home / ".claude" / "local")
    path = os.pathsep.join([environ.get("PATH", os.defpath), *map(str, places)])
    found = shutil.which(PROGRAM, path=path)
    if found is None:
        raise Stop(
            EXIT_REFUSED, "Claude Code's program `claude` is not in the PATH. Install it, or add it to the PATH."
        )
    return found


def pass_on(arguments: list[str]) -> list[str]:
    """``arguments`` with what is Claude Code's marked, so that no option of it is read as one of codexctl."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] == "--socket" else 1
    end = place + len(RUN)
    theirs = arguments[end:]
    if tuple(arguments[place:end]) != RUN or theirs[:1] in ([], ["--"], ["-h"], ["--help"]):
        return arguments
    return [*arguments[:end], "--", *theirs]


_DRY_RUN = argument("--dry-run", action="store_true", help="only show what would change")
_KEY = argument("--key", action="store_true", help="ask for a key (without a terminal: the first line of the input)")

CLAUDE_COMMANDS = (
    Command(("claude",), "Show how Claude Code is set up, or change it", "codexctl claude", _status),
    Command(("claude", "status"), "Show how Claude Code is set up", "codexctl claude status", _status),
    Command(
        ("claude", "proxy"),
        "Set Claude Code up to work through codexd, and prove it with a request",
        "codexctl claude proxy --dry-run",
        _proxy,
        (_DRY_RUN,),
        details="Changes its own keys of Claude Code's settings.json only, and keeps a copy. Exit status 1 when the "
        "request fails; `codexctl claude reset` undoes it all.",
    ),
    Command(
        ("claude", "direct"),
        "Set Claude Code up to use Anthropic's servers",
        "codexctl claude direct",
        _direct,
        (_KEY, _DRY_RUN),
        details="By default with the login that Claude Code has.",
    ),
    Command(
        ("claude", "set"),
        "Set Claude Code up to use another server with Anthropic's API",
        "codexctl claude set https://gateway.example.com --key",
        _set,
        (argument("url", metavar="URL", help="base URL of the server, without /v1"), _KEY, _DRY_RUN),
    ),
    Command(
        ("claude", "reset"),
        "Put back what was in Claude Code's settings before codexd",
        "codexctl claude reset",
        _reset,
        (_DRY_RUN,),
        details="What you changed yourself since then stays.",
    ),
    Command(
        RUN,
        "Start Claude Code on codexd, with no file edited",
        "codexctl claude run --model sonnet",
        _run,
        (argument("arguments", nargs="...", metavar="ARGS", help="for Claude Code, options too"),),
        details="Options of codexctl itself stand before `claude`.",
    ),
)
