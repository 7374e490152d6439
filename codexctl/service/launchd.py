"""codexd as a launchd agent of the user: its property list, and what ``launchctl`` is asked and told.

launchd expands neither ``~`` nor variables in a property list (``launchd.plist(5)``), so every path is written out.
"""

from __future__ import annotations

import plistlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from codexctl.service.definition import Address, Definition, Origin, ServiceFile, sign, to_socket
from codexctl.service.manager import Finished, LogsWanted, Machine, State, read_template
from codexctl.service.steps import Call, MakeFolder, Remove, Run, Step, StepFailed, Write

LABEL = "io.github.codexd"
PLIST = f"{LABEL}.plist"
COMMENT, COMMENT_LINE = "<!-- {} -->", 2
"""Comments go below the lines with ``<?xml`` and ``<!DOCTYPE``."""

STOP_TIMEOUT_S = 60.0
"""Longer than codexd takes to drain. launchd forgets a job only once its process has ended."""

POLL_S = 0.2


# -- the property list: pure


def render(template: str, definition: Definition, address: Address, log: Path) -> str:
    """The property list that runs ``definition``, made from the one that codexd ships."""
    values: dict[str, Any] = plistlib.loads(template.encode())
    values["ProgramArguments"] = list(definition.command)
    values["Sockets"] = {
        "http": [
            {
                "SockFamily": "IPv6" if ":" in each else "IPv4",
                "SockNodeName": each,
                "SockServiceName": str(address.port),
            }
            for each in address.numeric
        ]
    }
    values["StandardOutPath"] = values["StandardErrorPath"] = str(log)
    if variables := {**values.get("EnvironmentVariables", {}), **definition.variables}:
        values["EnvironmentVariables"] = variables
    text = plistlib.dumps(values, sort_keys=False).decode()
    return sign(text, definition, comment=COMMENT, line=COMMENT_LINE)


def read_values(text: str) -> Mapping[str, Any]:
    """The values of a property list; none if it can't be read."""
    try:
        values = plistlib.loads(text.encode(errors="surrogateescape"))
    except Exception:  # noqa: BLE001 - expat's errors and half a dozen others
        return {}
    return values if isinstance(values, dict) else {}


def _http(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The HTTP sockets; a property list has one, or a list of them."""
    sockets = values["Sockets"]["http"]
    return sockets if isinstance(sockets, list) else [sockets]


def parse_print(output: str) -> dict[str, str]:
    """The values at the top level of what ``launchctl print`` shows of a job."""
    return dict(re.findall(r"^\t([a-z ]+) = (.+)$", output, re.MULTILINE))


def _why_failed(done: Finished) -> str | None:
    return (" ".join((done.errors or done.output).split()) or "launchctl failed.") if done.status else None


# -- the manager


class Launchd:
    """The user's launchd."""

    name = "launchd"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._plist = machine.home / "Library" / "LaunchAgents" / PLIST
        self._log = machine.home / "Library" / "Logs" / "codexd.log"

    @cached_property
    def _domain(self) -> str:
        """The user's session at the screen; over SSH without one, the user's own."""
        screen = f"gui/{self._machine.uid}"
        return screen if self._launchctl("print", screen).status == 0 else f"user/{self._machine.uid}"

    @property
    def _job(self) -> str:
        return f"{self._domain}/{LABEL}"

    def unusable_reason(self) -> str | None:
        done = self._launchctl("print", self._domain)
        return None if done.status == 0 else " ".join((done.errors or done.output).split())

    def refuse(self, executable: Path) -> None:
        """None: a property list can have any path."""

    def paths(self) -> list[Path]:
        return [self._plist]

    def render(self, definition: Definition, address: Address) -> dict[Path, str]:
        return {self._plist: render(read_template(PLIST), definition, address, self._log)}

    def state(self) -> State:
        done = self._launchctl("print", self._job)
        job = parse_print(done.output) if done.status == 0 else {}
        disabled = bool(
            re.search(
                rf'"{re.escape(LABEL)}" => (true|disabled)', self._launchctl("print-disabled", self._domain).output
            )
        )
        pid = int(job["pid"]) if job.get("pid", "").isdecimal() else None
        problems = []
        if disabled:
            problems.append(f"launchd has it disabled. Run `launchctl enable {self._job}`.")
        if pid is None and job.get("last exit code", "0").split(":")[0] not in ("0", "(never exited)"):
            problems.append(f"it has failed (exit status {job['last exit code']}). `codexctl service logs` says why.")
        return State(
            loaded=bool(job),
            enabled=not disabled and self._plist.exists(),
            active=pid is not None,
            listening=bool(job),
            word=job.get("state", "not loaded"),
            pid=pid,
            since=None,
            restarts=0,  # launchd only counts starts, whatever their reason
            lingering=None,
            overrides=(),
            problems=tuple(problems),
        )

    def plan_install(
        self, wanted: Mapping[Path, str], before: Mapping[Path, ServiceFile], *, linger: bool
    ) -> list[Step]:
        """The steps that install the files ``wanted`` where there is ``before``; none if all is as it should be."""
        del linger  # an agent always runs from log-in to log-out
        state = self.state()
        [(path, text)] = wanted.items()
        is_changed = before[path].text != text
        if not is_changed and state.loaded and state.enabled:
            return []
        job, domain = self._job, self._domain
        steps: list[Step] = [] if self._log.parent.is_dir() else [MakeFolder(self._log.parent)]
        if state.loaded:
            steps += self._unload(job, undo=("launchctl", "bootstrap", domain, str(path)))
        if is_changed:
            steps.append(Write(path, text, None if before[path].origin is Origin.ABSENT else before[path].text))
        steps.append(Run(("launchctl", "enable", job)))
        steps.append(Run(("launchctl", "bootstrap", domain, str(path)), ("launchctl", "bootout", job)))
        return steps

    def plan_uninstall(self, installed: Sequence[ServiceFile]) -> list[Step]:
        """The steps that remove what is installed."""
        steps = self._unload(self._job) if self.state().loaded else []
        return [*steps, *(Remove(file.path, file.text) for file in installed)]

    def emptied_folders(self) -> list[Path]:
        """None: macOS makes LaunchAgents itself, and the log stays."""
        return []

    def after_undo(self, before: State) -> list[tuple[str, ...]]:
        """None: launchd keeps nothing of a property list that it has unloaded."""
        del before
        return []

    def restart(self) -> str | None:
        """Restart the service. If that fails, why.

        ``kickstart -k`` would do both, but whether it lets codexd drain is not documented.
        """
        state = self.state()
        if not state.loaded:
            return _why_failed(self._launchctl("bootstrap", self._domain, str(self._plist)))
        if state.pid is not None:
            failed = _why_failed(self._launchctl("kill", "SIGTERM", self._job))
            if failed:
                return failed
            try:
                self._wait_until(lambda: self.state().pid != state.pid)
            except StepFailed as failure:
                return str(failure)
        return _why_failed(self._launchctl("kickstart", self._job))

    def environment(self) -> Mapping[str, str]:
        """The variables that it gives to services: none of a shell's."""
        return {}

    def read_listens(self, text: str) -> list[str]:
        """Where the agent with this ``text`` listens for HTTP."""
        try:
            return [to_socket(each["SockNodeName"], each["SockServiceName"]) for each in _http(read_values(text))]
        except (TypeError, LookupError):  # somebody has edited it
            return []

    def read_program(self, text: str) -> str | None:
        """What the property list with this ``text`` runs, for people."""
        words = read_values(text).get("ProgramArguments")
        return " ".join(map(str, words)) if isinstance(words, list) else None

    def logs(self, wanted: LogsWanted) -> list[str]:
        """The command that prints the log."""
        return ["tail", "-n", str(wanted.lines), *(["-F"] * wanted.follow), str(self._log)]

    def read_entry(self, line: str) -> dict[str, Any]:
        """A line of the log; only the text knows when it was written."""
        return {"at": None, "message": line}

    def last_words(self) -> list[str]:
        """The last lines of the log, to explain a failure."""
        return self._machine.run("tail", "-n", "5", str(self._log)).output.splitlines()

    def others(self) -> list[str]:
        """Agents of the same name in other places."""
        path = self._machine.root / "Library" / "LaunchAgents" / PLIST
        return [str(path)] if path.exists() else []

    def _unload(self, job: str, undo: tuple[str, ...] = ()) -> list[Step]:
        return [
            Run(("launchctl", "bootout", job), undo),
            Call("wait until codexd has stopped", lambda: self._wait_until(lambda: not self.state().loaded)),
        ]

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until codexd has stopped. Raises StepFailed."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise StepFailed(f"codexd did not stop within {STOP_TIMEOUT_S:g} s.")
            time.sleep(POLL_S)

    def _launchctl(self, *arguments: str) -> Finished:
        return self._machine.run("launchctl", *arguments)
