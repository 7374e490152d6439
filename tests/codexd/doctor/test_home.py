import errno
import os
import stat
from pathlib import Path

import attrs
import pytest

from codexd.doctor import home
from codexd.doctor.finding import Level
from codexd.doctor.home import Entry, Home, Space
from codexd.paths import Places, find_places

STATE = Path("/home/me/.local/state/codexd")
PLACES = Places(Path("/home/me/.config/codexd"), STATE, STATE / "control.sock")
ME, ROOT = 1000, 0
PLENTY = Space(STATE, 10 * 1024**3, 1_000_000)


def folder(path, mode=0o700, owner=ME):
    return Entry(path, stat.S_IFDIR | mode, owner)


def file(path, mode=0o600, owner=ME):
    return Entry(path, stat.S_IFREG | mode, owner)


def link(path, target, **changes):
    return Entry(path, stat.S_IFLNK | 0o777, ME, target, **changes)


def make_home(*entries, **changes):
    return attrs.evolve(Home(PLACES, ME, (folder(STATE), *entries), PLENTY), **changes)


def files(*entries, **changes):
    return [(each.kind, each.level) for each in home.check_files(make_home(*entries, **changes))]


def space(**changes):
    return {each.kind: each.level for each in home.check_space(make_home(**changes))}


AUTH = STATE / "accounts/0123456789ab/auth.json"


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([file(STATE / "accounts.json")], [("files_private", Level.OK)]),
        ([file(STATE / "accounts.json", 0o644)], [("open_to_others", Level.WARNING)]),
        ([file(AUTH, 0o640)], [("open_to_others", Level.WARNING)]),  # nobody else gets into the folder
        ([file(AUTH, 0o400)], [("closed_to_you", Level.PROBLEM)]),
        ([folder(AUTH.parent, 0o600)], [("closed_to_you", Level.PROBLEM)]),
        ([file(AUTH, owner=ROOT)], [("foreign_owner", Level.PROBLEM)]),
        ([link(AUTH, "/home/me/.codex/auth.json")], [("login_is_link", Level.WARNING)]),
        ([link(STATE / "models", "/gone", exists=False)], [("broken_link", Level.PROBLEM)]),
        ([file(STATE / "accounts.json.unreadable")], [("kept_aside", Level.NOTE), ("files_private", Level.OK)]),
    ],
)
def test_files(entries, found):
    assert files(*entries) == found


def test_a_login_that_others_can_reach_is_worse_than_another_file():
    entries = (folder(STATE, 0o755), folder(STATE / "accounts", 0o755), folder(AUTH.parent, 0o755), file(AUTH, 0o644))
    found = home.check_files(attrs.evolve(make_home(), entries=entries))
    first, second = list(found)
    assert (first.kind, first.level, first.remedy) == ("login_open_to_others", Level.PROBLEM, f"chmod 600 {AUTH}")
    assert (second.kind, second.remedy) == ("open_to_others", f"chmod -R go= {STATE}")


def test_what_sudo_left():
    [found] = home.check_files(make_home(file(STATE / "accounts.json", owner=ROOT)))
    assert "sudo" in found.text
    assert found.remedy == f'sudo chown -R "$(id -un)" {STATE}'


def test_sudo_itself():
    entries = (folder(STATE, owner=ROOT),)
    found = list(home.check_files(attrs.evolve(make_home(), entries=entries, user=ROOT, sudo_user="ann")))
    assert [each.kind for each in found] == ["run_with_sudo"]


@pytest.mark.parametrize(
    "entry", [file(STATE), link(STATE, "/gone", exists=False), link(STATE, "/etc/passwd", leads_to_folder=False)]
)
def test_a_home_that_is_no_folder_is_one_finding(entry):
    broken = attrs.evolve(make_home(), entries=(entry,), unwritable=((STATE, "It can't.", "ls"),))
    assert [each.kind for each in home.check_files(broken)] == ["not_a_folder"]
    assert [each.kind for each in home.check_space(broken)] == ["disk_space"]


def test_a_home_that_is_a_link_to_a_folder():
    entry = link(STATE, "/data/codexd", leads_to_folder=True)
    found = home.check_files(attrs.evolve(make_home(), entries=(entry,)))
    assert [each.kind for each in found] == ["home_is_link"]


@pytest.mark.parametrize(
    ("space_left", "kinds"),
    [
        (PLENTY, {"disk_space": Level.OK}),
        (Space(STATE, 1000, 1_000_000), {"disk_full": Level.PROBLEM}),
        (Space(STATE, 50 * 1024**2, 1_000_000), {"disk_low": Level.WARNING}),
        (Space(STATE, 10 * 1024**3, 3), {"no_inodes": Level.PROBLEM}),
        (Space(STATE, 10 * 1024**3, None), {"disk_space": Level.OK}),  # as on btrfs
        (None, {}),
    ],
)
def test_space(space_left, kinds):
    assert space(space=space_left) == kinds


def test_a_folder_that_can_not_be_written():
    assert space(unwritable=((STATE, "It can't be used.", "ls"),)) == {
        "unwritable": Level.PROBLEM,
        "disk_space": Level.OK,
    }


def test_a_socket_path_that_is_too_long():
    places = PLACES._replace(socket=Path("/" + "x" * 120))
    assert space(places=places)["socket_path_too_long"] is Level.PROBLEM


# -- looking --------------------------------------------------------------------------------------


def look(folder):
    return home.look(find_places({}, folder), os.geteuid(), None)


def test_looking_leaves_nothing_and_changes_nothing(tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    kept = state / "accounts.json"
    kept.write_text("{}")
    kept.chmod(0o644)
    found = look(state)
    assert {entry.path for entry in found.entries} == {state, kept}
    assert (kept.stat().st_mode & 0o777, [each.name for each in state.iterdir()]) == (0o644, ["accounts.json"])
    assert found.unwritable == ()


def test_only_codexds_own_files_are_looked_at(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "accounts").mkdir()
    assert {entry.path.name for entry in look(tmp_path).entries} == {tmp_path.name, "accounts"}


def test_a_home_that_does_not_exist_yet_is_not_created(tmp_path):
    state = tmp_path / "a" / "b"
    found = look(state)
    assert (found.entries, found.unwritable, state.parent.exists()) == ((), (), False)
    assert [each.kind for each in home.check_files(found)] == ["files_private"]


def test_a_loop_of_links(tmp_path):
    state = tmp_path / "loop"
    state.symlink_to(state)
    assert [each.kind for each in home.check_files(look(state))] == ["not_a_folder"]


def test_a_folder_that_refuses_a_file(tmp_path, monkeypatch):
    def refuse(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    text = f"{tmp_path} can't be used: No space left on device. Free some disk space."
    assert look(tmp_path).unwritable == ((tmp_path, text, f"df -h {tmp_path}"),)


def test_a_folder_that_can_not_be_entered_is_one_finding():
    closed = attrs.evolve(make_home(), entries=(folder(STATE, 0o000),), unreadable=((STATE, "Permission denied"),))
    [found] = home.check_files(closed)
    assert (found.kind, found.remedy) == ("closed_to_you", f"chmod -R u+rwX {STATE}")


def test_a_folder_that_can_not_be_read_for_another_reason():
    [found, *_] = home.check_files(make_home(unreadable=((STATE, "Input/output error"),)))
    assert (found.kind, found.level) == ("unreadable", Level.PROBLEM)


def test_a_full_disk_is_said_once():
    full = {"space": Space(STATE, 0, 1_000_000), "unwritable": ((STATE, "No space left.", "df"),)}
    assert space(**full) == {"disk_full": Level.PROBLEM}


# -- what else is kept


def unreadable_in(folder):
    findings = home.check_kept(home.read_kept(find_places({}, folder)))
    return [(each.kind, each.level, each.about) for each in findings if each.level is not Level.OK]


def test_nothing_is_kept_yet(tmp_path):
    assert list(home.check_kept(home.read_kept(find_places({}, tmp_path / "none")))) == []


def test_files_that_can_be_read(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/0123456789ab.json").write_text("{}")
    (tmp_path / "limits.json").write_text("{}")
    (tmp_path / "usage.sqlite3").write_bytes(home.SQLITE_HEAD + b"rest")
    [found] = home.check_kept(home.read_kept(find_places({}, tmp_path)))
    assert found.text == "What else codexd keeps can be read: limits.json, 0123456789ab.json, usage.sqlite3."
    (tmp_path / "usage.sqlite3").write_bytes(b"")
    assert unreadable_in(tmp_path) == []


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
    assert unreadable_in(tmp_path) == [(kind, level, str(tmp_path / name))]


@pytest.mark.parametrize("name", ["limits.json", "usage.sqlite3", "clients.json"])
def test_something_else_in_place_of_a_file_keeps_nobody_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    (tmp_path / "models").write_text("a file")
    found = unreadable_in(tmp_path)
    assert [about for _, _, about in found] == ([] if name == "usage.sqlite3" else [str(tmp_path / name)])
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert [about for _, _, about in unreadable_in(tmp_path)] == [str(tmp_path / name)]
