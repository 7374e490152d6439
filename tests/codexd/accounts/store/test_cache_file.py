import pytest
from support.small_disk import mounted

from codexd.accounts.store.cache_file import CacheFile
from codexd.errors import FileUnreadable

GOOD = b"good"


def parse(data):
    if data != GOOD:
        raise FileUnreadable("it is not good")
    return data.decode()


def open_cache(path):
    return CacheFile(path, parse, "things")


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"[]", b"torn"])
def test_an_unreadable_file_is_kept_aside_with_one_warning(tmp_path, data, caplog):
    path = tmp_path / "cache.json"
    path.write_bytes(data)
    file = open_cache(path)
    assert file.load() is None
    assert (tmp_path / "cache.json.unreadable").read_bytes() == data
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cache.json.unreadable" in caplog.text
    assert file.write(GOOD)
    assert open_cache(path).load() == "good"
    assert len(caplog.records) == 1


def test_a_second_unreadable_file_does_not_push_out_the_first(tmp_path):
    for number in (1, 2):
        (tmp_path / "cache.json").write_bytes(b"%d" % number)
        open_cache(tmp_path / "cache.json").load()
    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert kept == [b"1", b"2"]


def test_what_can_not_be_moved_away_is_not_overwritten(tmp_path, caplog):
    with mounted(tmp_path / "disk") as disk:
        path = disk.path / "cache.json"
        path.write_bytes(b"broken")
        disk.make_read_only()
        file = open_cache(path)
        assert file.load() is None
        assert not file.write(b"{}")
        assert path.read_bytes() == b"broken"
        assert len(caplog.records) == 1
        assert f"{path}" in file.problem
        disk.make_writable()
        assert file.write(GOOD)
        assert (path.read_bytes(), file.problem) == (GOOD, None)
        assert (disk.path / "cache.json.unreadable").read_bytes() == b"broken"


def test_a_file_that_was_wider_is_narrowed(tmp_path):
    path = tmp_path / "cache.json"
    path.write_bytes(GOOD)
    path.chmod(0o644)
    open_cache(path).load()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_file_is_not_a_problem(tmp_path, caplog):
    assert open_cache(tmp_path / "cache.json").load() is None
    assert open_cache(tmp_path / "no-folder" / "cache.json").load() is None
    assert not caplog.records


def test_a_disk_that_stays_full_is_logged_once(tmp_path, caplog):
    with mounted(tmp_path / "disk") as disk:
        path = disk.path / "cache.json"
        file = open_cache(path)
        for _ in range(2):
            disk.fill()
            assert [file.write(GOOD) for _ in range(3)] == [False] * 3
            problem = file.problem
            disk.free()
            assert file.write(GOOD)
            assert file.problem is None
    assert (
        problem
        == f"The things are kept in memory only. {path} can't be used: No space left on device. Free some disk space."
    )
    assert len(caplog.records) == 2


def test_a_missing_folder_is_made_only_if_it_is_wanted(tmp_path):
    path = tmp_path / "models" / "cache.json"
    assert not open_cache(path).write(GOOD)
    assert CacheFile(path, parse, "things", makes_folder=True).write(GOOD)
    assert path.parent.stat().st_mode & 0o777 == 0o700
