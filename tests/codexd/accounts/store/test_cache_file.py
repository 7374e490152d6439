import pytest

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


def test_what_can_not_be_moved_away_is_not_overwritten(tmp_path, monkeypatch, caplog):
    def refuse(path):
        raise PermissionError

    monkeypatch.setattr("codexd.accounts.store.cache_file.keep_aside", refuse)
    path = tmp_path / "cache.json"
    path.write_bytes(b"broken")
    file = open_cache(path)
    assert file.load() is None
    assert file.write(b"{}")
    assert path.read_bytes() == b"broken"
    assert len(caplog.records) == 1


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


def test_a_disk_that_stays_full_is_logged_once(tmp_path, monkeypatch, caplog):
    def full(path, data):
        raise OSError(28, "No space left on device")

    file = open_cache(tmp_path / "cache.json")
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr("codexd.accounts.store.cache_file.write_atomic", full)
            assert [file.write(GOOD) for _ in range(3)] == [False] * 3
        assert file.write(GOOD)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"{tmp_path / 'cache.json'} could not be written: No space left on device"] * 2
