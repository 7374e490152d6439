"""The service as it is now: what is installed, whether it matches this codexctl, and whether it serves requests."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from codexctl.client import PROBE, ControlClient, NoDaemon, Refused
from codexctl.service.definition import (
    Address,
    AddressInvalid,
    Definition,
    Origin,
    ServiceFile,
    find_address,
    hide_secrets,
    read,
    to_lines,
)
from codexctl.service.installation import Installation
from codexctl.service.manager import Machine, Manager, State, find_service_places
from codexctl.service.planning import find_rivals
from codexd import __version__

REPLY_TIMEOUT_S = 10.0


class Inspection(NamedTuple):
    """What was found. The texts of ``files`` are for people, without secrets.

    ``definition`` is what the service was made from, if that is known. ``daemon`` is the running daemon's
    ``daemon.status``. ``problems`` say what to do; ``notes`` are worth knowing.
    """

    manager: str
    files: tuple[ServiceFile, ...]
    runs: str | None
    listens: tuple[str, ...]
    definition: Definition | None
    address: Address | None
    state: State
    daemon: dict[str, Any] | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def installed(self) -> bool:
        return any(file.origin is not Origin.ABSENT for file in self.files)

    def to_json(self) -> dict[str, Any]:
        files = [{"path": str(file.path), "state": file.origin.value} for file in self.files]
        state = {name: value for name, value in self.state._asdict().items() if name not in ("problems", "word")}
        return {
            "manager": self.manager,
            "installed": self.installed,
            "files": files,
            "executable": self.runs,
            "listens_on": list(self.listens),
            "state": self.state.word,
            **state,
            "daemon": self.daemon,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def inspect(machine: Machine, manager: Manager, installation: Installation | None) -> Inspection:
    """Look at the service without starting it.

    Raises:
        OSError: a service file can't be read.
    """
    files = tuple(read(path) for path in manager.paths())
    state = manager.state()
    definition = next((file.definition for file in files if file.definition is not None), None)
    runs = next(filter(None, (manager.read_program(file.text) for file in files)), None)
    listens = tuple(each for file in files for each in manager.read_listens(file.text))
    places = find_service_places(machine, definition or Definition(machine.home))
    address, unknown = None, ""
    try:
        address = find_address(definition or Definition(machine.home), places.settings)
    except AddressInvalid as wrong:
        unknown = str(wrong)
    daemon = _ask(places.socket) if state.active else None
    found = Inspection(manager.name, files, runs, listens, definition, address, state, daemon, (), ())
    if not found.installed:
        rivals = find_rivals(address, places, state)
        return found._replace(notes=tuple(f"{each} runs without a service." for each in rivals))
    shown = tuple(file._replace(text=hide_secrets("\n".join(to_lines(file.text)))) for file in files)
    problems = [*([unknown] if unknown else []), *_find_problems(found, manager, installation)]
    notes = tuple(_find_notes(found))
    return found._replace(problems=tuple(dict.fromkeys(problems)), notes=notes, files=shown)


def install_command(definition: Definition) -> str:
    """The command that installs ``definition`` again."""
    options = {"--home": definition.home, "--host": definition.host, "--port": definition.port}
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    words += [word for name in definition.environment for word in ("--env", name)]
    return shlex.join(["codexctl", "service", "install", *words])


def _ask(socket: Any) -> dict[str, Any] | None:
    try:
        with ControlClient(socket, reply_timeout_s=REPLY_TIMEOUT_S) as client:
            return dict(client.call(PROBE))
    except (NoDaemon, Refused):
        return None


def _find_problems(found: Inspection, manager: Manager, installation: Installation | None) -> Iterator[str]:
    again = install_command(found.definition) if found.definition else "codexctl service install"
    for file in found.files:
        if file.origin is Origin.ABSENT:
            yield f"{file.path} is missing. Run `{again}`."
    yield from _compare(found, manager, installation, again)
    yield from found.state.problems
    if not found.state.enabled and not found.state.problems:
        yield f"the service is not enabled, so it does not start by itself. Run `{again}`."
    if not found.state.active and not found.state.listening and not found.state.problems:
        yield "the service does not run. Start it with `codexctl service restart`."
    if found.state.active and found.daemon is None:
        yield "the service runs, but codexd does not answer. `codexctl service logs` may say why."
    if found.daemon is not None:
        yield from _judge_daemon(found.daemon)


def _compare(found: Inspection, manager: Manager, installation: Installation | None, again: str) -> Iterator[str]:
    """Whether the files are those that installing would write now."""
    definition = found.definition
    if definition is None:
        return
    if not definition.executable.exists():
        yield f"{definition.executable}, which the service runs, is gone. Run `{again}`."
    elif installation is not None and installation.executable != definition.executable:
        yield (
            f"the service runs {definition.executable}, but this codexctl belongs to {installation.executable}. "
            f"`{again} --replace` changes that."
        )
    if found.address is None:
        return
    wanted = manager.render(definition, found.address)
    for file in found.files:
        if file.origin is Origin.OURS and file.text != wanted[file.path]:
            yield f"{file.path.name} is out of date: {_why_outdated(found, found.address)}. Run `{again}`."


def _why_outdated(found: Inspection, address: Address) -> str:
    if found.listens == address.sockets:
        return "this version of codexd writes it differently"
    return f"it listens on {', '.join(found.listens)}, but the settings say {', '.join(address.sockets)}"


def _judge_daemon(daemon: dict[str, Any]) -> Iterator[str]:
    if daemon.get("version") != __version__:
        yield (
            f"the running codexd is {daemon.get('version')}, and {__version__} is installed. Run `codexctl service "
            "restart`."
        )
    serving = daemon.get("serving") or {}
    if not serving.get("possible", True):
        yield f"no request can be served: {serving.get('reason')}. {serving.get('advice') or ''}".strip()


def _find_notes(found: Inspection) -> Iterator[str]:
    for file in found.files:
        match file.origin:
            case Origin.EDITED:
                yield f"{file.path} was edited by hand. It is left as it is unless you run install with --replace."
            case Origin.FOREIGN:
                yield f"{file.path} was not written by `codexctl service install`."
            case Origin.LINK:
                yield f"{file.path} is a link to {file.target}."
    for path in found.state.overrides:
        yield f"{path} changes the service, too."
    if found.state.lingering is False:
        yield "It stops when you log out; `codexctl service install --linger` changes that."
