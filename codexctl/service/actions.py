"""What each of ``codexctl service``'s commands does: shows the plan, asks, carries it out, and tells how it went."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codexctl.client import PROBE, ControlClient, NoDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Invocation, Stop
from codexctl.render import service as render_service
from codexctl.service import FOLLOW_LINES, LOG_LINES
from codexctl.service.definition import Definition
from codexctl.service.inspection import Inspection, inspect
from codexctl.service.installation import UPGRADE, Installation, Interpreter, find_installation
from codexctl.service.manager import (
    LogsWanted,
    Machine,
    Manager,
    NoManager,
    current_machine,
    find_manager,
    find_service_places,
)
from codexctl.service.planning import HANDLED, Plan, plan_install, plan_uninstall
from codexctl.service.steps import StepFailed, remove_empty, take
from codexctl.terminal import Spinner, confirm, has_input_terminal
from codexd import __version__
from codexd.files import explain

SERVES_WITHIN_S = 30.0
"""How long codexd may take from its start until it answers."""

POLL_S = 0.1
CHECK_TIMEOUT_S = 10.0


# -- install and uninstall ------------------------------------------------------------------------


def install_service(invocation: Invocation) -> None:
    given = invocation.arguments
    machine = find_machine(invocation)
    installation = _find_installation(invocation)
    manager = choose_manager(machine, installation.executable)
    definition = _define(invocation, installation)
    if given.linger and manager.name != "systemd":
        raise Stop(EXIT_USAGE, "launchd runs agents only while you are logged in; --linger is for systemd.")
    try:
        plan = plan_install(
            machine,
            manager,
            installation,
            definition,
            linger=given.linger,
            replace=given.replace,
            take_over=given.now,
        )
    except OSError as error:
        raise Stop(EXIT_REFUSED, explain(error)) from None
    result = plan.to_json() | {
        "dry_run": given.dry_run,
        "manager": manager.name,
        "installation": installation.kind.value,
        "executable": str(installation.executable),
        "message": "The service is installed already, and nothing has to change." if not plan.steps else "",
    }
    if not _go_on(invocation, plan, result, "Install the service?"):
        return
    _take(machine, manager, plan, invocation)
    upgrade = UPGRADE.get(installation.kind)
    message = (
        "The service is installed and runs. "
        f"After {f'`{upgrade}`' if upgrade else 'an upgrade'}, run `codexctl service restart`."
    )
    result |= {"message": message, "daemon": wait_for_daemon(machine, definition, invocation)}
    invocation.show(result, render_service.done)


def uninstall_service(invocation: Invocation) -> None:
    machine = find_machine(invocation)
    manager = choose_manager(machine)
    try:
        plan = plan_uninstall(manager)
    except OSError as error:
        raise Stop(EXIT_REFUSED, explain(error)) from None
    result = plan.to_json() | {
        "dry_run": invocation.arguments.dry_run,
        "manager": manager.name,
        "message": "The service is not installed, so there is nothing to do." if not plan.steps else "",
    }
    if not _go_on(invocation, plan, result, "Uninstall the service?"):
        return
    _take(machine, manager, plan, invocation)
    remove_empty(manager.emptied_folders())
    message = (
        "The service is uninstalled. Your accounts, settings and usage history stay. Programs that were set up to use "
        "codexd don't reach it until you start it again; `codexctl claude reset` and `codexctl codex reset` need it to "
        "run."
    )
    invocation.show(result | {"message": message}, render_service.message)


def _define(invocation: Invocation, installation: Installation) -> Definition:
    """What the command line and this shell's environment say that the service should run."""
    given, environ = invocation.arguments, invocation.environ
    if given.home == "":
        raise Stop(EXIT_USAGE, "--home: must not be empty")
    missing = [name for name in given.env if name not in environ]
    if missing:
        raise Stop(EXIT_USAGE, f"--env {missing[0]}: this variable is not set in this shell.")
    home, socket = (_absolute(value) for value in (given.home or environ.get(HANDLED[0]), environ.get(HANDLED[1])))
    copied = {name: environ[name] for name in given.env if name not in HANDLED}
    return Definition(installation.executable, home, given.host, given.port, socket, copied)


def _absolute(path: str | None) -> Path | None:
    return Path(path).expanduser().absolute() if path else None


def _go_on(invocation: Invocation, plan: Plan, result: Mapping[str, Any], question: str) -> bool:
    """Show the plan; whether the user wants it to be carried out.

    Raises:
        Stop: something stands in the way, or nobody can be asked.
    """
    given = invocation.arguments
    asks = bool(plan.steps) and not (given.yes or given.dry_run or plan.obstacles)
    if asks and (invocation.as_json or not has_input_terminal()):
        raise Stop(EXIT_USAGE, "there is nobody to ask. Add --yes to do it, or --dry-run to see what it would do.")
    if given.dry_run or not plan.steps or plan.obstacles or not invocation.as_json:
        invocation.show(result, render_service.plan)
    if plan.obstacles:
        raise Stop(EXIT_REFUSED)
    if given.dry_run or not plan.steps:
        return False
    if asks and not confirm(question):
        raise Stop(EXIT_REFUSED, "nothing was changed.")
    return True


def _take(machine: Machine, manager: Manager, plan: Plan, invocation: Invocation) -> None:
    """Carry the plan out.

    Raises:
        Stop: a step failed.
    """
    spinner = Spinner(invocation.environ)
    try:
        take(plan.steps, machine, spinner.turn, plan.after_undo)
    except StepFailed as failed:
        spinner.clear()
        remove_empty(manager.emptied_folders())
        last = [f"  {line}" for line in manager.last_words()]
        raise Stop(EXIT_REFUSED, "\n".join([str(failed), *(["The log ends with:", *last] if last else [])])) from None
    finally:
        spinner.clear()


# -- status, logs and restart ----------------------------------------------------------------------


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


# -- what several of them need --------------------------------------------------------------------


def wait_for_daemon(
    machine: Machine, definition: Definition, invocation: Invocation, *, not_pid: int | None = None
) -> dict[str, Any]:
    """The status of the service's daemon, once it answers.

    Raises:
        Stop: it does not.
    """
    socket = find_service_places(machine, definition).socket
    deadline = time.monotonic() + SERVES_WITHIN_S
    spinner = Spinner(invocation.environ)
    while True:
        try:
            with ControlClient(socket, reply_timeout_s=SERVES_WITHIN_S) as client:
                status: dict[str, Any] = dict(client.call(PROBE))
            if status["pid"] != not_pid:
                spinner.clear()
                return status
            why = "the old one still answers"
        except (NoDaemon, Refused) as error:
            why = str(error)
        if time.monotonic() > deadline:
            spinner.clear()
            raise Stop(EXIT_REFUSED, f"the service runs, but codexd does not answer yet: {why}")
        spinner.turn("waiting for codexd")
        time.sleep(POLL_S)


def find_machine(invocation: Invocation) -> Machine:
    try:
        return current_machine(invocation.environ)
    except (RuntimeError, OSError):
        raise Stop(EXIT_USAGE, "your home folder is unknown; set HOME.") from None


def choose_manager(machine: Machine, executable: Path = Path("codexd")) -> Manager:
    """Raises Stop: this machine has none that can be used."""
    try:
        return find_manager(machine, executable)
    except NoManager as why:
        raise Stop(EXIT_REFUSED, str(why)) from None


def _find_installation(invocation: Invocation) -> Installation:
    found = find_installation(Interpreter.current(invocation.environ))
    if found is None:
        raise Stop(
            EXIT_REFUSED,
            "the program codexd that belongs to this codexctl was not found. Install it: `pipx install codexd`, "
            "`uv tool install codexd`, or `pip install .` in its sources.",
        )
    return found
