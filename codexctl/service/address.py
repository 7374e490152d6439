"""Where a service has to listen: its socket is opened before codexd runs, so codexctl reads the settings itself."""

from __future__ import annotations

import ipaddress
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from codexctl.service.definition import Definition

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8081
HOST_VARIABLES = ("CODEXD_SERVER_HOST", "CODEXD_HOST", "HOST")
PORT_VARIABLES = ("CODEXD_SERVER_PORT", "CODEXD_PORT", "PORT")
KEY_VARIABLE = "CODEXD_SERVER_API_KEY"
MAX_PORT = 65535


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


def find_conflict(address: Address) -> tuple[str, str] | None:
    """The socket that can't be opened, and why not. It is tried, and closed again at once."""
    for host, name in zip(address.numeric, address.sockets, strict=True):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, address.port))
            except OSError as error:
                return name, error.strerror or str(error)
    return None


def _read_server(settings: Path) -> Mapping[str, Any]:
    """The table ``server`` of the settings file. The daemon says what is wrong in the others."""
    try:
        server = tomllib.loads(settings.read_text(encoding="utf-8-sig")).get("server", {})
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise AddressInvalid(f"{settings} can't be read: {error.strerror or error}.") from None
    except ValueError as wrong:
        raise AddressInvalid(f"{settings}: not TOML: {wrong}. Correct it first.") from None
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
