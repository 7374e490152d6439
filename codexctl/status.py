"""``codexctl status``."""

from __future__ import annotations

from codexctl import render
from codexctl.invocation import Command, Invocation


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.status"), render.status)


STATUS_COMMANDS = (Command(("status",), "Show what the daemon is doing", "codexctl status", _status),)
