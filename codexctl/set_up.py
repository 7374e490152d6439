"""What the commands that set a client up have in common."""

from __future__ import annotations

from typing import Any

from codexctl.client import Lost
from codexctl.invocation import Invocation, Show
from codexctl.render.clients import Client
from codexctl.terminal import Spinner, say

PROOF_S = 90.0
"""Longer than the daemon waits for the answer to its request."""

FIRST_REQUEST = "the answer to a first request"


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
