"""Where codexd keeps its files. Both programs import this, so in most cases it needs only the standard library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

APP_NAME = "codexd"


class Places(NamedTuple):
    """The folders and the control socket of one daemon."""

    config_dir: Path
    state_dir: Path
    socket: Path

    @property
    def settings(self) -> Path:
        return self.config_dir / "settings.toml"

    @property
    def accounts(self) -> Path:
        return self.state_dir / "accounts.json"

    @property
    def limits(self) -> Path:
        return self.state_dir / "limits.json"

    @property
    def models(self) -> Path:
        return self.state_dir / "models"

    @property
    def usage(self) -> Path:
        return self.state_dir / "usage.sqlite3"


class RunningDaemon(NamedTuple):
    """A daemon that runs, as it noted itself in ``find_running_folder()``. ``home``: its state folder."""

    pid: int
    socket: Path
    address: str
    home: Path
    simulated: bool
    version: str

    @property
    def process(self) -> str:
        """For people: its pid, and whether it is simulated."""
        return f"{'simulated, ' if self.simulated else ''}pid {self.pid}"

    def __str__(self) -> str:
        return f"codexd {self.version} at {self.address} ({self.process}, socket {self.socket})"


def find_places(environ: Mapping[str, str], home: Path | None = None) -> Places:
    """The places of the daemon that this environment points to. ``home`` is the value of ``--home``.

    ``CODEXD_HOME`` (or ``home``) puts everything into one folder; ``CODEXD_SOCKET`` moves only the socket.

    Raises:
        RuntimeError: the user's home folder is unknown.
        OSError: a relative path, and the current folder is gone.
    """
    if home is None and environ.get("CODEXD_HOME"):
        home = Path(environ["CODEXD_HOME"]).expanduser()
    if home is not None:
        home = home.expanduser().absolute()
        return Places(home, home, find_socket(environ, home))
    import platformdirs  # noqa: PLC0415 - takes 50 ms, which codexctl's fast path avoids

    config_dir = platformdirs.user_config_path(APP_NAME, appauthor=False)
    return Places(config_dir, _user_state_dir(), find_socket(environ))


def find_socket(environ: Mapping[str, str], home: Path | None = None) -> Path:
    """The control socket that this environment points to. Raises what ``find_places`` raises."""
    if environ.get("CODEXD_SOCKET"):
        return Path(environ["CODEXD_SOCKET"]).expanduser().absolute()
    if home is None and environ.get("CODEXD_HOME"):
        home = Path(environ["CODEXD_HOME"]).expanduser().absolute()
    if home is not None:
        return home / "control.sock"
    runtime_dir = environ.get("XDG_RUNTIME_DIR")
    if runtime_dir and Path(runtime_dir).is_dir():
        return Path(runtime_dir) / APP_NAME / "control.sock"
    return _user_state_dir() / "control.sock"


def find_running_folder() -> Path:
    """Where the user's running daemons are noted, whatever their homes. Raises what ``find_places`` raises."""
    return _user_state_dir() / "running"


def read_running(folder: Path) -> Iterator[RunningDaemon]:
    """The daemons that are noted in ``folder``; one that was killed may still be. What can't be read is left out."""
    import json  # noqa: PLC0415 - rarely needed

    try:
        notes = sorted(folder.glob("*.json"))
    except OSError:
        return
    for note in notes:
        try:
            found = json.loads(note.read_bytes())
            yield RunningDaemon(
                int(found["pid"]),
                Path(found["socket"]),
                str(found["address"]),
                Path(found["home"]),
                bool(found["simulated"]),
                str(found["version"]),
            )
        except (OSError, ValueError, TypeError, LookupError):
            continue


def _user_state_dir() -> Path:
    import platformdirs  # noqa: PLC0415 - as above

    return platformdirs.user_state_path(APP_NAME, appauthor=False)
