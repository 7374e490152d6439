"""What a service runs and where it listens, and how a file of ours is told from one that somebody else wrote.

A service manager opens the socket before codexd runs, so codexctl reads the address from the settings itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import socket
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Self

from codexctl.service import MAX_PORT

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8081
HOST_VARIABLES = ("CODEXD_SERVER_HOST", "CODEXD_HOST", "HOST")
PORT_VARIABLES = ("CODEXD_SERVER_PORT", "CODEXD_PORT", "PORT")
KEY_VARIABLE = "CODEXD_SERVER_API_KEY"

LABEL = "codexctl: "
"""Begins the line of a service file that says what it was made from."""

WRITTEN = "Written by `codexctl service install`. To change this file, run that again rather than edit it."


class Definition(NamedTuple):
    """All that the service files are made from, besides the settings.

    ``home``, ``host`` and ``port`` are codexd's options, if given; ``socket`` is the control socket, if it is not at
    its default place. ``environment`` holds the variables that were copied from the user's shell. ``lingering``:
    whether it was turned on for this service, so that uninstalling turns it off.
    """

    executable: Path
    home: Path | None = None
    host: str | None = None
    port: int | None = None
    socket: Path | None = None
    environment: Mapping[str, str] = {}
    lingering: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """The command line of the daemon."""
        options = {"--home": self.home, "--host": self.host, "--port": self.port}
        given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
        return (str(self.executable), *given)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables to set."""
        return {**self.environment, **({"CODEXD_SOCKET": str(self.socket)} if self.socket else {})}

    def to_json(self) -> dict[str, Any]:
        values = {name: str(value) if isinstance(value, Path) else value for name, value in self._asdict().items()}
        return {name: value for name, value in values.items() if value not in (None, {}, False)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Raises TypeError, LookupError."""
        paths = {name: Path(values[name]) for name in ("executable", "home", "socket") if name in values}
        return cls(**{**values, **paths})


# -- where it listens --------------------------------------------------------------------------------


class AddressInvalid(Exception):
    """No service can listen there; the text says what to do."""


class Address(NamedTuple):
    """``numeric`` has the IP addresses of ``host``."""

    host: str
    port: int
    numeric: tuple[str, ...]

    @property
    def sockets(self) -> tuple[str, ...]:
        """``127.0.0.1:8081`` and ``[::1]:8081``."""
        return tuple(to_socket(each, self.port) for each in self.numeric)

    def __str__(self) -> str:
        return to_socket(self.host, self.port)


def to_socket(host: str, port: int | str) -> str:
    """``host:port``, with brackets where IPv6 needs them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def find_address(definition: Definition, settings: Path) -> Address:
    """Where codexd listens: by the command line, the service's environment, the file ``settings`` or the default.

    Raises:
        AddressInvalid
    """
    server = _read_server(settings)
    environ = definition.environment
    host = definition.host or _first(environ, HOST_VARIABLES) or server.get("host", DEFAULT_HOST)
    port = definition.port or _first(environ, PORT_VARIABLES) or server.get("port", DEFAULT_PORT)
    address = _resolve(str(host).strip("[]"), _read_port(port))
    if not (environ.get(KEY_VARIABLE) or server.get("api_key") or _is_loopback(address)):
        raise AddressInvalid(
            f"server.host is {address.host}, so other machines could use your account. Set server.api_key first, or "
            "use 127.0.0.1."
        )
    return address


def _read_server(settings: Path) -> Mapping[str, Any]:
    """The table ``server`` of the settings file. The daemon says what is wrong in the others."""
    try:
        server = tomllib.loads(settings.read_text(encoding="utf-8")).get("server", {})
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AddressInvalid(f"{settings} can't be read: {error.strerror or error}.") from None
    except ValueError as wrong:
        raise AddressInvalid(f"{settings} is not TOML: {wrong}. Correct it first.") from None
    return server if isinstance(server, dict) else {}


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _read_port(raw: Any) -> int:
    try:
        port = int(raw)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port <= MAX_PORT:
        raise AddressInvalid(f"server.port is {raw}, but a service needs a fixed port from 1 to {MAX_PORT}.")
    return port


def _resolve(host: str, port: int) -> Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressInvalid(f"server.host is {host}, which has no address ({error}). Use 127.0.0.1.") from None
    return Address(host, port, tuple(dict.fromkeys(str(each[4][0]) for each in found)))


def _is_loopback(address: Address) -> bool:
    return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in address.numeric)


# -- its files ---------------------------------------------------------------------------------------


_PASSWORD = re.compile(r"(?<=://)[^/\s\"<]+(?=@)")
_SECRET = re.compile(
    r"((?:KEY|TOKEN|SECRET|PASSWORD)(?:=|</key>\s+[+-]?\s*<string>))(?:\\.|[^\\\"<\n])+", re.IGNORECASE
)


def hide_secrets(text: str) -> str:
    """``text`` of a service file without the passwords and keys that variables may have."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub("***", text))


def to_lines(text: str) -> list[str]:
    """The lines of a service file for people: without the one that only codexctl reads, which has the variables."""
    return [line for line in text.splitlines() if LABEL not in line]


class Origin(Enum):
    """Where a service file comes from."""

    ABSENT = "absent"
    OURS = "ours"
    """``codexctl service install`` wrote it, and nobody has changed it since."""
    EDITED = "edited"
    """The same, but somebody has changed it."""
    FOREIGN = "foreign"
    """Somebody else wrote it."""
    LINK = "link"
    """A symbolic link: masked, or managed by another program."""


class ServiceFile(NamedTuple):
    """A service file as it is now. ``definition`` is what it was made from, if it is ours."""

    path: Path
    origin: Origin
    text: str = ""
    definition: Definition | None = None
    target: str = ""
    """Where the link leads to."""


def sign(text: str, definition: Definition, *, comment: str = "# {}", line: int = 0) -> str:
    """``text`` with the two comments that mark a service file as ours, above its line number ``line``."""
    values = {"sha256": _digest(text), "options": definition.to_json()}
    encoded = json.dumps(values).replace("--", "-\\u002d")  # "--" would end a comment in XML
    lines = text.splitlines(keepends=True)
    marks = [comment.format(each) + "\n" for each in (WRITTEN, LABEL + encoded)]
    return "".join([*lines[:line], *marks, *lines[line:]])


def parse(path: Path, text: str) -> ServiceFile:
    """The service file at ``path`` with this ``text``."""
    lines = text.splitlines(keepends=True)
    place = next((number for number, line in enumerate(lines) if LABEL in line), None)
    if place is None:
        return ServiceFile(path, Origin.FOREIGN, text)
    try:
        values, _ = json.JSONDecoder().raw_decode(lines[place].partition(LABEL)[2])
        definition = Definition.from_json(values["options"])
        digest = values["sha256"]
    except (ValueError, TypeError, LookupError, AttributeError):
        return ServiceFile(path, Origin.FOREIGN, text)
    body = "".join(line for number, line in enumerate(lines) if number not in (place - 1, place))
    return ServiceFile(path, Origin.OURS if digest == _digest(body) else Origin.EDITED, text, definition)


def read(path: Path) -> ServiceFile:
    """The service file at ``path``, which need not exist.

    Raises:
        OSError: it can't be read.
    """
    if path.is_symlink():
        return ServiceFile(path, Origin.LINK, target=str(path.readlink()))
    try:
        return parse(path, path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        return ServiceFile(path, Origin.ABSENT)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
