"""The commands that set the Codex CLI up, and put it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codexctl.invocation import EXIT_REFUSED, Command, Invocation, Stop, Values, argument
from codexctl.render.clients import CODEX_CLI
from codexctl.set_up import FIRST_REQUEST, set_up


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("codex.status", _place(invocation)), CODEX_CLI.status)


def _proxy(invocation: Invocation) -> None:
    params = _place(invocation)
    result = set_up(invocation, "codex.proxy", params, CODEX_CLI.proxied, CODEX_CLI, wait=FIRST_REQUEST)
    if result["proof"] and not result["proof"]["ok"]:
        raise Stop(EXIT_REFUSED)


def _reset(invocation: Invocation) -> None:
    set_up(invocation, "codex.reset", _place(invocation), CODEX_CLI.was_reset, CODEX_CLI)


def _place(invocation: Invocation) -> dict[str, Any]:
    """The caller's settings, not those of the daemon's user: ``CODEX_HOME`` may differ by shell."""
    named = invocation.arguments.config_dir or invocation.environ.get("CODEX_HOME")
    folder = Path(named) if named else Path(invocation.environ.get("HOME") or Path.home()) / ".codex"
    return {"config_dir": str(folder.expanduser().absolute())}


_DRY_RUN = argument("--dry-run", action="store_true", help="only show what would change")
_CONFIG_DIR = argument(
    "--config-dir",
    metavar="DIR",
    help="folder of the Codex CLI's config.toml (default: CODEX_HOME, or ~/.codex)",
    values=Values.FILES,
)

CODEX_COMMANDS = (
    Command(("codex",), "Show how the Codex CLI is set up, or change it", "codexctl codex", _status, (_CONFIG_DIR,)),
    Command(("codex", "status"), "Show how the Codex CLI is set up", "codexctl codex status", _status, (_CONFIG_DIR,)),
    Command(
        ("codex", "proxy"),
        "Set the Codex CLI up to work through codexd, and prove it with a request",
        "codexctl codex proxy --dry-run",
        _proxy,
        (_DRY_RUN, _CONFIG_DIR),
        details="Adds a model provider to the Codex CLI's config.toml and chooses it, and keeps a copy; its login is "
        "not needed. Then `codexctl accounts switch` changes the account of a session that runs. Exit status 1 when "
        "the request fails; `codexctl codex reset` undoes it all.",
    ),
    Command(
        ("codex", "reset"),
        "Put back what was in the Codex CLI's settings before codexd",
        "codexctl codex reset",
        _reset,
        (_DRY_RUN, _CONFIG_DIR),
        details="What you or the Codex CLI changed since then stays.",
    ),
)
