"""The commands on the daemon as a whole: ``codexctl status``, ``reload`` and ``stop``."""

from __future__ import annotations

from contextlib import suppress

from codexctl.client import ControlClient, NoDaemon
from codexctl.invocation import Command, Invocation
from codexctl.render import daemon as render_daemon
from codexctl.render import settings as render_settings


def _status(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.status"), render_daemon.status)


def _reload(invocation: Invocation) -> None:
    invocation.show(invocation.call("daemon.reload"), render_settings.changed)


def _stop(invocation: Invocation) -> None:
    with ControlClient(invocation.socket) as client:
        invocation.show(client.call("daemon.stop"), render_daemon.stopping)
        with suppress(NoDaemon):  # it hangs up when it has ended
            while True:
                client.read_replies()


DAEMON_COMMANDS = (
    Command(("status",), "Show what the daemon is doing", "codexctl status", _status),
    Command(("reload",), "Read the settings file again", "codexctl reload", _reload),
    Command(
        ("stop",),
        "Stop codexd, as soon as the running requests have ended",
        "codexctl stop",
        _stop,
        details="Waits until it has stopped.",
    ),
)
