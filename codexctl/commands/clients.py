"""The commands that set up a client and restore it: ``codexctl claude`` and ``codexctl codex``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codexctl.client import ConnectionLost
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Render, Stop, Values, argument
from codexctl.render.clients import CLAUDE_CODE, CODEX_CLI, Client
from codexctl.terminal import Spinner, confirm, has_input_terminal, say

PROOF_TIMEOUT_S = 90.0
"""Longer than the daemon waits for the answer to its request."""

AUTO_MODE = (
    "By default, Claude Code works in auto mode: a model, here one of codexd's, decides whether an action is safe, and "
    "then the action runs without asking you."
)

CLAUDE_PROGRAM = "claude"
RUN = ("claude", "run")
"""Everything after these words is for Claude Code, options included."""

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
LOOPBACK = "127.0.0.1,localhost,::1"

SHELL_VARIABLES = ("CLAUDE_CODE_USE_", "ANTHROPIC_BASE_URL")
"""Beginnings of the variables that may lead Claude Code elsewhere, whatever its settings file says."""


def _folder(invocation: Invocation, named: str | None, below_home: str) -> dict[str, Any]:
    """The client's folder in this user's environment, from which the daemon's may differ, and what may override it."""
    folder = Path(named) if named else _find_home(invocation.environ) / below_home
    place: dict[str, Any] = {"config_dir": str(folder.expanduser().absolute())}
    shell = {name: value for name, value in invocation.environ.items() if name.startswith(SHELL_VARIABLES)}
    place |= {"environment": shell} if shell else {}
    try:
        return place | {"working_dir": str(Path.cwd())}
    except FileNotFoundError:  # the folder was deleted
        return place


def _find_home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise Stop(EXIT_USAGE, "your home folder is unknown; set HOME.") from None


def _warn_of_proxy(environ: Mapping[str, str]) -> None:
    """Claude Code and the Codex CLI send requests to loopback, too, through a proxy."""
    if variables := _bypass_proxy(environ):
        name, value = next(iter(variables.items()))
        say(f"your shell names a proxy, which can't reach codexd. Set {name}={value} there, too.")


def _prove(invocation: Invocation, method: str, params: dict[str, Any], client: Client) -> None:
    """Set the client up to use codexd, with a request that proves that it works."""
    result = _change(invocation, method, params, client.proxied, client, wait="the answer to a test request")
    _warn_of_proxy(invocation.environ)
    if result["proof"] and not (result["proof"]["ok"] and result["takes_effect"]):
        raise Stop(EXIT_REFUSED)


def _change(
    invocation: Invocation, method: str, params: dict[str, Any], render: Render, client: Client, *, wait: str = ""
) -> Any:
    """Make the change and show it. ``wait`` names what the user waits for, if that takes a while."""
    dry_run = invocation.arguments.dry_run
    params = params | ({"dry_run": True} if dry_run else {})
    progress = Spinner(invocation.environ)
    if wait:
        progress.turn(f"waiting for {wait}, Ctrl-C cancels")
    try:
        result = invocation.call(method, params, reply_timeout_s=PROOF_TIMEOUT_S)
    except (ConnectionLost, KeyboardInterrupt):
        progress.clear()
        if not dry_run:
            say(f"the settings of {client.name_inside} may already be changed. `codexctl {client.command}` shows them.")
        raise
    progress.clear()
    invocation.show(result, render)
    return result


# -- Claude Code


def _claude_status(invocation: Invocation) -> None:
    invocation.show(invocation.call("claude.status", _claude_folder(invocation)), CLAUDE_CODE.status)


def _claude_proxy(invocation: Invocation) -> None:
    place = _claude_folder(invocation)
    asks = invocation.arguments.ask or _wants_to_be_asked(invocation, place)
    _prove(invocation, "claude.proxy", place | ({"ask": True} if asks else {}), CLAUDE_CODE)


def _wants_to_be_asked(invocation: Invocation, place: dict[str, Any]) -> bool:
    """Ask the user on a terminal, unless they have set a permission mode."""
    if invocation.as_json or invocation.arguments.dry_run or not (has_input_terminal() and sys.stdout.isatty()):
        return False
    if invocation.call("claude.status", place)["permission_mode"] not in (None, "auto"):
        return False
    return confirm(f"{AUTO_MODE} Shall Claude Code ask you instead?")


def _claude_direct(invocation: Invocation) -> None:
    _change_claude(invocation, "claude.direct", _read_key(invocation), CLAUDE_CODE.set_up)


def _claude_set(invocation: Invocation) -> None:
    params = {"api_url": invocation.arguments.url} | _read_key(invocation)
    _change_claude(invocation, "claude.set", params, CLAUDE_CODE.set_up)


def _claude_reset(invocation: Invocation) -> None:
    _change_claude(invocation, "claude.reset", {}, CLAUDE_CODE.was_reset)


def _change_claude(invocation: Invocation, method: str, params: dict[str, Any], render: Render) -> None:
    _change(invocation, method, params | _claude_folder(invocation), render, CLAUDE_CODE)


def _claude_folder(invocation: Invocation) -> dict[str, Any]:
    return _folder(invocation, invocation.environ.get("CLAUDE_CONFIG_DIR"), ".claude")


def _read_key(invocation: Invocation) -> dict[str, Any]:
    """The key, but not from the command line, where every user of the machine could read it."""
    if not invocation.arguments.key:
        return {}
    import getpass  # noqa: PLC0415 - the other commands start faster without

    key = getpass.getpass("Key: ") if has_input_terminal() else sys.stdin.readline()
    if not key.strip():
        raise Stop(EXIT_REFUSED, "no key was given. Nothing was changed.")
    return {"api_key": key.strip()}


def _claude_run(invocation: Invocation) -> None:
    """Replace this process with Claude Code."""
    command, environ = _make_command(invocation)
    sys.stdout.flush()
    try:
        os.execve(command[0], command, environ)  # noqa: S606 - the user's own program, found in their PATH
    except OSError as error:
        raise Stop(EXIT_REFUSED, f"can't start {command[0]}: {error.strerror or error}.") from None


def _make_command(invocation: Invocation) -> tuple[list[str], dict[str, str]]:
    """The command line that starts Claude Code on codexd, and its environment.

    The environment is not enough: the user's own settings file overrides it, but not ``--settings``.
    """
    program = _find_program(invocation.environ)
    wanted = invocation.call("claude.environment")
    for reason in wanted["overridden_by"]:
        say(f"Claude Code won't work through codexd: {reason}")
    kept = {name: value for name, value in invocation.environ.items() if name not in wanted["remove"]}
    given = list(invocation.arguments.arguments)
    given = given[1:] if given[:1] == ["--"] else given
    return [program, "--settings", wanted["settings_path"], *given], kept | _bypass_proxy(kept) | wanted["variables"]


def _bypass_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Claude Code sends requests to loopback, too, through the proxy that ``environ`` names."""
    if not any(environ.get(each) for name in PROXY_VARIABLES for each in (name, name.lower())):
        return {}
    names = [name for name in ("no_proxy", "NO_PROXY") if environ.get(name)] or ["NO_PROXY"]
    excepted = {name: environ.get(name, "") for name in names}
    return {name: f"{value},{LOOPBACK}".lstrip(",") for name, value in excepted.items() if "127.0.0.1" not in value}


def _find_program(environ: Mapping[str, str]) -> str:
    """Claude Code in the PATH, or where its own installers put it."""
    import shutil  # noqa: PLC0415 - as above

    home = _find_home(environ)
    places = (home / ".local" / "bin", home / ".claude" / "local")
    path = os.pathsep.join([environ.get("PATH", os.defpath), *map(str, places)])
    found = shutil.which(CLAUDE_PROGRAM, path=path)
    if found is None:
        raise Stop(EXIT_REFUSED, "Claude Code (the program `claude`) was not found. Install it, or add it to the PATH.")
    return found


def mark_passed_on(arguments: list[str]) -> list[str]:
    """``arguments`` with a ``--`` before Claude Code's own, whose options would otherwise be read as codexctl's."""
    place = 0
    while place < len(arguments) and arguments[place].startswith("-"):
        place += 2 if arguments[place] == "--socket" else 1
    end = place + len(RUN)
    theirs = arguments[end:]
    if tuple(arguments[place:end]) != RUN or theirs[:1] in ([], ["--"], ["-h"], ["--help"]):
        return arguments
    return [*arguments[:end], "--", *theirs]


# -- the Codex CLI


def _codex_status(invocation: Invocation) -> None:
    invocation.show(invocation.call("codex.status", _codex_folder(invocation)), CODEX_CLI.status)


def _codex_proxy(invocation: Invocation) -> None:
    _prove(invocation, "codex.proxy", _codex_folder(invocation), CODEX_CLI)


def _codex_reset(invocation: Invocation) -> None:
    _change(invocation, "codex.reset", _codex_folder(invocation), CODEX_CLI.was_reset, CODEX_CLI)


def _codex_folder(invocation: Invocation) -> dict[str, Any]:
    named = invocation.arguments.config_dir or invocation.environ.get("CODEX_HOME")
    return _folder(invocation, named, ".codex")


_DRY_RUN = argument("--dry-run", action="store_true", help="only show what would change")
_ASK = argument("--ask", action="store_true", help="have Claude Code ask you before each action, not a model")
_KEY = argument("--key", action="store_true", help="ask for an API key, or read it from standard input in a pipe")
_CONFIG_DIR = argument(
    "--config-dir",
    metavar="DIR",
    help="folder of the Codex CLI's config.toml (default: $CODEX_HOME or ~/.codex)",
    values=Values.FILES,
)

COMMANDS = (
    Command(
        ("claude",),
        "Show how Claude Code is set up, or change it",
        "codexctl claude\ncodexctl claude --json",
        _claude_status,
    ),
    Command(
        ("claude", "status"),
        "Show how Claude Code is set up",
        "codexctl claude status\ncodexctl claude status --json",
        _claude_status,
    ),
    Command(
        ("claude", "proxy"),
        "Set up Claude Code to use codexd, and test it with a request",
        "codexctl claude proxy\ncodexctl claude proxy --ask\ncodexctl claude proxy --dry-run",
        _claude_proxy,
        (_DRY_RUN, _ASK),
        details="Changes only the keys it needs in Claude Code's settings.json, and keeps a backup. The exit status is "
        "1 if the request fails, or if something else, such as a project's settings, wins over them. "
        "`codexctl claude reset` undoes everything.",
    ),
    Command(
        ("claude", "direct"),
        "Set up Claude Code to use Anthropic's servers",
        "codexctl claude direct\ncodexctl claude direct --dry-run\ncodexctl claude direct --key",
        _claude_direct,
        (_KEY, _DRY_RUN),
        details="Uses Claude Code's own login, unless you give a key.",
    ),
    Command(
        ("claude", "set"),
        "Set up Claude Code to use another server with Anthropic's API",
        "codexctl claude set https://gateway.example.com\ncodexctl claude set https://gateway.example.com --key",
        _claude_set,
        (argument("url", metavar="URL", help="base URL of the server, without /v1"), _KEY, _DRY_RUN),
    ),
    Command(
        ("claude", "reset"),
        "Restore the settings that Claude Code had before codexd",
        "codexctl claude reset\ncodexctl claude reset --dry-run",
        _claude_reset,
        (_DRY_RUN,),
        details="Changes that you have made since then stay.",
    ),
    Command(
        RUN,
        "Start Claude Code on codexd without editing a file",
        "codexctl claude run\ncodexctl claude run --model sonnet\ncodexctl claude run -p hello",
        _claude_run,
        (argument("arguments", nargs="...", metavar="ARGS", help="arguments for Claude Code, including options"),),
        details="Put codexctl's own options before `claude`.",
    ),
    Command(
        ("codex",),
        "Show how the Codex CLI is set up, or change it",
        "codexctl codex\ncodexctl codex --json",
        _codex_status,
        (_CONFIG_DIR,),
    ),
    Command(
        ("codex", "status"),
        "Show how the Codex CLI is set up",
        "codexctl codex status\ncodexctl codex status --config-dir ~/.codex-work",
        _codex_status,
        (_CONFIG_DIR,),
    ),
    Command(
        ("codex", "proxy"),
        "Set up the Codex CLI to use codexd, and test it with a request",
        "codexctl codex proxy\ncodexctl codex proxy --dry-run",
        _codex_proxy,
        (_DRY_RUN, _CONFIG_DIR),
        details="Adds a model provider to the Codex CLI's config.toml, selects it, and keeps a backup. The Codex CLI "
        "then needs no login of its own, and `codexctl accounts switch` changes the account even of a running session. "
        "The exit status is 1 if the request fails or something else wins over the file. `codexctl codex reset` undoes "
        "everything.",
    ),
    Command(
        ("codex", "reset"),
        "Restore the settings that the Codex CLI had before codexd",
        "codexctl codex reset\ncodexctl codex reset --dry-run",
        _codex_reset,
        (_DRY_RUN, _CONFIG_DIR),
        details="Changes that you or the Codex CLI have made since then stay.",
    ),
)
