"""One account's ``auth.json``."""

import json

import pytest

from codexd.accounts.store.login_file import (
    SIMULATED_KEY,
    delete_login,
    mark_simulated,
    parse_login,
    read_followed,
    read_login,
    write_login,
)
from codexd.errors import FileUnreadable


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "account"


@pytest.fixture
def own(login):
    return parse_login(login() | {"more": "kept"})


def test_a_login_is_written_whole_and_read_back(folder, own):
    write_login(folder, own.identity.account_id, own)
    assert read_login(folder, own.identity.account_id) == own
    assert (folder.stat().st_mode & 0o777, (folder / "auth.json").stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_mark_of_the_simulator_comes_and_goes(login):
    marked = mark_simulated(login(), simulated=True)
    assert parse_login(marked).is_simulated
    assert SIMULATED_KEY not in mark_simulated(marked, simulated=False)


@pytest.mark.parametrize("content", [b"torn", b"[]", b'{"tokens": {}}'])
def test_an_unreadable_file_is_kept_aside(folder, own, content):
    account_id = own.identity.account_id
    folder.mkdir()
    for number in (1, 2):
        (folder / "auth.json").write_bytes(content)
        with pytest.raises(FileUnreadable, match=r"auth\.json can't be used"):
            read_login(folder, account_id)
        write_login(folder, account_id, own) if number == 1 else delete_login(folder, account_id)
    assert sorted(path.name for path in folder.iterdir()) == ["auth.json.unreadable", "auth.json.unreadable.2"]


def test_deleting_a_login_deletes_its_empty_folder(folder, own):
    delete_login(folder, own.identity.account_id)
    write_login(folder, own.identity.account_id, own)
    delete_login(folder, own.identity.account_id)
    assert not folder.exists()


def test_another_programs_file_is_only_read(tmp_path, login, own):
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(login()))
    path.chmod(0o644)
    assert read_followed(path, own.identity.account_id).tokens == own.tokens
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(FileUnreadable, match="another account"):
        read_followed(path, "ffffffffffff")
