"""A daemon of scripted answers at a real socket, for what a user and codexctl say to each other."""

import collections
import contextlib
import os
import pty
import queue
import select
import socket
import subprocess
import sys
import termios
import threading
import time

import pytest

from codexd import rpc

TIMEOUT_S = 20
LATER = object()
"""An answer that the test gives by ``ScriptedDaemon.reply``."""


class Refusal(Exception):
    def __init__(self, message, kind="login_failed"):
        super().__init__(message)
        self.kind = kind


class ScriptedDaemon:
    """``answers``: by method, a result, LATER, a Refusal, or a function of the params that gives one."""

    def __init__(self, path):
        self.path = path
        self.answers = {}
        self.calls = []
        self._arrived = queue.Queue()
        self._held = collections.defaultdict(queue.Queue)
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def next_call(self, method):
        """The params of the next call of ``method``; those of other methods before it are passed over."""
        while True:
            name, params = self._arrived.get(timeout=TIMEOUT_S)
            if name == method:
                return params

    def reply(self, method, answer):
        """Answer the call of ``method`` that was held."""
        connection, id_ = self._held[method].get(timeout=TIMEOUT_S)
        self._send(connection, _message(id_, answer))

    def hang_up(self, method):
        connection, _ = self._held[method].get(timeout=TIMEOUT_S)
        connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = rpc.Connection()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                for request in reader.receive_data(data):
                    self._answer(connection, request)

    def _answer(self, connection, request):
        answer = self.answers.get(request.method, Refusal(f"not scripted: {request.method}"))
        if callable(answer):
            answer = answer(request.params or {})
        if answer is LATER:
            self._held[request.method].put((connection, request.id))
        self.calls.append((request.method, request.params or {}))
        self._arrived.put(self.calls[-1])
        if answer is not LATER:
            self._send(connection, _message(request.id, answer))

    def _send(self, connection, message):
        with self._lock:
            connection.sendall(rpc.encode(message))


def _message(id_, answer):
    if isinstance(answer, Refusal):
        return rpc.Failure(id_, rpc.ErrorCode.REFUSED, str(answer), {"kind": answer.kind})
    return rpc.Result(id_, answer)


class Terminal:
    """codexctl at a terminal of its own: what is shown, and what is typed."""

    def __init__(self, command, environ, size=None):
        self._ours, theirs = pty.openpty()
        if size is not None:
            termios.tcsetwinsize(theirs, size)
        # In a session of its own, so that a prompt for a secret does not open the terminal of whoever runs the tests.
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        self._theirs = theirs
        self.shown = ""

    def type(self, text):
        os.write(self._ours, text.encode())

    def wait_for(self, text):
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown, but {self.shown!r}"
            self._read(0.2)

    def end(self):
        """The exit status."""
        while self.process.poll() is None:
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        os.close(self._ours)

    def _read(self, timeout_s):
        ready, _, _ = select.select([self._ours], [], [], timeout_s)
        if ready:
            self.shown += os.read(self._ours, 65536).decode().replace("\r\n", "\n")
        return bool(ready)


@pytest.fixture
def daemon(tmp_path):
    scripted = ScriptedDaemon(tmp_path / "control.sock")
    yield scripted
    scripted.close()


@pytest.fixture
def environ(daemon):
    gone = ("CODEXD_", "SSH_", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
    return kept | {"CODEXD_SOCKET": str(daemon.path), "PYTHONUTF8": "1", "TERM": "xterm", "DISPLAY": ":99"}


@pytest.fixture
def piped(environ):
    """Starts codexctl without a terminal."""
    started = []

    def start(*arguments, **changes):
        command = [sys.executable, "-m", "codexctl", *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environ | changes, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def terminal(environ):
    """Starts codexctl at a terminal."""
    started = []

    def start(*arguments, size=None, **changes):
        started.append(Terminal([sys.executable, "-m", "codexctl", *arguments], environ | changes, size))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def scripting():
    """What a test scripts with: the values LATER and Refusal."""
    return LATER, Refusal
