"""This machine and its service manager, systemd's or launchd's, and what to do where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from codexctl.service.definition import Address, Definition, ServiceFile
from codexd.paths import Places, find_places

if TYPE_CHECKING:
    from codexctl.service.steps import Step


COMMAND_TIMEOUT_S = 150.0
"""Longer than systemd waits for codexd, which may drain for 30 s, to stop and to start again."""


class Finished(NamedTuple):
    """What a command has printed, and its exit status."""

    status: int
    output: str
    errors: str


class Machine(NamedTuple):
    """The system that codexctl runs on. ``platform`` is ``sys.platform``; ``root`` is ``/``, except in a test."""

    platform: str
    environ: Mapping[str, str]
    home: Path
    uid: int
    user: str
    root: Path = Path("/")

    def find_program(self, name: str) -> str | None:
        return shutil.which(name, path=self.environ.get("PATH", os.defpath))

    def run(self, *command: str) -> Finished:
        """Run ``command`` and wait for it. If it can't be started, its exit status is 127."""
        program = self.find_program(command[0])
        if program is None:
            return Finished(127, "", f"{command[0]}: not found")
        try:
            done = subprocess.run(  # noqa: S603 - the service manager's own programs, without a shell
                [program, *command[1:]],
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Finished(124, "", f"it did not end within {COMMAND_TIMEOUT_S:g} s")
        except OSError as error:
            return Finished(127, "", f"{program}: {error.strerror or error}")
        return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def current_machine(environ: Mapping[str, str]) -> Machine:
    """The machine that codexctl runs on.

    A shell that no login opened may lack XDG_RUNTIME_DIR, which leads to the user's manager.

    Raises:
        RuntimeError: the user's home folder is unknown.
    """
    uid = os.getuid()
    runtime_dir = Path("/run/user") / str(uid)
    if not environ.get("XDG_RUNTIME_DIR") and runtime_dir.is_dir():
        environ = {**environ, "XDG_RUNTIME_DIR": str(runtime_dir)}
    return Machine(sys.platform, environ, Path(environ.get("HOME") or Path.home()), uid, _find_user(uid))


def _find_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a user without a name
        return str(uid)


class NoManager(Exception):
    """No service manager can be used here; the text says why and what to do instead."""


class State(NamedTuple):
    """What the manager says of the service.

    ``word`` is its own word for the state; ``since`` is in seconds since the epoch; ``restarts`` counts those after a
    failure. ``lingering``: whether the service outlives a log-out; None where that can't be chosen. ``overrides`` are
    files of the user's that change it.
    """

    loaded: bool
    enabled: bool
    active: bool
    listening: bool
    word: str
    pid: int | None
    since: float | None
    restarts: int
    lingering: bool | None
    overrides: tuple[str, ...]
    problems: tuple[str, ...]


class LogsWanted(NamedTuple):
    """Which part of the log. ``since`` is in seconds since the epoch."""

    lines: int
    follow: bool
    since: float | None
    as_json: bool


class Manager(Protocol):
    """What codexctl needs of a service manager."""

    @property
    def name(self) -> str: ...

    def unusable_reason(self) -> str | None:
        """Why it can't be used here."""

    def refuse(self, executable: Path) -> str | None:
        """Why it can't run ``executable``, if so."""

    def paths(self) -> list[Path]:
        """The files of the service."""

    def render(self, definition: Definition, address: Address) -> dict[Path, str]:
        """The text of each file."""

    def state(self) -> State: ...

    def plan_install(
        self, wanted: Mapping[Path, str], before: Mapping[Path, ServiceFile], *, linger: bool
    ) -> list[Step]:
        """The steps that install the files ``wanted`` where there is ``before``; none if all is as it should be."""

    def plan_uninstall(self, installed: Sequence[ServiceFile]) -> list[Step]:
        """The steps that remove what is installed."""

    def emptied_folders(self) -> list[Path]:
        """Folders that installing may have made, the innermost first."""

    def after_undo(self, before: State) -> list[tuple[str, ...]]:
        """The commands that let the manager go on as ``before``, once the files are as they were."""

    def restart(self) -> str | None:
        """Restart the service, or start it. If that fails, why."""

    def environment(self) -> Mapping[str, str]:
        """The variables that it gives to services."""

    def read_listens(self, text: str) -> list[str]:
        """Where the service file with this ``text`` makes codexd listen for HTTP."""

    def read_program(self, text: str) -> str | None:
        """What the service file with this ``text`` runs, for people."""

    def logs(self, wanted: LogsWanted) -> list[str]:
        """The command that prints the log."""

    def read_entry(self, line: str) -> dict[str, Any]:
        """A line of what that command prints with ``as_json``: when it was written, if known, and its text."""

    def last_words(self) -> list[str]:
        """The last lines of the log, to explain a failure."""

    def others(self) -> list[str]:
        """Service files of the same name in other places."""


def read_template(name: str) -> str:
    """The service file ``name`` that codexd ships."""
    return (files("codexctl") / "units" / name).read_text(encoding="utf-8")


def find_service_places(machine: Machine, definition: Definition) -> Places:
    """The places of the daemon that the service runs, whatever this shell's CODEXD_HOME and CODEXD_SOCKET say."""
    names = ("XDG_RUNTIME_DIR",)
    kept = {name: machine.environ[name] for name in names if name in machine.environ}
    return find_places({**kept, **definition.variables}, definition.home)


def find_manager(machine: Machine, executable: Path) -> Manager:
    """The manager of this machine. ``executable`` is for the advice on machines that have none.

    Raises:
        NoManager
    """
    if machine.environ.get("SUDO_UID") and machine.uid == 0:
        raise NoManager(
            "this would be a service of root's, with root's settings and accounts. Run it as yourself, without sudo: "
            "nothing of it needs root."
        )
    manager = _make_manager(machine)
    reason = "" if manager is None else manager.unusable_reason()
    if manager is not None and reason is None:
        return manager
    if machine.platform == "darwin" or (machine.root / "run/systemd/system").is_dir():
        raise NoManager(_explain_unreachable(machine, reason or "there is no systemctl"))
    what = "neither systemd nor launchd runs here, so codexd can't be installed as a service."
    raise NoManager("\n".join([what, *_suggest(machine, executable)]))


def _make_manager(machine: Machine) -> Manager | None:
    if machine.platform == "darwin":
        from codexctl.service.launchd import Launchd  # noqa: PLC0415 - only one of the two is needed

        return Launchd(machine)
    if machine.find_program("systemctl"):
        from codexctl.service.systemd import Systemd  # noqa: PLC0415 - as above

        return Systemd(machine)
    return None


def _explain_unreachable(machine: Machine, reason: str) -> str:
    if machine.platform == "darwin":
        return f"launchd can't be reached ({reason}). Log in at the screen, then try again."
    if not machine.environ.get("XDG_RUNTIME_DIR"):
        return (
            f"systemd has no user manager for {machine.user} now, because no login opened this shell (su and cron "
            f"don't count). Log in as {machine.user}, over SSH for example, or have the manager started at boot with "
            f"`sudo loginctl enable-linger {machine.user}`. Then try again."
        )
    return (
        f"systemd's user manager can't be reached ({reason}). Log in again as {machine.user}; if that does not help, "
        f"`systemctl status user@{machine.uid}.service` may say why."
    )


def _suggest(machine: Machine, executable: Path) -> list[str]:
    """What to do instead, by the kind of the machine."""
    root = machine.root
    kernel = _read(root / "proc/sys/kernel/osrelease").lower()
    if machine.environ.get("TERMUX_VERSION"):
        return [
            "In Termux, start it at each boot with the app Termux:Boot, from a script in ~/.termux/boot:",
            f"  termux-wake-lock; {executable}",
        ]
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")) or machine.environ.get("container"):
        return [
            "In a container, make codexd its main process and let the container's manager restart it:",
            "  docker run --init --restart unless-stopped -v codexd:/data IMAGE codexd --home /data",
        ]
    if "microsoft" in kernel and "wsl2" in kernel:
        return [
            "In WSL 2, switch systemd on: write this into /etc/wsl.conf, and run `wsl --shutdown` in Windows:",
            "  [boot]",
            "  systemd=true",
        ]
    return [
        "To keep codexd running until the machine stops:",
        f"  nohup {executable} >>~/codexd.log 2>&1 &",
        "To start it at each boot, add this line with `crontab -e`:",
        f"  @reboot {executable} >>$HOME/codexd.log 2>&1",
        "OpenRC, runit and other supervisors run it as any program that stays in the foreground.",
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
