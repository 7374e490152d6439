"""Listening sockets that are passed to codexd, and those that it opens. ``test_daemon`` has the errors of opening."""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress

import httpx
import pytest
from attrs import evolve
from support.harness import HELLO

from codexd.errors import AddressUnavailable, SettingInvalid
from codexd.service.listeners import (
    Adopted,
    Origin,
    _take_from_launchd,
    _take_from_systemd,
    adopt,
    adopt_descriptors,
    open_listeners,
    pin_address,
)
from codexd.settings.live import LiveSettings

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "PORT", "HOST"))}


SAYS_WHETHER_IT_LISTENS = pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not say")


@pytest.fixture
def passed(tmp_path):
    """Listening sockets as a manager has them, by kind; closed at the end, like everything that a test adopts."""
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "control.sock"))
    unix.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0codexd-test-{os.getpid()}") if sys.platform == "linux" else abstract.bind(str(tmp_path / "x"))
    abstract.listen()
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    kinds = {
        "tcp": socket.create_server(("127.0.0.1", 0)),
        "wide": socket.create_server(("0.0.0.0", 0)),
        "unix": unix,
        "abstract": abstract,
        "deaf": deaf,
        "udp": socket.socket(type=socket.SOCK_DGRAM),
    }
    yield kinds
    for each in kinds.values():
        each.close()


def copies(passed, *named):
    """Descriptors of their own, as after an exec."""
    return [(name, os.dup(passed[kind].fileno())) for name, kind in named]


def close(adopted):
    for each in (*adopted.http, *filter(None, [adopted.control])):
        each.close()


@pytest.mark.parametrize(
    ("named", "http", "control"),
    [
        ([("http", "tcp"), ("control", "unix")], 1, True),
        ([("codexd", "tcp"), ("codexd", "unix")], 1, True),
        ([("http", "tcp"), ("http", "wide")], 2, False),
        ([("control", "unix")], 0, True),
    ],
)
def test_sockets_are_told_apart_by_name_and_kind(passed, named, http, control):
    adopted = adopt_descriptors(copies(passed, *named), Origin.SYSTEMD)
    try:
        assert (len(adopted.http), adopted.control is not None) == (http, control)
        assert not any(each.get_inheritable() for each in (*adopted.http, *filter(None, [adopted.control])))
    finally:
        close(adopted)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ([("htpt", "tcp")], "'htpt' (descriptor"),
        ([("unknown", "tcp")], "FileDescriptorName=http"),
        ([("http", "unix")], "needs a TCP port"),
        ([("control", "tcp")], "is not a Unix socket"),
        pytest.param([("http", "deaf")], "does not listen", marks=SAYS_WHETHER_IT_LISTENS),
        ([("codexd", "udp")], "does not listen"),
        ([("control", "unix"), ("control", "unix")], "several control sockets"),
    ],
)
def test_a_socket_that_can_not_be_used_is_named(passed, named, said):
    with pytest.raises(AddressUnavailable) as refused:
        adopt_descriptors(copies(passed, *named), Origin.SYSTEMD)
    assert said in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_codexctl_could_not_find_a_socket_without_a_path(passed):
    with pytest.raises(AddressUnavailable, match="no path"):
        adopt_descriptors(copies(passed, ("control", "abstract")), Origin.SYSTEMD)


def test_what_is_no_socket_is_named(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(AddressUnavailable, match=f"descriptor {descriptor}"):
            adopt_descriptors([("http", descriptor)], Origin.SYSTEMD)
    finally:
        with suppress(OSError):
            os.close(descriptor)
    with pytest.raises(AddressUnavailable, match="descriptor 4000"):
        adopt_descriptors([("http", 4000)], Origin.SYSTEMD)


OURS = str(os.getpid())


@pytest.mark.parametrize(
    ("environ", "taken"),
    [
        ({}, []),
        ({"LISTEN_PID": OURS, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:control"}, [("http", 3), ("control", 4)]),
        ({"LISTEN_PID": OURS, "LISTEN_FDS": "1"}, [("unknown", 3)]),
        ({"LISTEN_PID": OURS, "LISTEN_FDS": "0"}, []),
        ({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}, []),
        ({"LISTEN_FDS": "1"}, []),
    ],
)
def test_the_variables_of_systemd_are_read_once(environ, taken):
    environ = environ | {"HOME": "/home/me"}
    assert _take_from_systemd(environ) == taken
    assert environ == {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LISTEN_FDS": "two"}, "LISTEN_FDS=two"),
        ({"LISTEN_FDS": "1000000"}, "LISTEN_FDS=1000000"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS=-1"),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "http"}, "must be 2 names"),
    ],
)
def test_variables_that_contradict_each_other(environ, said):
    with pytest.raises(AddressUnavailable, match=said):
        adopt({"LISTEN_PID": OURS, **environ})


class LaunchdLibrary:
    """libc of macOS, as far as it is called, behind real foreign functions."""

    def __init__(self, sockets, otherwise=errno.ENOENT):
        self.freed = []
        arrays = {name: (ctypes.c_int * len(numbers))(*numbers) for name, numbers in sockets.items()}

        def activate(name, array, count):
            if name not in arrays:
                return otherwise
            ctypes.cast(array, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(arrays[name])
            count[0] = len(arrays[name])
            return 0

        pointer = ctypes.POINTER
        signature = (ctypes.c_char_p, pointer(pointer(ctypes.c_int)), pointer(ctypes.c_size_t))
        self.launch_activate_socket = ctypes.CFUNCTYPE(ctypes.c_int, *signature)(activate)
        self.free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.freed.append)


def test_the_sockets_of_launchd():
    library = LaunchdLibrary({b"http": [5, 7], b"control": [9]})
    assert _take_from_launchd(library) == [("http", 5), ("http", 7), ("control", 9)]
    assert len(library.freed) == 2


def test_launchd_has_no_sockets_for_a_program_that_it_has_not_started():
    assert _take_from_launchd(LaunchdLibrary({b"http": [5]})) == [("http", 5)]
    assert _take_from_launchd(LaunchdLibrary({}, otherwise=errno.ESRCH)) == []


def test_launchd_may_refuse():
    with pytest.raises(AddressUnavailable, match="launchd does not hand over the socket 'http'"):
        _take_from_launchd(LaunchdLibrary({}, otherwise=errno.EALREADY))


def live_settings(tmp_path, text="", **flags):
    (tmp_path / "settings.toml").write_text(text)
    named = {f"server.{name}": value for name, value in flags.items()}
    return LiveSettings.open(tmp_path / "settings.toml", environ={}, flags=named)


def test_the_passed_socket_wins_and_the_settings_say_so(tmp_path, passed, caplog):
    caplog.set_level(logging.WARNING)
    live = live_settings(tmp_path, "[server]\nport = 9000\n")
    port = passed["tcp"].getsockname()[1]
    pin_address(Adopted(Origin.SYSTEMD, (passed["tcp"],)), live)
    assert (live.current.server.host, live.current.server.port) == ("127.0.0.1", port)
    assert f"server.port: codexd listens on http://127.0.0.1:{port} instead of http://127.0.0.1:9000" in caplog.text
    with pytest.raises(SettingInvalid, match=r"systemd's socket unit.*`codexctl service install --port PORT`"):
        live.set("server.port", 9001)
    (tmp_path / "settings.toml").write_text("[server]\nport = 9002\n")
    live.reload()
    assert not live.is_pending("server.port")


@pytest.mark.parametrize("flags", [{}, {"host": "localhost", "port": 0}, {"port": "SAME"}])
def test_settings_that_agree_need_no_warning(tmp_path, passed, caplog, flags):
    flags = {name: passed["tcp"].getsockname()[1] if value == "SAME" else value for name, value in flags.items()}
    pin_address(Adopted(Origin.SYSTEMD, (passed["tcp"],)), live_settings(tmp_path, **flags))
    assert caplog.text == ""


@pytest.mark.parametrize("kinds", [["wide"], ["tcp", "wide"]])
def test_a_socket_that_other_machines_can_reach_needs_a_key(tmp_path, passed, kinds):
    adopted = Adopted(Origin.SYSTEMD, tuple(passed[kind] for kind in kinds))
    with pytest.raises(SettingInvalid, match="other machines could use your account"):
        pin_address(adopted, live_settings(tmp_path))
    live = live_settings(tmp_path, '[server]\napi_key = "k"\n')
    pin_address(adopted, live)
    (tmp_path / "settings.toml").write_text("")
    with pytest.raises(SettingInvalid, match=r"still listens on 0\.0\.0\.0"):
        live.reload()


@pytest.mark.parametrize("named", [[("http", "tcp")], [("control", "unix")], []])
def test_what_is_not_passed_is_opened_and_all_is_closed(tmp_path, passed, named):
    server = evolve(live_settings(tmp_path).current.server, port=0)
    adopted = adopt_descriptors(copies(passed, *named), Origin.SYSTEMD)
    with open_listeners(adopted, server, tmp_path / "own.sock", None) as listeners:
        names = [name for name, _ in named]
        assert (listeners.http_origin is Origin.SYSTEMD) == ("http" in names)
        assert (listeners.control_origin is Origin.SYSTEMD) == ("control" in names)
        port = listeners.http[0].getsockname()[1]
        assert listeners.addresses == (f"http://127.0.0.1:{port}",)
        assert (tmp_path / "own.sock").exists() == ("control" not in names)
    assert listeners.http[0].fileno() == listeners.control.fileno() == -1


def test_a_service_that_waits_for_its_first_request_may_have_the_port(tmp_path, passed):
    server = evolve(live_settings(tmp_path).current.server, port=passed["tcp"].getsockname()[1])
    for path, said in (("control.sock", "perhaps the codexd service"), ("other.sock", "another program uses the port")):
        with pytest.raises(AddressUnavailable, match=said):
            with open_listeners(Adopted(), server, tmp_path / path, None):
                pass


# -- as a process -----------------------------------------------------------------------------------

SIMULATED = [sys.executable, "-m", "codexd", "--simulate"]


@contextmanager
def socket_activate(tmp_path, *arguments, names="http:control"):
    """What systemd does for a socket unit: it listens, and starts codexd once somebody connects."""
    program = shutil.which("systemd-socket-activate")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-socket-activate is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    path = tmp_path / "activated.sock"
    places = [
        f"--setenv={name}={value}" for name, value in ENVIRON.items() if name.startswith(("XDG_", "PYTHON", "HOME"))
    ]
    listen = [f"--listen={address}", f"--listen={path}", f"--fdname={names}"]
    command = [program, *places, f"--setenv=CODEXD_HOME={tmp_path}", *listen, *SIMULATED, *arguments]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while "Listening on" not in (line := process.stderr.readline()) or str(path) not in line:
                assert line, "systemd-socket-activate has ended"
            yield process, f"http://{address}", path
        finally:
            process.kill()


def codexctl(*arguments):
    command = [sys.executable, "-m", "codexctl", "--json", *map(str, arguments)]
    return json.loads(subprocess.run(command, env=ENVIRON, check=True, capture_output=True, text=True).stdout)


def test_the_first_request_starts_it(tmp_path):
    with socket_activate(tmp_path) as (process, address, path):
        answer = httpx.post(f"{address}/v1/messages", json=HELLO, trust_env=False, timeout=30)
        assert answer.status_code == 200
        status = codexctl("status", "--socket", path)
        assert (status["pid"], status["addresses"]) == (process.pid, [address])
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in log
    assert path.exists(), "the file of a passed socket belongs to whoever passed it"
    assert not (tmp_path / "control.sock").exists()


def test_the_first_codexctl_starts_it(tmp_path):
    with socket_activate(tmp_path, "--home", str(tmp_path), names="codexd:codexd") as (process, address, path):
        assert codexctl("status", "--socket", path)["pid"] == process.pid
        assert httpx.get(f"{address}/health", trust_env=False).status_code == 200
        found = codexctl("settings", "get", "server.port", "--socket", path)
        assert (str(found["value"]), found["source"]) == (address.rpartition(":")[2], "systemd's socket unit")


def test_a_name_that_codexd_does_not_know_is_wrong_usage(tmp_path):
    with socket_activate(tmp_path, names="web:control") as (process, address, _):
        with pytest.raises(httpx.TransportError):
            httpx.get(address, trust_env=False, timeout=30)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "'web' (descriptor 3) that systemd passes has an unknown name" in said


def test_connections_wait_while_it_restarts(tmp_path):
    """A manager keeps the listening socket: whoever connects during the drain is answered by the next process."""
    body = json.dumps(HELLO).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, start_with(listener, tmp_path) as first:
        with socket.create_connection(listener.getsockname(), timeout=30) as running:
            running.sendall(head + body[:10])
            read_until(first, "listening on")
            while not codexctl("status", "--socket", tmp_path / "control.sock")["streams_in_flight"]:
                pass
            first.terminate()
            read_until(first, "stopping")
            codexctl("status", "--socket", tmp_path / "control.sock")  # once it answers, nothing more is accepted
            with socket.create_connection(listener.getsockname(), timeout=30) as late:
                late.sendall(head + body)
                running.sendall(body[10:])
                assert running.recv(100).startswith(b"HTTP/1.1 200")
                first.communicate(timeout=10)
                with start_with(listener, tmp_path) as second:
                    read_until(second, "listening on")  # it ends in order only from then on
                    assert late.recv(100).startswith(b"HTTP/1.1 200")
                    second.terminate()
                    second.communicate(timeout=10)
    assert (first.returncode, second.returncode) == (0, 0)


def read_until(process, word):
    while word not in (line := process.stderr.readline().decode()):
        assert line, f"codexd ended before it said {word!r}"


PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@contextmanager
def start_with(listener, home):
    """codexd with ``listener`` as descriptor 3, without a manager's tools."""
    number = str(listener.fileno())
    with subprocess.Popen(
        [sys.executable, "-c", PASS_ON, number, *SIMULATED[1:], "--home", str(home)],
        env=ENVIRON,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[listener.fileno()],
    ) as process:
        try:
            yield process
        finally:
            process.kill()
