"""Private folders and atomic files."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from support.small_disk import mounted

from codexd import bounds
from codexd.files import (
    ReservedSpace,
    delete_leftovers,
    explain,
    keep_aside,
    make_private_folder,
    narrow_file,
    read_private,
    write_atomic,
)


def test_a_file_is_private_and_replaced_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_names_the_file(tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    for path in (tmp_path / "file", tmp_path / "missing" / "file"):
        with pytest.raises(OSError) as caught:
            write_atomic(path, b"x")
        assert caught.value.filename == str(path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left", "/a"), "/a can't be used: No space left. Free some disk space."),
        (OSError(errno.ENOSPC, "No space left"), "/place can't be used: No space left. Free some disk space."),
        (OSError(errno.EIO, "Input/output error", "/a"), "/a can't be used: Input/output error."),
        (OSError("odd"), "/place can't be used: odd."),
    ],
)
def test_what_failed_is_said_with_what_to_do(error, said):
    assert explain(error, Path("/place")) == said


def test_folders_are_private_also_when_they_were_wider(tmp_path):
    folder = tmp_path / "a" / "b"
    make_private_folder(folder)
    folder.chmod(0o755)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_kept_aside_pushes_out_nothing(tmp_path):
    path = tmp_path / "list.json"
    for content in ("first", "second", "third"):
        path.write_text(content)
        assert keep_aside(path).read_text() == content
    names = ["list.json.unreadable", "list.json.unreadable.2", "list.json.unreadable.3"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names


def test_a_file_is_narrowed_when_it_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_text("content")
    path.chmod(0o644)
    assert read_private(path) == b"content"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_a_file_is_not_waited_for(tmp_path):
    path = tmp_path / "file"
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        read_private(path)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, bounds.OWN_FILE_BYTES + 1)
    with pytest.raises(OSError, match="too large"):
        read_private(path)


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o640, 0o600), (0o400, 0o400), (0o700, 0o700)])
def test_only_what_others_may_do_is_taken(tmp_path, before, after):
    path = tmp_path / "file"
    path.touch()
    path.chmod(before)
    narrow_file(path)
    assert path.stat().st_mode & 0o777 == after


def test_narrowing_leaves_folders_and_absent_files_alone(tmp_path):
    tmp_path.chmod(0o755)
    narrow_file(tmp_path)
    narrow_file(tmp_path / "absent")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_the_leftovers_of_a_killed_write_are_deleted_and_nothing_else(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(descriptor):
        raise Killed

    monkeypatch.setattr(os, "fsync", kill)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    with pytest.raises(Killed):
        write_atomic(tmp_path / "file", b"secret")
    monkeypatch.undo()
    (leftover,) = tmp_path.iterdir()
    kept = {"file", ".file", ".file.swp", ".file.ABCDEFGH", ".other.abcdefgh", ".file.abcdefghi"}
    for name in kept:
        (tmp_path / name).touch()
    delete_leftovers(tmp_path, "file")
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert not leftover.exists()


def test_reserved_space_becomes_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with ReservedSpace(path, 5000) as space:
        assert path.read_bytes() == b"old"
        space.write(b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


def test_unused_reserved_space_is_given_back_and_may_be_a_leftover(tmp_path):
    with ReservedSpace(tmp_path / "file", 5000):
        assert sum(each.stat().st_size for each in tmp_path.iterdir()) == 5000
    assert list(tmp_path.iterdir()) == []
    ReservedSpace(tmp_path / "file", 10)
    delete_leftovers(tmp_path, "file")
    assert list(tmp_path.iterdir()) == []


def test_reserved_space_that_is_gone_is_made_up_for(tmp_path):
    with ReservedSpace(tmp_path / "file", 10) as space:
        delete_leftovers(tmp_path, "file")
        space.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_space_is_reserved_on_a_full_disk_only_if_it_was_reserved_before(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        with ReservedSpace(disk.path / "file", 8000) as space:
            disk.fill()
            with pytest.raises(OSError, match=re.escape(str(disk.path / "file"))):
                ReservedSpace(disk.path / "file", 8000)
            space.write(b"x" * 8000)
        assert (disk.path / "file").stat().st_size == 8000
