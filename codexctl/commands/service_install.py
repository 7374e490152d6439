"""``codexctl service install`` and ``uninstall``: shows the plan, asks, and carries it out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codexctl.client import PROBE, ControlClient, NoDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Invocation, Stop
from codexctl.render import service as render_service
from codexctl.service.definition import Definition
from codexctl.service.installation import UPGRADE, Installation, Interpreter, find_installation
from codexctl.service.manager import Manager, NoManager, current_machine, find_manager, find_service_places
from codexctl.service.planning import HANDLED, Plan, plan_install, plan_uninstall
from codexctl.service.steps import Machine, StepFailed, remove_empty, take
from codexctl.terminal import Spinner, confirm, has_input_terminal
from codexd.files import explain

SERVES_WITHIN_S = 30.0
"""How long codexd may take from its start until it answers."""

POLL_S = 0.1


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


# -- what the other commands of the service use, too


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
