"""codexd as a user service of systemd: its units, and what ``systemctl --user`` is asked and told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from codexctl.service.definition import Address, Definition, Origin, ServiceFile, sign
from codexctl.service.manager import Finished, LogsWanted, Machine, State, read_template
from codexctl.service.steps import Remove, Run, Step, Write

SERVICE, SOCKET = "codexd.service", "codexd.socket"
UNITS = (SOCKET, SERVICE)

SHIPPED_PROGRAM = "%h/.local/bin/codexd"
"""The program that the shipped unit runs, which is replaced."""

REFUSED = "\"'\\"
"""Characters that the path of a program in a unit may not have, however they are quoted."""

_PLAIN_WORD = re.compile(r"[\w/.@:+,=-]+", re.ASCII)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%"}

SHOWN = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "ActiveEnterTimestampMonotonic",
)
"""The properties of a unit (``org.freedesktop.systemd1(5)``) that are looked at."""


# -- the units: pure


def render(templates: Mapping[str, str], definition: Definition, address: Address) -> dict[str, str]:
    """The units, by name, that run ``definition``, made from those that codexd ships."""
    control = definition.socket or (definition.home / "control.sock" if definition.home else None)
    bodies = {
        SERVICE: _render_service(templates[SERVICE], definition),
        SOCKET: _render_socket(templates[SOCKET], address, control),
    }
    return {name: sign(body, definition) for name, body in bodies.items()}


def _render_service(template: str, definition: Definition) -> str:
    program, *options = definition.command
    lines = []
    for line in template.splitlines():
        if line.startswith(f"ExecStart={SHIPPED_PROGRAM}"):
            words = [quote(program), *(quote(each).replace("$", "$$") for each in options)]
            lines.append(line.replace(SHIPPED_PROGRAM, " ".join(words)))
            lines += [f"Environment={quote(f'{name}={value}')}" for name, value in definition.variables.items()]
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _render_socket(template: str, address: Address, control: Path | None) -> str:
    lines: list[str] = []
    listens = [f"ListenStream={each}" for each in address.sockets]
    for line in template.splitlines():
        name, _, value = line.partition("=")
        if name != "ListenStream":
            lines.append(line)
        elif value.startswith(("%", "/")):
            lines.append(line if control is None else f"ListenStream={str(control).replace('%', '%%')}")
        else:
            lines += listens
            listens = []
    return "".join(f"{line}\n" for line in lines)


def quote(word: str) -> str:
    """``word`` as one word of a unit file (``systemd.syntax(7)``). A ``$`` stays, because only arguments expand it."""
    if _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + "".join(_ESCAPES.get(character, character) for character in word) + '"'


# -- the manager


class Systemd:
    """The user's systemd."""

    name = "systemd"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def unusable_reason(self) -> str | None:
        """Why the user's manager can't be reached."""
        done = self._ctl("show", "--property=Version")
        return None if done.status == 0 else " ".join(done.errors.split())

    @cached_property
    def _folder(self) -> Path:
        """Where the manager looks for the user's own units. Its HOME or XDG_CONFIG_HOME may not be this shell's."""
        searched = self._ctl("show", "--property=UnitPath", "--value").output.split()
        controls = [path.removesuffix(".control") for path in searched if path.endswith("/systemd/user.control")]
        return Path(controls[0]) if controls else self._machine.home / ".config" / "systemd" / "user"

    def refuse(self, executable: Path) -> str | None:
        """Why systemd can't run ``executable``, if so."""
        if not set(str(executable)) & set(REFUSED):
            return None
        return (
            f"systemd runs no program with a quote or a backslash in its path, such as {executable}. Install codexd in "
            "another folder."
        )

    def paths(self) -> list[Path]:
        return [self._folder / name for name in UNITS]

    def render(self, definition: Definition, address: Address) -> dict[Path, str]:
        """The text of each file."""
        units = render({name: read_template(name) for name in UNITS}, definition, address)
        return {path: units[path.name] for path in self.paths()}

    def state(self) -> State:
        """What the manager says of the service now."""
        units = self._show()
        service, listener = units.get(SERVICE, {}), units.get(SOCKET, {})
        active = service.get("ActiveState", "")
        since_us = int(service.get("ActiveEnterTimestampMonotonic") or 0)
        dropins = [path for unit in (service, listener) for path in unit.get("DropInPaths", "").split()]
        return State(
            loaded=any(unit.get("LoadState") == "loaded" for unit in (service, listener)),
            enabled=[unit.get("UnitFileState", "") for unit in (listener, service)] == ["enabled"] * 2,
            active=active == "active",
            listening=listener.get("ActiveState") == "active",
            word=_describe(service),
            pid=int(service.get("MainPID") or 0) or None,
            since=time.time() - time.monotonic() + since_us / 1e6 if since_us and active == "active" else None,
            restarts=int(service.get("NRestarts") or 0),
            lingering=self._is_lingering(),
            overrides=tuple(dict.fromkeys(dropins)),
            problems=tuple(_find_problems(units)),
        )

    def plan_install(
        self, wanted: Mapping[Path, str], before: Mapping[Path, ServiceFile], *, linger: bool
    ) -> list[Step]:
        """The steps that install the files ``wanted`` where there is ``before``; none if all is as it should be."""
        state = self.state()
        changed = {path for path, text in wanted.items() if before[path].text != text}
        steps: list[Step] = []
        if linger and not state.lingering:
            steps.append(self._linger("enable-linger", "disable-linger"))
        if SOCKET in {path.name for path in changed} and (state.active or state.listening):
            steps.append(Run(("systemctl", "--user", "stop", *UNITS)))
        steps += [
            Write(path, text, None if before[path].origin is Origin.ABSENT else before[path].text)
            for path, text in wanted.items()
            if path in changed
        ]
        if changed:
            steps.append(Run(("systemctl", "--user", "daemon-reload")))
        if state.problems:
            steps.append(Run(("systemctl", "--user", "reset-failed", *UNITS), may_fail=True))
        if not (state.enabled and state.active and state.listening) or any(path.name == SOCKET for path in changed):
            undo = () if state.enabled else _command("disable", "--now")
            steps.append(Run(_command("enable", "--now"), undo))
        elif changed:
            steps.append(Run(("systemctl", "--user", "restart", SERVICE)))
        return steps

    def plan_uninstall(self, installed: Sequence[ServiceFile]) -> list[Step]:
        """The steps that remove what is installed."""
        is_partial = len(installed) < len(UNITS)
        steps: list[Step] = [Run(_command("disable", "--now"), may_fail=is_partial)]
        steps += [Remove(file.path, file.text) for file in installed]
        steps.append(Run(("systemctl", "--user", "daemon-reload")))
        steps.append(Run(("systemctl", "--user", "reset-failed", *UNITS), may_fail=True))
        if any(file.definition and file.definition.lingering for file in installed):
            steps.append(self._linger("disable-linger", "enable-linger"))
        return steps

    def emptied_folders(self) -> list[Path]:
        """Folders that installing may have made, the innermost first."""
        folder = self._folder
        wants = [folder / f"{target}.target.wants" for target in ("default", "sockets")]
        runtime = Path(self._machine.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
        return [*wants, folder, folder.parent, runtime / "codexd"]

    def after_undo(self, before: State) -> list[tuple[str, ...]]:
        """The commands that let the manager go on as ``before``, once the files are as they were."""
        commands: list[tuple[str, ...]] = [
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "reset-failed"),
        ]
        return [*commands, ("systemctl", "--user", "start", *UNITS)] if before.active or before.listening else commands

    def restart(self) -> str | None:
        """Restart the service. If that fails, why."""
        state = self.state()
        commands = [("daemon-reload",), ("restart", SERVICE)]
        if not state.listening:  # a socket can't be opened for a service that already runs
            commands[1:1] = [("stop", SERVICE), ("start", SOCKET)]
        self._ctl("reset-failed", *UNITS)
        failed = next((done for command in commands if (done := self._ctl(*command)).status), None)
        return " ".join(failed.errors.split()) or "systemctl failed." if failed else None

    def environment(self) -> dict[str, str]:
        """The variables that the manager gives to services."""
        pairs = (line.partition("=") for line in self._ctl("show-environment").output.splitlines())
        return {name: value for name, _, value in pairs}

    def read_listens(self, text: str) -> list[str]:
        """Where the unit with this ``text`` listens for HTTP."""
        found = re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)
        return [each for each in found if not each.startswith(("%", "/"))]

    def read_program(self, text: str) -> str | None:
        """What the unit with this ``text`` runs, for people."""
        found = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        return found[-1].strip() if found else None

    def logs(self, wanted: LogsWanted) -> list[str]:
        """The command that prints the log."""
        command = [
            "journalctl",
            "--user",
            f"--unit={SERVICE}",
            f"--unit={SOCKET}",
            "--no-pager",
            f"--lines={wanted.lines}",
        ]
        command += ["--follow"] * wanted.follow
        command += [f"--since=@{wanted.since:.0f}"] if wanted.since is not None else []
        return [*command, "--output=json" if wanted.as_json else "--output=short-iso"]

    def read_entry(self, line: str) -> dict[str, Any]:
        """A line of the journal as JSON; ``at`` is in seconds since the epoch."""
        try:
            entry = json.loads(line)
            message = entry["MESSAGE"]
            text = bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)
            return {"at": int(entry["__REALTIME_TIMESTAMP"]) / 1e6, "message": text}
        except (ValueError, TypeError, LookupError):
            return {"at": None, "message": line}

    def last_words(self) -> list[str]:
        """The last lines of the log, to explain a failure."""
        done = self._machine.run("journalctl", "--user", f"--unit={SERVICE}", "--lines=5", "--output=cat", "--quiet")
        return done.output.splitlines()

    def others(self) -> list[str]:
        """Units of the same name in other places, which the user's own override or compete with."""
        root = self._machine.root
        places = ("etc/systemd/user", "usr/local/lib/systemd/user", "usr/lib/systemd/user", "etc/systemd/system")
        return [str(path) for place in places for name in UNITS if (path := root / place / name).exists()]

    def _show(self) -> dict[str, dict[str, str]]:
        """The properties of each unit."""
        done = self._ctl("show", *UNITS, f"--property={','.join(SHOWN)}")
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            for block in done.output.split("\n\n")
        ]
        return {block["Id"]: block for block in blocks if "Id" in block}

    def _is_lingering(self) -> bool:
        return (self._machine.root / "var/lib/systemd/linger" / self._machine.user).exists()

    def _linger(self, verb: str, undo: str) -> Run:
        user = self._machine.user
        advice = f"If that takes an administrator, let one run `sudo loginctl {verb} {user}`."
        return Run(("loginctl", verb, user), ("loginctl", undo, user), advice=advice)

    def _ctl(self, *arguments: str) -> Finished:
        return self._machine.run("systemctl", "--user", *arguments)


def _command(verb: str, *options: str) -> tuple[str, ...]:
    """For both units. ``--quiet`` leaves only errors to report."""
    return ("systemctl", "--user", "--quiet", verb, *options, *UNITS)


def _describe(unit: Mapping[str, str]) -> str:
    """``active (running)`` or ``failed (exit-code)``."""
    active, sub, result = (unit.get(name, "") for name in ("ActiveState", "SubState", "Result"))
    detail = result if active == "failed" else sub
    return f"{active} ({detail})" if detail and detail != active else active or "unknown"


def _find_problems(units: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, unit in units.items():
        if unit.get("LoadState") == "masked":
            yield f"{name} is masked, so it can't be started. Run `systemctl --user unmask {name}`."
        elif unit.get("LoadState") in ("error", "bad-setting"):
            yield f"systemd can't read {name}. `systemctl --user status {name}` says why."
        if unit.get("ActiveState") == "failed":
            yield (
                f"{name} has failed ({unit.get('Result')}). `codexctl service logs` says why, and `codexctl service "
                "restart` starts it again."
            )
        if unit.get("NeedDaemonReload") == "yes":
            yield f"{name} has changed since systemd read it. Run `systemctl --user daemon-reload`."
