"""What installing or uninstalling the service takes, what is worth knowing first, and what stands in the way."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.daemons import find_noted, is_served
from codexctl.service.definition import Address, AddressInvalid, Definition, Origin, ServiceFile, find_address, read
from codexctl.service.installation import Installation
from codexctl.service.manager import Machine, Manager, State, find_service_places
from codexctl.service.steps import Call, Move, Remove, Step, StepFailed, to_json
from codexd.files import unused_name
from codexd.paths import Places, RunningDaemon

WATCHED = (
    *(each for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY") for each in (name, name.lower())),
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
)
"""Variables that change what codexd does, besides those that begin with ``CODEXD_``."""

HANDLED = ("CODEXD_HOME", "CODEXD_SOCKET")
"""Variables that become a part of the service by themselves."""


class Plan(NamedTuple):
    """``obstacles`` say why the steps can't be taken, and what to do about it.

    ``after_undo``: commands that follow if they had to be taken back.
    """

    steps: Sequence[Step]
    notes: Sequence[str] = ()
    obstacles: Sequence[str] = ()
    address: Address | None = None
    after_undo: Sequence[tuple[str, ...]] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan for people and scripts, without the secrets that variables may have."""
        return {
            "listens_on": list(self.address.sockets) if self.address else None,
            "steps": [to_json(step) for step in self.steps],
            "notes": list(self.notes),
            "obstacles": list(self.obstacles),
        }


def plan_install(
    machine: Machine,
    manager: Manager,
    installation: Installation,
    definition: Definition,
    *,
    linger: bool,
    replace: bool,
    take_over: bool,
) -> Plan:
    """How to install ``definition``.

    ``replace``: put our files in the place of others, which are kept under another name. ``take_over``: stop a codexd
    that uses the same address or home.

    Raises:
        OSError: a service file can't be read.
    """
    notes = [*installation.notes, *_note_environment(machine, manager, definition)]
    places = find_service_places(machine, definition)
    try:
        address = find_address(definition, places.settings)
    except AddressInvalid as wrong:
        return Plan((), notes, [str(wrong)])
    state = manager.state()
    found = {path: read(path) for path in manager.paths()}
    obstacles = list(filter(None, [installation.problem, manager.refuse(definition.executable)]))
    obstacles += [text for file in found.values() for text in _judge(file, manager, definition, replace=replace)]
    steps: list[Step] = []
    rivals = find_rivals(address, places, state)
    for rival in rivals:
        if take_over:
            summary = f"stop {rival}, once its running requests have finished"
            steps.append(Call(summary, _stopper(rival.socket), "it stays stopped; start it again as before."))
        else:
            obstacles.append(
                f"{rival} is running already. Stop it with `codexctl --socket {rival.socket} stop`, or give --now, and "
                "install stops it once its running requests have finished."
            )
    if not obstacles and not any(_is_at(daemon, address) for daemon in (*rivals, *_find_own(state))):
        held = {each for file in found.values() for each in manager.read_listens(file.text)} if state.listening else ()
        obstacles += _find_port_conflicts(address, held)
    moved = [file for file in found.values() if file.origin in (Origin.EDITED, Origin.FOREIGN, Origin.LINK)]
    steps += [Move(file.path, unused_name(_backup(file.path))) for file in moved]
    before = {**found, **{file.path: ServiceFile(file.path, Origin.ABSENT) for file in moved}}
    definition = definition._replace(lingering=_is_lingering_ours(linger, state, found.values()))
    wanted = manager.render(definition, address)
    steps += manager.plan_install(wanted, before, linger=linger)
    notes += [*_note_lingering(linger, state), *_note_others(manager, state)]
    return Plan(steps, notes, obstacles, address, manager.after_undo(state))


def plan_uninstall(manager: Manager) -> Plan:
    """How to remove what ``plan_install`` installs; no steps if nothing is installed.

    A service may still run although somebody has deleted its files.

    Raises:
        OSError: a service file can't be read.
    """
    found = [read(path) for path in manager.paths()]
    others = [
        f"{file.path} was not written by `codexctl service install`, so it stays. Remove it by hand, if it is yours."
        for file in found
        if file.origin in (Origin.FOREIGN, Origin.LINK)
    ]
    ours = [file for file in found if file.origin in (Origin.OURS, Origin.EDITED)]
    state = manager.state()
    is_orphaned = not others and not manager.others() and (state.active or state.listening)
    edited = {file.path: unused_name(_backup(file.path)) for file in ours if file.origin is Origin.EDITED}
    steps = [
        Move(step.path, edited[step.path]) if isinstance(step, Remove) and step.path in edited else step
        for step in (manager.plan_uninstall(ours) if ours or is_orphaned else ())
    ]
    notes = [f"{path} was edited by hand, so it is kept as {kept.name}." for path, kept in edited.items()]
    notes += [f"{path} is your own and stays." for path in state.overrides]
    return Plan(steps, [*others, *notes]) if steps else Plan((), notes, others)


def find_missing_variables(machine: Machine, manager: Manager, definition: Definition) -> list[str]:
    """Variables of this shell that the service would not see."""
    seen = {**manager.environment(), **definition.variables}
    environ = machine.environ
    names = [name for name in environ if name.startswith("CODEXD_") and name not in HANDLED]
    names += [name for name in WATCHED if environ.get(name)]
    return [name for name in names if seen.get(name) != environ[name]]


def find_rivals(address: Address | None, places: Places, state: State) -> list[RunningDaemon]:
    """The running daemons that the service would compete with for its port, its home or its control socket."""
    return [
        daemon
        for daemon in find_noted()
        if daemon.pid != state.pid
        and is_served(daemon.socket)
        and (
            daemon.home == places.state_dir
            or daemon.socket == places.socket
            or (address is not None and _is_at(daemon, address))
        )
    ]


def _find_own(state: State) -> Iterator[RunningDaemon]:
    """The daemon that the service runs now."""
    return (daemon for daemon in find_noted() if daemon.pid == state.pid)


def _is_at(daemon: RunningDaemon, address: Address) -> bool:
    return daemon.address.endswith(f":{address.port}")


def _stopper(control_socket: Path) -> Callable[[], None]:
    def stop() -> None:
        try:
            with ControlClient(control_socket) as client:
                client.call("daemon.stop")
                client.wait_until_closed()
        except (NoDaemon, Refused) as error:
            raise StepFailed(f"the running codexd could not be stopped: {error}") from None

    return stop


def _judge(file: ServiceFile, manager: Manager, definition: Definition, *, replace: bool) -> Iterator[str]:
    """Why ``file`` can't be replaced."""
    if file.origin is Origin.LINK and file.target == os.devnull:
        yield f"{file.path.name} is masked. Run `systemctl --user unmask {file.path.name}` first."
    if replace:
        return
    keeps = f"--replace keeps it as {unused_name(_backup(file.path)).name} and writes a new one."
    match file.origin:
        case Origin.LINK if file.target != os.devnull:
            yield f"{file.path} is a link to {file.target}, which may belong to another program. {keeps}"
        case Origin.FOREIGN:
            runs = manager.read_program(file.text)
            yield f"{file.path} was not written by codexctl{f' (it runs {runs})' if runs else ''}. {keeps}"
        case Origin.EDITED:
            yield (
                f"{file.path} was edited by hand. {keeps} Your own directives last in a drop-in: `systemctl --user "
                f"edit {file.path.name}`."
                if manager.name == "systemd"
                else f"{file.path} was edited by hand. {keeps}"
            )
        case Origin.OURS if file.definition is not None and manager.read_program(file.text):
            theirs = file.definition.executable
            if theirs != definition.executable and theirs.exists():
                yield (
                    f"{file.path} runs {theirs}, another installation of codexd than this one "
                    f"({definition.executable}). Use its codexctl, or give --replace."
                )


def _backup(path: Path) -> Path:
    return path.with_name(f"{path.name}.before")


def _note_environment(machine: Machine, manager: Manager, definition: Definition) -> Iterator[str]:
    if missing := find_missing_variables(machine, manager, definition):
        options = " ".join(f"--env {name}" for name in missing)
        are = "is" if len(missing) == 1 else "are"
        yield (
            f"{', '.join(missing)} {are} set in this shell, but a service does not see that. To copy the "
            f"{'value' if len(missing) == 1 else 'values'} into the service, add {options}."
        )
    for option, name in ((definition.home, "CODEXD_HOME"), (definition.socket, "CODEXD_SOCKET")):
        if option is not None and machine.environ.get(name):
            yield f"The service uses {option}, as {name} in this shell says."


def _find_port_conflicts(address: Address, held: Collection[str]) -> Iterator[str]:
    """Why its sockets can't be opened, except those that the service holds. Each is tried, and closed at once."""
    for host, name in zip(address.numeric, address.sockets, strict=True):
        if name in held:
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, address.port))
            except OSError as error:
                yield (
                    f"the service can't listen on {name}: {error.strerror or error}. If another program uses it, stop "
                    "that, or choose a port with `--port N` or the setting server.port."
                )


def _is_lingering_ours(linger: bool, state: State, found: Iterable[ServiceFile]) -> bool:
    """Whether uninstalling is to turn lingering off again."""
    if not state.lingering:
        return linger
    return any(file.definition is not None and file.definition.lingering for file in found)


def _note_lingering(linger: bool, state: State) -> Iterator[str]:
    if state.lingering is False and not linger:
        yield (
            "The service runs while you are logged in, and stops when you log out. --linger makes it start at boot and "
            "run until shutdown."
        )


def _note_others(manager: Manager, state: State) -> Iterator[str]:
    for path in state.overrides:
        yield f"{path} changes the service, too, and stays in effect."
    for path in manager.others():
        yield f"There is also {path}. The service of your own that is installed here takes precedence over it."
