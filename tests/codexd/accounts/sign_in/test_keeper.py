import pytest
from support.small_disk import mounted

from codexd.accounts.sign_in.keeper import LoginKeeper
from codexd.accounts.store.store import AccountStore
from codexd.errors import HomeMismatch, LoginFailed


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def keeper(disk, now):
    with AccountStore.open(disk.path / "state") as store:
        yield LoginKeeper(lambda auth_json: store.add(auth_json, now=now), lambda: store.reserve(None))


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_without_room_is_found_before_there_is_a_login(keeper, disk, login, fault):
    disk.fill() if fault == "full" else disk.make_read_only()
    with pytest.raises(LoginFailed, match=r"could not be written .* Then start the sign-in again"), keeper.room():
        pytest.fail("there is no room")
    assert isinstance(keeper.keep(login()), LoginFailed)
    disk.free() if fault == "full" else disk.make_writable()
    with keeper.room():
        pass
    assert keeper.keep(login())[0].email == "ann@example.com"


def test_a_login_of_the_wrong_kind(login):
    def refuse(_auth_json):
        raise HomeMismatch("use another --home")

    assert "can't be stored: use another --home" in str(LoginKeeper(refuse, None).keep(login()))
