"""The daemon's listening sockets: those of the HTTP proxy and the control socket, wherever they come from.

A service manager or a predecessor can pass them to this process, already listening. What it does not pass is opened
here. A socket that was passed wins over ``server.host``, ``server.port`` and ``CODEXD_SOCKET``.

Sources: sd_listen_fds(3) of systemd; launch_activate_socket(3) of macOS.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path

from attrs import frozen

from codexd import bounds
from codexd.control.socket import bind_socket
from codexd.errors import AddressUnavailable, SettingInvalid
from codexd.service.running import find_living
from codexd.settings.live import LiveSettings
from codexd.settings.schema import ServerSettings, is_loopback
from codexd.web import server as web

log = logging.getLogger("codexd.daemon")

HTTP = "http"
CONTROL = "control"
EITHER = "codexd"
"""Names of passed sockets. All sockets of one systemd unit have the same name, so ``codexd`` stands for either."""

FIRST_DESCRIPTOR = 3
"""The first one that systemd passes."""


class Origin(StrEnum):
    """Who opened a socket."""

    OPENED = "opened"
    """This process."""
    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    PREDECESSOR = "predecessor"

    @property
    def is_manager(self) -> bool:
        """Whether the socket outlives the daemon: new connections wait in it, and its file is not ours to remove."""
        return self in (Origin.SYSTEMD, Origin.LAUNCHD)


@frozen
class Adopted:
    """The listening sockets that were passed to this process."""

    origin: Origin = Origin.OPENED
    http: tuple[socket.socket, ...] = ()
    control: socket.socket | None = None

    @property
    def control_path(self) -> Path | None:
        return None if self.control is None else Path(self.control.getsockname())

    @property
    def source(self) -> str:
        """For people: what decides where the sockets listen."""
        sources = {Origin.SYSTEMD: "systemd's socket unit", Origin.LAUNCHD: "the launchd agent's socket"}
        return sources.get(self.origin, "the socket of the codexd that ran before")


@frozen
class Listeners:
    """``addresses``: the URL of each HTTP socket."""

    http: tuple[socket.socket, ...]
    control: socket.socket
    addresses: tuple[str, ...]
    http_origin: Origin
    control_origin: Origin

    @property
    def origins(self) -> tuple[Origin, Origin]:
        return self.http_origin, self.control_origin


@contextmanager
def open_listeners(
    adopted: Adopted, server: ServerSettings, control_path: Path, running_folder: Path | None
) -> Iterator[Listeners]:
    """The ``adopted`` sockets; those that are missing are opened. All are closed at the end.

    Raises:
        AddressUnavailable, AlreadyRunning, SettingInvalid: one can't be opened.
    """
    with ExitStack() as stack:
        for passed in (*adopted.http, *filter(None, [adopted.control])):
            stack.enter_context(closing(passed))
        http, addresses, http_origin = adopted.http, tuple(map(_url, adopted.http)), adopted.origin
        if not http:
            opened = stack.enter_context(closing(_open_http(server, control_path, running_folder)))
            http, addresses = (opened,), (_to_url(server.host, opened.getsockname()[1]),)
            http_origin = Origin.OPENED
        control, control_origin = adopted.control, adopted.origin
        if control is None:
            control = stack.enter_context(closing(_open_control(control_path)))
            control_origin = Origin.OPENED
        yield Listeners(http, control, addresses, http_origin, control_origin)


def pin_address(adopted: Adopted, live: LiveSettings) -> None:
    """Let ``server.host`` and ``server.port`` say where the adopted HTTP sockets listen.

    With several, the one that other machines can reach counts: the rules of ``server.host`` protect from them.

    Raises:
        SettingInvalid: other machines can reach it, and ``server.api_key`` is not set.
    """
    if not adopted.http:
        return
    listening = [passed.getsockname()[:2] for passed in adopted.http]
    host, port = next((each for each in listening if not is_loopback(each[0])), listening[0])
    wanted = live.current.server
    ignored = [name for name in ("server.host", "server.port") if name in live.loaded.sources]
    if ignored and not any(_is_at(wanted, *each) for each in listening):
        log.warning(
            "%s: codexd listens on %s instead of %s, because %s takes precedence; change it there",
            " and ".join(ignored),
            ", ".join(_to_url(*each) for each in listening),
            _to_url(wanted.host, wanted.port),
            adopted.source,
        )
    live.pin({"server.host": host, "server.port": port}, adopted.source)
    if wanted.api_key is None and not is_loopback(host):
        raise SettingInvalid(
            f"{adopted.source} listens on {_to_url(host, port)}, where other machines could use your account. Set "
            "server.api_key first, or let it listen on 127.0.0.1."
        )


def _is_at(server: ServerSettings, host: str, port: int) -> bool:
    """Whether a socket listens where the settings say. ``localhost`` is one of the loopback addresses."""
    is_same_host = host == server.host or (server.host == "localhost" and is_loopback(host))
    return is_same_host and server.port in (0, port)


# -- sockets that are passed ------------------------------------------------------------------------


def adopt(environ: MutableMapping[str, str]) -> Adopted:
    """The sockets that the service manager has passed to this process, if any.

    Raises:
        AddressUnavailable: one of them is not usable.
    """
    if passed := _take_from_systemd(environ):
        return adopt_descriptors(passed, Origin.SYSTEMD)
    if sys.platform == "darwin":
        return adopt_descriptors(_take_from_launchd(ctypes.CDLL(None)), Origin.LAUNCHD)
    return Adopted()


def adopt_descriptors(passed: Iterable[tuple[str, int]], origin: Origin) -> Adopted:
    """Adopt named descriptors of listening sockets. Child processes do not inherit them.

    Raises:
        AddressUnavailable: an unknown name, or not a listening socket of the kind that its name says.
    """
    with ExitStack() as undo:
        sockets = [undo.enter_context(closing(_adopt_one(name, number, origin))) for name, number in passed]
        control = [each for each in sockets if each.family == socket.AF_UNIX]
        if len(control) > 1:
            paths = " and ".join(str(each.getsockname()) for each in control)
            raise AddressUnavailable(f"{origin} passes several control sockets ({paths}); codexd can use only one")
        undo.pop_all()
    if not sockets:
        return Adopted()
    http = tuple(each for each in sockets if each not in control)
    return Adopted(origin, http, control[0] if control else None)


def _adopt_one(name: str, descriptor: int, origin: Origin) -> socket.socket:
    shown = f"the socket {name!r} (descriptor {descriptor}) that {origin} passes"
    if name not in (HTTP, CONTROL, EITHER):
        raise AddressUnavailable(
            f"{shown} has an unknown name. Use FileDescriptorName={HTTP} for the HTTP port, {CONTROL} for the control "
            f"socket, or {EITHER} for a unit that has both."
        )
    try:
        os.set_inheritable(descriptor, False)
        adopted = socket.socket(fileno=descriptor)
    except OSError as error:
        raise AddressUnavailable(f"{shown} can't be used ({error.strerror or error})") from error
    if problem := _find_problem(name, adopted):
        adopted.close()
        raise AddressUnavailable(f"{shown} {problem}")
    return adopted


def _find_problem(name: str, adopted: socket.socket) -> str | None:
    """Why codexd can't serve on a socket of this name."""
    is_unix = adopted.family == socket.AF_UNIX
    if adopted.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        return "is neither a TCP socket nor a Unix socket"
    if name == HTTP and is_unix:
        return "is a Unix socket, but the HTTP proxy needs a TCP port"
    if name == CONTROL and not is_unix:
        return "is not a Unix socket, but the control socket must be one"
    if adopted.type != socket.SOCK_STREAM or not _is_listening(adopted):
        return "does not listen for connections. Use ListenStream= and Accept=no."
    if is_unix and not str(adopted.getsockname()).startswith("/"):
        return "has no path in the file system, so codexctl could not find it"
    return None


def _is_listening(adopted: socket.socket) -> bool:
    try:
        return bool(adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # macOS does not say
        return True


def _take_from_systemd(environ: MutableMapping[str, str]) -> list[tuple[str, int]]:
    """The names and descriptors of the ``LISTEN_*`` variables, which are removed: no child process must see them.

    Raises:
        AddressUnavailable: they contradict each other.
    """
    pid, count, names = (environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    environ.pop("LISTEN_PIDFDID", None)
    if not pid or not count:
        return []
    if pid != str(os.getpid()):
        log.warning(
            "the sockets that systemd passed to process %s are not used: codexd is process %d", pid, os.getpid()
        )
        return []
    if not count.isdecimal() or int(count) > bounds.PASSED_SOCKETS:
        raise AddressUnavailable(f"LISTEN_FDS={count}: must be a number from 0 to {bounds.PASSED_SOCKETS}")
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    named = names.split(":") if names else ["unknown"] * len(descriptors)  # as sd_listen_fds_with_names(3) does
    if len(named) != len(descriptors):
        raise AddressUnavailable(f"LISTEN_FDNAMES={names}: must be {count} names, as LISTEN_FDS says")
    return list(zip(named, descriptors, strict=True))


def _take_from_launchd(libc: ctypes.CDLL) -> list[tuple[str, int]]:
    """The descriptors of the sockets ``http`` and ``control`` in the agent's plist.

    Raises:
        AddressUnavailable: launchd refuses to hand them over.
    """
    return [(name, descriptor) for name in (HTTP, CONTROL) for descriptor in _activate_socket(libc, name)]


def _activate_socket(libc: ctypes.CDLL, name: str) -> list[int]:
    """launch_activate_socket(3): returns an error number, and an array of descriptors that the caller has to free."""
    activate, free = libc.launch_activate_socket, libc.free
    descriptors = ctypes.POINTER(ctypes.c_int)
    activate.argtypes = (ctypes.c_char_p, ctypes.POINTER(descriptors), ctypes.POINTER(ctypes.c_size_t))
    activate.restype = ctypes.c_int
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    array, count = descriptors(), ctypes.c_size_t()
    number = activate(name.encode(), ctypes.byref(array), ctypes.byref(count))
    if number in (errno.ESRCH, errno.ENOENT):  # not started by launchd, or the plist has no such socket
        return []
    if number != 0:
        raise AddressUnavailable(f"launchd does not hand over the socket {name!r} ({os.strerror(number)})")
    found = array[: count.value]
    free(array)
    return found


# -- sockets that are opened here -------------------------------------------------------------------


def _open_http(server: ServerSettings, control_path: Path, running_folder: Path | None) -> socket.socket:
    try:
        return web.bind(server.host, server.port)
    except OSError as error:
        where = _to_url(server.host, server.port).removeprefix("http://")
        reason = f"can't listen on {where} ({error.strerror or error})"
        raise AddressUnavailable(
            f"{reason}: {_explain_address(error, server.port, control_path, running_folder)}"
        ) from error


def _open_control(path: Path) -> socket.socket:
    try:
        return bind_socket(path)
    except OSError as error:
        raise AddressUnavailable(
            f"can't create the control socket {path} ({error.strerror or error}). Set CODEXD_SOCKET to a writable path."
        ) from error


def _explain_address(error: OSError, port: int, control_path: Path, running_folder: Path | None) -> str:
    """Why codexd can't listen there, and what to do."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address. Use 127.0.0.1, or set --host or server.host to one that it has."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "only root may use ports below 1024. Choose another with --port or the setting server.port."
    remedy = "uses the port. Stop it, or choose another port with --port or the setting server.port."
    living = find_living(running_folder)
    rival = next((str(daemon) for daemon in living if daemon.address.endswith(f":{port}")), None)
    if rival is None and control_path.is_socket():  # connecting to find out would start that service
        rival = "another program, perhaps the codexd service (see `codexctl service status`),"
    return f"{rival or 'another program'} {remedy}"


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return _to_url(host, port)


def _to_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
