"""The small program that the first process becomes, in a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from codexd.service.waiter import Waiter


@contextmanager
def waiting(pid):
    """The program, and the socket on which the others report."""
    own, end = socket.socketpair()
    command = [sys.executable, "-m", "codexd.service.waiter", str(own.fileno()), str(pid)]
    with end, subprocess.Popen(command, pass_fds=[own.fileno()], stderr=subprocess.PIPE) as process:
        own.close()
        try:
            yield process, end
        finally:
            process.kill()


@contextmanager
def sleeping():
    """A process that can be signalled."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("status", [0, 2, 130])
def test_it_ends_as_the_last_codexd_does(status):
    with waiting(2**22) as (process, end):
        end.sendall(b"pid 4194303\nend " + str(status).encode() + b"\n")
        end.close()
        assert process.wait(10) == status


def test_the_socket_must_end_first_because_others_may_still_drain():
    with waiting(2**22) as (process, end):
        end.sendall(b"end 0\n")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        end.close()
        assert process.wait(10) == 0


def test_a_codexd_that_died_is_a_failure():
    with waiting(2**22) as (process, end):
        end.close()
        assert process.wait(10) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_codexd_that_runs_now(number):
    waiter = Waiter(2**22)
    with sleeping() as daemon:
        waiter.pass_on(number)
        waiter.receive(b"pid ")
        waiter.receive(f"{daemon.pid}\npid".encode())
        waiter.pass_on(number)
        assert daemon.wait(10) == -number


def test_one_that_died_of_a_signal_that_was_passed_on():
    own, end = socket.socketpair()
    code = "import signal, socket, sys; from codexd.service.waiter import Waiter; waiter = Waiter(int(sys.argv[2]));"
    code += "waiter.pass_on(signal.SIGTERM); sys.exit(waiter.wait(socket.socket(fileno=int(sys.argv[1]))))"
    with sleeping() as daemon, own:
        command = [sys.executable, "-c", code, str(own.fileno()), str(daemon.pid)]
        with subprocess.Popen(command, pass_fds=[own.fileno()]) as process:
            assert daemon.wait(10) == -signal.SIGTERM
            end.close()
            assert process.wait(10) == 128 + signal.SIGTERM
