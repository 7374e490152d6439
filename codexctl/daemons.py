"""Which of the user's running daemons a command talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from codexctl.client import PROBE, ControlClient, NoDaemon, OlderDaemon, Refused, connect
from codexctl.terminal import say
from codexd.paths import RunningDaemon, find_running_folder, find_socket, read_running


def choose_socket(environ: Mapping[str, str], report: Callable[[str], None] = say) -> Path:
    """The socket that ``environ`` names; else the default one if it is served; else that of the only running daemon.

    ``report`` is called in the last case. If no daemon runs, it is the default socket.

    Raises:
        NoDaemon: several run, none of them at the default socket.
    """
    default = _find_default(environ)
    if environ.get("CODEXD_SOCKET") or environ.get("CODEXD_HOME") or is_served(default):
        return default
    living = {daemon.socket: daemon for daemon in find_noted() if is_served(daemon.socket)}
    if not living:
        return default
    if len(living) > 1:
        raise NoDaemon(_list(living.values()))
    [only] = living.values()
    report(f"using codexd at {only.address} ({only.process})")
    return only.socket


def find_noted() -> list[RunningDaemon]:
    """The daemons that are noted as running, one that was killed included; none if the home folder is unknown."""
    with suppress(RuntimeError):
        return list(read_running(find_running_folder()))
    return []


def is_served(socket: Path) -> bool:
    """Whether anything listens at the control socket."""
    try:
        connect(socket).close()
    except NoDaemon:
        return False
    return True


def name_older(socket: Path, error: OlderDaemon) -> OlderDaemon:
    """``error`` with the version and the pid of the daemon at ``socket``, if it still answers."""
    with suppress(NoDaemon, Refused), ControlClient(socket) as client:
        status = client.call(PROBE)
        return OlderDaemon(error.reason, f"codexd {status['version']} (pid {status['pid']})")
    return error


def _find_default(environ: Mapping[str, str]) -> Path:
    try:
        return find_socket(environ)
    except RuntimeError:
        raise NoDaemon("your home folder is unknown; set HOME, or choose a daemon with --socket PATH") from None


def _list(daemons: Iterable[RunningDaemon]) -> str:
    lines = [
        f"  --socket {daemon.socket}  {daemon.address} ({daemon.process}, home {daemon.home})" for daemon in daemons
    ]
    return "\n".join(["several codexd are running; choose one with --socket PATH or CODEXD_SOCKET:", *lines])
