"""TCP ports: whether codexd can listen on one, and which program holds it."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path

from attrs import frozen

from codexd.doctor.finding import Finding, note, ok, problem, warning
from codexd.paths import RunningDaemon

PROC = Path("/proc")
LSOF_TIMEOUT_S = 5.0
LISTENING = "0A"
"""The state in ``/proc/net/tcp``."""

_LSOF = re.compile(r"^p(\d+)$|^c(.+)$", re.MULTILINE)


class PortState(Enum):
    FREE = "free"
    TAKEN = "taken"
    FORBIDDEN = "forbidden"
    """Only root may listen on it."""
    NO_ADDRESS = "no_address"
    """This machine does not have the address."""


@frozen
class Program:
    """A process that listens on a port."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


@frozen
class Port:
    """A port as found. ``holder`` is None if the system does not say who holds it, as of another user's program."""

    host: str
    number: int
    state: PortState
    holder: Program | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.number}" if ":" in self.host else f"{self.host}:{self.number}"


def look(host: str, number: int) -> Port:
    """Whether this program could listen on the port, for a moment; it accepts no connection."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            return Port(host, number, PortState.NO_ADDRESS)
        if error.errno in (errno.EACCES, errno.EPERM):
            return Port(host, number, PortState.FORBIDDEN)
        return Port(host, number, PortState.TAKEN, find_holder(number))
    return Port(host, number, PortState.FREE)


def find_holder(number: int) -> Program | None:
    """The program that listens on the port: from /proc on Linux, else from lsof. Not known of other users' programs."""
    inodes = set(_find_inodes(number))
    return _find_owner(inodes) if inodes else _ask_lsof(number)


def _find_inodes(number: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            yield from parse_inodes((PROC / "net" / name).read_text(), number)


def parse_inodes(table: str, number: int) -> Iterator[str]:
    """The inodes of the sockets that listen on port ``number``, from the text of ``/proc/net/tcp``."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == number:
            yield fields[9]


def _find_owner(inodes: set[str]) -> Program | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if any(str(each.readlink()) in wanted for each in (folder / "fd").iterdir()):
                return Program(int(folder.name), name_process(int(folder.name)) or "a program")
    return None


def name_process(pid: int) -> str | None:
    """What runs as ``pid``: its script, if that is what Python runs. Linux only."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        command = (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return None
    return name_command(words) or command


def name_command(words: list[str]) -> str:
    """A short name for a command line: its program, or the script or module that an interpreter runs."""
    program = Path(words[0]).name if words else ""
    if not program.startswith(("python", "node")):
        return program
    if "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    return next((Path(word).name for word in words[1:] if word and not word.startswith("-")), program)


def _ask_lsof(number: int) -> Program | None:
    command = ["lsof", "-nP", f"-iTCP:{number}", "-sTCP:LISTEN", "-Fpc"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a number
            command, capture_output=True, text=True, timeout=LSOF_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_lsof(done.stdout)


def parse_lsof(output: str) -> Program | None:
    """The first program in the output of ``lsof -Fpc``."""
    found = [pid or name for pid, name in _LSOF.findall(output)]
    return Program(int(found[0]), found[1]) if len(found) > 1 and found[0].isdecimal() else None


# -- checking -------------------------------------------------------------------------------------


def check_address(port: Port, daemons: tuple[RunningDaemon, ...], listening: str | None = None) -> Iterator[Finding]:
    """Whether codexd can listen where the settings say; ``daemons`` are those that run.

    ``listening``: systemd or launchd, if it listens for codexd.
    """
    tell = "Choose another port, here and in your clients."
    if port.state is PortState.FREE:
        yield ok("port_free", port, f"{port} is free.")
    elif port.state is PortState.NO_ADDRESS:
        text = f"This machine has no address {port.host}, so codexd can't listen there."
        yield problem("no_address", port, text, "codexctl settings set server.host 127.0.0.1")
    elif port.state is PortState.FORBIDDEN:
        text = f"Only root may listen on port {port.number}. {tell}"
        yield problem("port_forbidden", port, text, "codexd --port 8081")
    elif (manager := port.holder.name if port.holder else listening) and manager.startswith(("systemd", "launchd")):
        yield ok("port_activated", port, f"{manager} holds {port} and starts codexd at the first request.")
    elif rival := next((each for each in daemons if each.address.endswith(f":{port.number}")), None):
        text = f"{port} is used by another codexd of yours, {rival}."
        yield problem("port_of_other_codexd", port, text, f"codexctl --socket {rival.socket} stop")
    else:
        who = port.holder or "another program, perhaps another user's"
        text = f"{port} is used by {who}, so codexd can't listen there. {tell}"
        yield problem("port_taken", port, text, f"codexd --port {port.number + 1}")


def check_callbacks(ports: tuple[Port, ...], daemon_pids: frozenset[int]) -> Iterator[Finding]:
    """Whether a sign-in in the browser can come back: OpenAI allows only these ports."""
    taken = [port for port in ports if port.state is not PortState.FREE]
    foreign = [port for port in taken if port.holder is None or port.holder.pid not in daemon_pids]
    held = " and ".join(f"{port.number} by {port.holder or 'another program'}" for port in foreign)
    if not foreign:
        numbers = " and ".join(str(port.number) for port in ports)
        busy = "A sign-in is under way" if taken else f"Ports {numbers} are free for a sign-in in the browser"
        yield ok("callback_ports_free", numbers, f"{busy}.")
    elif len(foreign) < len(ports):
        text = f"For a sign-in in the browser one of two ports is taken: {held}. codexd uses the other."
        yield note("callback_port_taken", foreign[0].number, text)
    else:
        yield warning(
            "callback_ports_taken",
            ", ".join(str(port.number) for port in ports),
            f"A sign-in in the browser can't come back to codexd: its ports are taken, {held}. End them, as an "
            "unfinished `codex login`, or sign in with a code.",
            "codexctl accounts add --device",
        )
