import os
import socket
import sys
from pathlib import Path

import pytest

from codexd.doctor import ports
from codexd.doctor.finding import Level
from codexd.doctor.ports import Port, PortState, Program, name_command, parse_inodes, parse_lsof
from codexd.paths import RunningDaemon

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:C000 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0 0 10 0
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port(taken):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    assert ports.look("127.0.0.1", number) == Port("127.0.0.1", number, PortState.FREE)


def test_a_taken_port_and_who_holds_it(taken):
    found = ports.look("127.0.0.1", taken)
    assert found.state is PortState.TAKEN
    if not Path("/proc/net/tcp").exists():
        pytest.skip("without /proc, the holder is known from lsof only, which may be missing")
    assert found.holder is not None
    assert found.holder.pid == os.getpid()


def test_an_address_that_this_machine_does_not_have():
    assert ports.look("203.0.113.7", 8081).state is PortState.NO_ADDRESS


def test_the_tables_of_the_kernel_and_of_lsof():
    assert list(parse_inodes(TABLE, 8081)) == ["4711"]
    assert list(parse_inodes("", 8081)) == []
    assert parse_lsof("p812\ncnode\nf21\n") == Program(812, "node")
    assert parse_lsof("") is None


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/nginx", "-g", "daemon off;", ""], "nginx"),
        ([sys.executable, "/home/me/.venv/bin/codexd", ""], "codexd"),
        (["python3", "-m", "http.server", "8081", ""], "http.server"),
        (["node", "/opt/x/server.js", ""], "server.js"),
        (["python3", ""], "python3"),
        ([], ""),
    ],
)
def test_the_name_of_a_command_line(words, name):
    assert name_command(words) == name


RIVAL = RunningDaemon(7, Path("/run/x.sock"), "http://127.0.0.1:8081", Path("/x"), False, "1.0")


@pytest.mark.parametrize(
    ("state", "holder", "daemons", "kind", "remedy"),
    [
        (PortState.FREE, None, (), "port_free", None),
        (PortState.TAKEN, Program(9, "nginx"), (), "port_taken", "codexd --port 8082"),
        (PortState.TAKEN, None, (), "port_taken", "codexd --port 8082"),
        (PortState.TAKEN, Program(7, "codexd"), (RIVAL,), "port_of_other_codexd", "codexctl --socket /run/x.sock stop"),
        (PortState.TAKEN, Program(1, "systemd"), (), "port_activated", None),
        (PortState.FORBIDDEN, None, (), "port_forbidden", "codexd --port 8081"),
        (PortState.NO_ADDRESS, None, (), "no_address", "codexctl settings set server.host 127.0.0.1"),
    ],
)
def test_the_address_of_codexd(state, holder, daemons, kind, remedy):
    [found] = ports.check_address(Port("127.0.0.1", 8081, state, holder), daemons)
    assert (found.kind, found.remedy) == (kind, remedy)


def callback(number, holder=None, *, taken=True):
    return Port("127.0.0.1", number, PortState.TAKEN if taken else PortState.FREE, holder)


@pytest.mark.parametrize(
    ("found", "kind", "level"),
    [
        ((callback(1455, taken=False), callback(1457, taken=False)), "callback_ports_free", Level.OK),
        ((callback(1455, Program(7, "codexd")), callback(1457, taken=False)), "callback_ports_free", Level.OK),
        ((callback(1455, Program(9, "codex")), callback(1457, taken=False)), "callback_port_taken", Level.NOTE),
        ((callback(1455, Program(9, "codex")), callback(1457)), "callback_ports_taken", Level.WARNING),
    ],
)
def test_the_ports_of_a_sign_in(found, kind, level):
    [finding] = ports.check_callbacks(found, frozenset({7}))
    assert (finding.kind, finding.level) == (kind, level)


@pytest.mark.parametrize(
    ("holder", "kind"),
    [(None, "port_activated"), (Program(1, "launchd"), "port_activated"), (Program(9, "nginx"), "port_taken")],
)
def test_the_manager_may_hold_the_port_unseen(holder, kind):
    """launchd runs as root, so lsof does not show its sockets to the user."""
    [found] = ports.check_address(Port("127.0.0.1", 8081, PortState.TAKEN, holder), (), "launchd")
    assert found.kind == kind
