"""The notes of daemons that run, and the homes of those that were killed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from codexd.paths import RunningDaemon, read_running
from codexd.service.running import HOME_PREFIX, LOCK, find_living, make_temporary_home, noted, share_temporary_home


def make_daemon(path, pid=1, **changed):
    own = RunningDaemon(pid, path, "http://127.0.0.1:8081", path.parent, False, "0.1.0")
    return own._replace(**changed)


@pytest.fixture
def listening():
    """Gives a function that listens at a path."""
    with ExitStack() as stack:

        def listen(path):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()
            return listener

        yield listen


@pytest.mark.parametrize("name", ["control.sock", "c\udcff.sock"])
def test_a_daemon_is_noted_while_it_runs(tmp_path, listening, name):
    folder, daemon = tmp_path / "running", make_daemon(tmp_path / name, simulated=True)
    listening(daemon.socket)
    with noted(daemon, folder):
        assert list(find_living(folder)) == [daemon]
        assert (folder / "1.json").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []


def test_the_notes_of_killed_daemons_are_deleted_and_of_living_ones_kept(tmp_path, listening):
    folder = tmp_path / "running"
    dead, living = make_daemon(tmp_path / "dead.sock", pid=1), make_daemon(tmp_path / "living.sock", pid=2)
    heir, own = make_daemon(tmp_path / "own.sock", pid=3), make_daemon(tmp_path / "own.sock", pid=4)
    listening(living.socket)
    with ExitStack() as stack:
        for each in (dead, living, heir):
            stack.enter_context(noted(each, tmp_path / f"{each.pid}"))
            folder.mkdir(exist_ok=True)
            shutil.copy(tmp_path / f"{each.pid}" / f"{each.pid}.json", folder)
        listening(own.socket)
        with noted(own, folder):
            assert set(read_running(folder)) == {living, own}


def test_a_killed_one_does_not_live(tmp_path, listening):
    left, never = make_daemon(tmp_path / "left.sock", pid=1), make_daemon(tmp_path / "never.sock", pid=2)
    listening(left.socket).close()
    with noted(left, tmp_path), noted(never, tmp_path):
        assert list(find_living(tmp_path)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"pid": "x"}', b'{"pid": null}'])
def test_a_note_that_can_not_be_read_is_left_out(tmp_path, content):
    (tmp_path / "1.json").write_bytes(content)
    assert list(read_running(tmp_path)) == []


def test_a_folder_that_can_not_be_written_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").touch()
    with noted(make_daemon(tmp_path / "x.sock"), tmp_path / "file" / "running"):
        assert "--socket" in caplog.text
    with noted(make_daemon(tmp_path / "x.sock"), None):
        assert list(find_living(None)) == []


# -- temporary homes --------------------------------------------------------------------------------


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_home_lasts_as_long_as_its_daemon(temporary):
    with ExitStack() as stack:
        home = make_temporary_home(stack)
        assert home.parent == temporary
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_a_shared_home_lasts_as_long_as_the_last_of_its_daemons(temporary, first_leaves_first):
    first, second = ExitStack(), ExitStack()
    home = make_temporary_home(first)
    share_temporary_home(home, second)
    leaving, staying = (first, second) if first_leaves_first else (second, first)
    leaving.close()
    with ExitStack() as another:
        make_temporary_home(another)
        assert home.exists()
    staying.close()
    assert not home.exists()


def test_only_the_home_of_a_killed_daemon_is_deleted(temporary):
    code = (
        "import os, tempfile; from contextlib import ExitStack; from codexd.service.running import make_temporary_home;"
        f"tempfile.tempdir = {str(temporary)!r}; stack = ExitStack();"
        "print(make_temporary_home(stack), flush=True); os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    dead = Path(killed.stdout.strip())
    assert (dead / LOCK).exists()
    users = temporary / f"{HOME_PREFIX}mine"  # a user may name a --home so
    users.mkdir()
    (users / "accounts.json").touch()
    with ExitStack() as stack:
        living = make_temporary_home(stack)
        assert not dead.exists()
        make_temporary_home(stack)
        assert living.exists()
    assert [path.name for path in temporary.iterdir()] == [users.name]


def test_a_home_that_is_just_being_made_is_left(temporary):
    fresh = temporary / f"{HOME_PREFIX}fresh"
    fresh.mkdir()
    (fresh / f".{LOCK}").touch()
    with ExitStack() as stack:
        make_temporary_home(stack)
        assert fresh.exists()


def test_a_link_to_another_folder_is_not_followed(temporary):
    precious = temporary / "precious"
    precious.mkdir()
    (precious / LOCK).touch()
    (temporary / f"{HOME_PREFIX}link").symlink_to(precious)
    with ExitStack() as stack:
        make_temporary_home(stack)
    assert list(precious.iterdir()) == [precious / LOCK]
