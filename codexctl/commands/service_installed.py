"""``codexctl service status``, ``logs`` and ``restart``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Invocation, Stop
from codexctl.commands.service import FOLLOW_LINES, LOG_LINES
from codexctl.commands.service_install import choose_manager, find_machine, wait_for_daemon
from codexctl.render import service as render_service
from codexctl.service.definition import Definition
from codexctl.service.inspection import Inspection, inspect
from codexctl.service.installation import Interpreter, find_installation
from codexctl.service.manager import LogsWanted, Manager, find_service_places
from codexctl.service.steps import Machine
from codexctl.terminal import Spinner
from codexd import __version__
from codexd.files import explain

CHECK_TIMEOUT_S = 10.0


def show_status(invocation: Invocation) -> None:
    _, _, found = _inspect(invocation)
    invocation.show(found.to_json(), render_service.status)
    if found.problems or not found.installed:
        raise Stop(EXIT_REFUSED)


def show_logs(invocation: Invocation) -> None:
    given = invocation.arguments
    machine = find_machine(invocation)
    manager = choose_manager(machine)
    lines = given.limit if given.limit is not None else FOLLOW_LINES if given.follow else LOG_LINES
    if given.since is not None and manager.name != "systemd":
        raise Stop(EXIT_USAGE, "--since needs systemd's journal; here the log is a file.")
    command = manager.logs(LogsWanted(lines, given.follow, given.since, invocation.as_json))
    sys.stdout.flush()
    try:
        status = _print_json(invocation, machine, manager, command) if invocation.as_json else _run(machine, command)
    except OSError as error:
        raise Stop(EXIT_REFUSED, f"{command[0]} can't be run: {error.strerror or error}.") from None
    if status:
        raise Stop(EXIT_REFUSED)


def _run(machine: Machine, command: Sequence[str]) -> int:
    return subprocess.run(command, env=dict(machine.environ), check=False).returncode  # noqa: S603 - journalctl or tail


def _print_json(invocation: Invocation, machine: Machine, manager: Manager, command: Sequence[str]) -> int:
    """Print each line of the log as ``{"entry": {"at", "message"}}``, or all of them in one document."""
    entries = []
    with subprocess.Popen(command, env=dict(machine.environ), stdout=subprocess.PIPE) as process:  # noqa: S603 - as above
        for line in process.stdout or ():
            entry = manager.read_entry(line.decode(errors="replace").rstrip("\n"))
            if invocation.arguments.follow:
                invocation.write([json.dumps({"entry": entry})])
            else:
                entries.append(entry)
    if not invocation.arguments.follow:
        invocation.write([json.dumps({"entries": entries}, indent=2)])
    return process.returncode


def restart_service(invocation: Invocation) -> None:
    machine, manager, found = _inspect(invocation)
    if not found.installed:
        raise Stop(
            EXIT_REFUSED,
            "codexd is not installed as a service. Restart one that runs in a terminal with `codexctl restart`, or "
            "install the service with `codexctl service install`.",
        )
    before = found.daemon
    _check_settings(machine, found)
    streams = (before or {}).get("streams_in_flight", 0)
    spinner = Spinner(invocation.environ)
    spinner.turn("restarting codexd" + (f"; {streams} running requests have up to 30 s to finish" if streams else ""))
    failed = manager.restart()
    spinner.clear()
    if failed:
        last = [f"  {line}" for line in manager.last_words()]
        raise Stop(EXIT_REFUSED, "\n".join([failed, *(["The log ends with:", *last] if last else [])]))
    old = before["pid"] if before else None
    daemon = wait_for_daemon(machine, found.definition or Definition(Path("codexd")), invocation, not_pid=old)
    happened = f"has taken over from {before['version']} (pid {old})" if before else "has started"
    message = f"codexd {daemon['version']} (pid {daemon['pid']}) {happened}."
    invocation.show({"message": message, "before": before, "daemon": daemon}, render_service.done)


def _check_settings(machine: Machine, found: Inspection) -> None:
    """Leave the running codexd alone if the new one would not start. Another version has other settings.

    Raises:
        Stop: the settings file can't be used.
    """
    if found.daemon is None or found.daemon["version"] != __version__ or found.definition is None:
        return
    places = find_service_places(machine, found.definition)
    try:
        text = places.settings.read_text(encoding="utf-8")
        with ControlClient(places.socket, reply_timeout_s=CHECK_TIMEOUT_S) as client:
            problems = client.call("settings.check", {"text": text})["problems"]
    except (OSError, ValueError, NoDaemon, Refused):
        return
    if problems:
        lines = [f"codexd would not start with {places.settings}, so it was not restarted:", *problems]
        raise Stop(EXIT_REFUSED, "\n".join(lines))


def _inspect(invocation: Invocation) -> tuple[Machine, Manager, Inspection]:
    machine = find_machine(invocation)
    installation = find_installation(Interpreter.current(machine.environ))
    manager = choose_manager(machine, installation.executable if installation else Path("codexd"))
    try:
        return machine, manager, inspect(machine, manager, installation)
    except OSError as error:
        raise Stop(EXIT_REFUSED, explain(error)) from None
