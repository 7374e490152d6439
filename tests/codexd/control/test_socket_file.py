"""The socket's file: private, never taken from a live daemon, a dead one's replaced."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from codexd.control.socket import MAX_PATH_BYTES, bind_socket, peer_uid, removed_at_end
from codexd.errors import AlreadyRunning, SettingInvalid


def test_no_successor_takes_the_file_of_a_daemon_that_is_still_ending(tmp_path):
    path = tmp_path / "control.sock"
    with bind_socket(path) as listener, removed_at_end(listener):
        listener.close()
        with pytest.raises(AlreadyRunning):
            bind_socket(path)
    assert not path.exists()


def test_a_missing_folder_is_made_private(tmp_path):
    with bind_socket(tmp_path / "run" / "codexd" / "control.sock"):
        assert stat.S_IMODE((tmp_path / "run" / "codexd").stat().st_mode) == 0o700


def test_a_folder_that_others_share_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    with bind_socket(tmp_path / "control.sock"):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_leftover_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    bind_socket(path).close()
    assert path.exists()
    with bind_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_live_socket_is_never_taken(tmp_path):
    path = tmp_path / "control.sock"
    with bind_socket(path):
        before = path.stat()
        with pytest.raises(AlreadyRunning, match=r"control\.sock"):
            bind_socket(path)
        assert os.path.samestat(path.stat(), before)


def test_a_file_that_is_no_socket_is_left(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(SettingInvalid, match="is not a socket"):
        bind_socket(path)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_says_so(tmp_path):
    path = tmp_path / ("x" * MAX_PATH_BYTES)
    with pytest.raises(SettingInvalid, match=r"too long .* shorter --home, or set CODEXD_SOCKET"):
        bind_socket(path)
    with tempfile.TemporaryDirectory() as folder:
        longest = Path(folder) / ("x" * (MAX_PATH_BYTES - len(folder) - 1))
        bind_socket(longest).close()
        assert longest.exists()


def test_what_a_killed_daemon_left_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    script = (
        "import os, pathlib, signal, sys\n"
        "from codexd.control.socket import bind_socket\n"
        "listener = bind_socket(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert path.exists()
    with bind_socket(path):
        pass


@pytest.fixture
def hasty_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_of_many_that_find_a_leftover_one_gets_it(tmp_path, hasty_threads):
    path = tmp_path / "control.sock"
    for _ in range(40):
        bind_socket(path).close()
        (listener,) = bind_at_once(path, 8)
        with listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listener.accept()[0].close()


def bind_at_once(path, count):
    """The listeners of those that got the socket; the others were told that somebody has it."""
    listeners, refused, start = [], [], threading.Barrier(count)

    def bind():
        start.wait()
        try:
            listeners.append(bind_socket(path))
        except AlreadyRunning as error:
            refused.append(error)

    threads = [threading.Thread(target=bind) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listeners) + len(refused) == count
    return listeners


@pytest.mark.skipif(sys.platform == "darwin", reason="a full backlog refuses there, as a dead socket does")
def test_a_daemon_that_is_too_busy_to_accept_is_alive(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as clients:
        busy.bind(str(path))
        busy.listen(0)
        with pytest.raises(BlockingIOError):
            while True:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        with pytest.raises(AlreadyRunning):
            bind_socket(path)
        assert path.exists()


async def test_the_kernel_says_who_the_peer_is():
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()
