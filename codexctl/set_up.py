"""What the commands that set a client up have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codexctl.client import Lost
from codexctl.invocation import EXIT_REFUSED, Invocation, Show, Stop
from codexctl.render.clients import Client
from codexctl.terminal import Spinner, say

PROOF_S = 90.0
"""Longer than the daemon waits for the answer to its request."""


def place(invocation: Invocation, named: str | None, below_home: str) -> dict[str, Any]:
    """A client's folder: the caller's, not that of the daemon's user, whose environment may be another."""
    folder = Path(named) if named else Path(invocation.environ.get("HOME") or Path.home()) / below_home
    return {"config_dir": str(folder.expanduser().absolute())}


def prove(invocation: Invocation, method: str, params: dict[str, Any], client: Client) -> None:
    """Ask for the set-up that leads to codexd, and for the request that proves it."""
    result = set_up(invocation, method, params, client.proxied, client, wait="the answer to a first request")
    if result["proof"] and not result["proof"]["ok"]:
        raise Stop(EXIT_REFUSED)


def set_up(
    invocation: Invocation, method: str, params: dict[str, Any], show: Show, client: Client, *, wait: str = ""
) -> Any:
    """Ask for the change and show it. ``wait``: what is waited for, where that takes long enough to be said."""
    dry_run = invocation.arguments.dry_run
    params = params | ({"dry_run": True} if dry_run else {})
    progress = Spinner(invocation.environ)
    if wait:
        progress.turn(f"waiting for {wait}; Ctrl-C gives up")
    try:
        result = invocation.call(method, params, reply_timeout_s=PROOF_S)
    except (Lost, KeyboardInterrupt):
        progress.clear()
        if not dry_run:
            name = client.name.replace("The ", "the ")
            say(f"the settings of {name} may be changed already: `codexctl {client.command}` shows them.")
        raise
    progress.clear()
    invocation.show(result, show)
    return result
