import os

import pytest

from codexd.doctor import kept
from codexd.doctor.finding import Level
from codexd.paths import find_places


def wrong(home):
    findings = kept.check_kept(kept.look(find_places({}, home)))
    return [(each.kind, each.level, each.about) for each in findings if each.level is not Level.OK]


def test_nothing_is_kept_yet(tmp_path):
    assert list(kept.check_kept(kept.look(find_places({}, tmp_path / "none")))) == []


def test_files_that_can_be_read(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/0123456789ab.json").write_text("{}")
    (tmp_path / "limits.json").write_text("{}")
    (tmp_path / "usage.sqlite3").write_bytes(kept.SQLITE_HEAD + b"rest")
    [found] = kept.check_kept(kept.look(find_places({}, tmp_path)))
    assert found.text == "What else codexd keeps can be read: limits.json, 0123456789ab.json, usage.sqlite3."
    (tmp_path / "usage.sqlite3").write_bytes(b"")
    assert wrong(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "kind", "level"),
    [
        ("limits.json", b"{", "cache_broken", Level.WARNING),
        ("limits.json", b"[]", "cache_broken", Level.WARNING),
        ("usage.sqlite3", b"no database at all", "cache_broken", Level.WARNING),
        ("clients.json", b"\xff", "undo_record_broken", Level.PROBLEM),
    ],
)
def test_a_broken_file(tmp_path, name, content, kind, level):
    (tmp_path / name).write_bytes(content)
    assert wrong(tmp_path) == [(kind, level, str(tmp_path / name))]


@pytest.mark.parametrize("name", ["limits.json", "usage.sqlite3", "clients.json"])
def test_something_else_in_place_of_a_file_keeps_nobody_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (tmp_path / "models").write_text("a file")
    found = wrong(tmp_path)
    assert [about for _, _, about in found] == ([] if name == "usage.sqlite3" else [str(tmp_path / name)])
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert [about for _, _, about in wrong(tmp_path)] == [str(tmp_path / name)]
