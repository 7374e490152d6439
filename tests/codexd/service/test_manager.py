"""What a service manager is told: this test plays systemd. ``test_listeners`` has the sockets that it passes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from codexd.api.daemon import Service
from codexd.service.manager import Manager, describe_service

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "PORT", "HOST"))}


class NotifySocket:
    """systemd's end of ``NOTIFY_SOCKET``."""

    def __init__(self, address):
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self._socket.settimeout(20)

    def receive(self):
        return self._socket.recv(4096).decode()

    def received(self):
        """All that has come."""
        self._socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.receive())
        except BlockingIOError:
            return found

    def until(self, prefix):
        """The messages up to the first with this beginning."""
        found = [self.receive()]
        while not found[-1].startswith(prefix):
            found.append(self.receive())
        return found

    def close(self):
        self._socket.close()
        Path(self.address).unlink(missing_ok=True)


@pytest.fixture
def systemd(tmp_path):
    notify = NotifySocket(str(tmp_path / "notify"))
    yield notify
    notify.close()


@pytest.mark.parametrize(
    ("environ", "address", "watchdog_s"),
    [
        ({}, None, None),
        ({"NOTIFY_SOCKET": ""}, None, None),
        ({"NOTIFY_SOCKET": "/run/notify"}, "/run/notify", None),
        ({"NOTIFY_SOCKET": "@abstract"}, "\0abstract", None),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, None, None),
        ({"WATCHDOG_USEC": "60000000"}, None, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, None, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None, None),
        ({"WATCHDOG_USEC": "0"}, None, None),
        ({"WATCHDOG_USEC": "soon"}, None, None),
    ],
)
def test_the_variables(environ, address, watchdog_s):
    found = Manager.of(environ, 7)
    assert (found.address, found.watchdog_s) == (address, watchdog_s)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
def test_an_abstract_socket():
    systemd = NotifySocket(f"@codexd-test-{os.getpid()}")
    try:
        Manager.of({"NOTIFY_SOCKET": systemd.address}, 1).ready()
        assert systemd.received() == ["READY=1"]
    finally:
        systemd.close()


def test_a_reload_says_when(systemd):
    manager = Manager(systemd.address)
    before = time.monotonic_ns() // 1000
    manager.reloading()
    manager.ready()
    reloading, ready = systemd.received()
    first, _, at = reloading.partition("\nMONOTONIC_USEC=")
    assert (first, ready) == ("RELOADING=1", "READY=1")
    assert before <= int(at) <= time.monotonic_ns() // 1000


def test_the_stop_may_take_as_long_as_the_drain(systemd):
    Manager(systemd.address).stopping(30.0)
    assert systemd.received() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000"]


async def test_the_status_is_sent_when_it_changes(systemd, autojump_clock):
    texts = ["a", "a", "b\nREADY=1 " + "x" * 1000, "b\nREADY=1 " + "x" * 1000, "a"]
    start = trio.current_time()
    with trio.move_on_after(len(texts) - 0.5):
        await Manager(systemd.address).keep_informed(lambda: texts[int(trio.current_time() - start)])
    first, second, third = systemd.received()
    assert (first, third) == ("STATUS=a", "STATUS=a")
    assert second.startswith("STATUS=b READY=1 xxx")
    assert len(second) < 600


async def test_signs_of_life_come_at_half_of_the_time_and_only_from_a_loop_that_runs(systemd, autojump_clock):
    manager = Manager(systemd.address, watchdog_s=10.0)
    with trio.move_on_after(12.5):
        await manager.keep_informed(lambda: "same")
    assert sorted(systemd.received()) == ["STATUS=same", *["WATCHDOG=1"] * 3]


async def test_a_loop_that_stands_still_gives_no_sign_of_life(systemd):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Manager(systemd.address, watchdog_s=0.02).keep_informed, lambda: "")
        while "WATCHDOG=1" not in systemd.received():
            await trio.sleep(0.01)
        systemd.received()
        time.sleep(0.2)  # noqa: ASYNC251 - a blocked loop is what this is about
        assert systemd.received() == []
        nursery.cancel_scope.cancel()


def fill(systemd):
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    filler.setblocking(False)
    with filler, pytest.raises(BlockingIOError):
        while True:
            filler.sendto(b"noise", systemd.address)


async def test_a_manager_that_does_not_read_learns_of_the_new_process_all_the_same(systemd, autojump_clock, nursery):
    manager = Manager(systemd.address)
    fill(systemd)
    nursery.start_soon(manager.hand_over, 7)
    await trio.sleep(5)
    assert set(systemd.received()) == {"noise"}
    await trio.sleep(5)
    manager.stopping(1.0)
    assert systemd.received() == ["MAINPID=7"]
    assert manager.address is None


async def test_a_manager_that_does_not_read_is_never_waited_for(systemd, autojump_clock):
    manager = Manager(systemd.address)
    fill(systemd)
    manager.ready()
    manager.stopping(1.0)
    assert set(systemd.received()) == {"noise"}
    with trio.move_on_after(0.5):
        await manager.keep_informed(lambda: "late")
    assert [message.partition("\n")[0] for message in systemd.received()] == ["READY=1", "STOPPING=1", "STATUS=late"]


async def test_a_manager_that_is_gone_is_said_once_and_may_come_back(systemd, tmp_path, autojump_clock, caplog):
    manager = Manager(systemd.address, watchdog_s=1.0)
    systemd.close()
    with trio.move_on_after(5):
        await manager.keep_informed(lambda: f"at {trio.current_time()}")
    assert caplog.text.count("the service manager can't be notified") == 1
    again = NotifySocket(systemd.address)
    try:
        manager.ready()
        assert again.received() == ["READY=1"]
    finally:
        again.close()


USER_UNIT = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/codexd.service\n"


@pytest.mark.parametrize(
    ("environ", "parent", "cgroup", "manager", "unit"),
    [
        ({}, 1, "", None, None),
        ({"SYSTEMD_EXEC_PID": "7"}, 1, USER_UNIT, "systemd", "codexd.service"),
        ({"SYSTEMD_EXEC_PID": "7"}, 1, "", "systemd", None),
        ({"SYSTEMD_EXEC_PID": "6", "INVOCATION_ID": "x", "NOTIFY_SOCKET": "/n"}, 6, USER_UNIT, None, None),
        ({"INVOCATION_ID": "x"}, 6, USER_UNIT, None, None),
        ({"NOTIFY_SOCKET": "/n"}, 1, USER_UNIT, "systemd", "codexd.service"),
        ({"XPC_SERVICE_NAME": "io.github.codexd"}, 1, "", "launchd", "io.github.codexd"),
        ({"XPC_SERVICE_NAME": "0"}, 1, "", None, None),
        ({"XPC_SERVICE_NAME": "application.com.apple.Terminal"}, 6, "", None, None),
    ],
)
@pytest.mark.parametrize("activated", [True, False])
def test_what_runs_the_daemon(environ, parent, cgroup, manager, unit, activated):
    found = describe_service(environ, 7, parent, cgroup, activated=activated)
    assert found == Service(manager, unit, activated)


# -- as a process -----------------------------------------------------------------------------------


@contextmanager
def running(systemd, home, **environ):
    command = [sys.executable, "-m", "codexd", "--simulate", "--port", "0", "--home", str(home)]
    with subprocess.Popen(
        command,
        env=ENVIRON | {"NOTIFY_SOCKET": systemd.address} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_life_of_a_service(systemd, tmp_path):
    with running(systemd, tmp_path, WATCHDOG_USEC="200000") as process:
        started = systemd.until("READY=1")
        address = re.search(r"listens on http://127.0.0.1:(\d+)", process.stdout.readline())[1]
        socket.create_connection(("127.0.0.1", int(address))).close()
        assert all(message.startswith(("STATUS=", "WATCHDOG=1", "READY=1")) for message in started)
        told = [*started, *systemd.until("WATCHDOG=1"), *systemd.until("WATCHDOG=1")]
        assert "STATUS=Ready: requests go to simulated@example.com (simulated); requests in flight: 0" in told
        (tmp_path / "settings.toml").write_text("[server")
        process.send_signal(signal.SIGHUP)
        assert systemd.until("RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.until("READY=1")
        assert "the settings file is broken" in systemd.until("STATUS=")[-1]
        process.terminate()
        assert systemd.until("STOPPING=1")
        process.communicate(timeout=10)
    assert process.returncode == 0
