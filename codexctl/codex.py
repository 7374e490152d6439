"""The commands that set the Codex CLI up, and put it back."""

from __future__ import annotations

from typing import Any

from codexctl.invocation import Command, Invocation, Values, argument
from codexctl.render.clients import CODEX_CLI
from codexctl.set_up import place, prove, set_up


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("codex.status", _place(invocation)), CODEX_CLI.status)


def _proxy(invocation: Invocation) -> None:
    prove(invocation, "codex.proxy", _place(invocation), CODEX_CLI)


def _reset(invocation: Invocation) -> None:
    set_up(invocation, "codex.reset", _place(invocation), CODEX_CLI.was_reset, CODEX_CLI)


def _place(invocation: Invocation) -> dict[str, Any]:
    named = invocation.arguments.config_dir or invocation.environ.get("CODEX_HOME")
    return place(invocation, named, ".codex")


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
