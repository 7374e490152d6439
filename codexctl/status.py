"""``codexctl status``."""

from __future__ import annotations

from codexctl.invocation import Command, Invocation
from codexctl.render import base as render


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.status"), render.status)


STATUS_COMMANDS = (Command(("status",), "Show what the daemon is doing", "codexctl status", _status),)
