"""What a start makes of damaged files and of what a killed process left."""

import json
import os
import stat

import attrs
import pytest

from codexd.accounts.model import AddOutcome
from codexd.accounts.store import accounts_file
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, AlreadyRunning, FileUnreadable

ENTRY = {
    "id": "0123456789ab",
    "chatgpt_account_id": "w",
    "user_id": "u",
    "email": "e",
    "plan": "p",
    "added_at": 1,
    "last_used_at": None,
    "needs_login": None,
    "simulated": False,
}


def book(**changes):
    return {"version": 1, "active": None, "accounts": [ENTRY | changes]}


UNREADABLE = [
    (b"", "not JSON"),
    (b'{"version":1,', "not JSON"),
    (b"\xff\xfe\x00binary", "not JSON"),
    (b"[]", "not a JSON object"),
    (b'{"version":1,"active":null,"accounts":{}}', "list"),
    (b'{"version":2,"active":null,"accounts":[]}', "version is 2"),
    (b'{"active":null,"accounts":[]}', "version is None"),
    (b'{"version":1,"active":7,"accounts":[]}', "active"),
    (b'{"version":1,"active":null,"accounts":[7]}', "accounts[0]"),
    (book(email=None), "email"),
    (book(simulated="false"), "simulated"),
    (book(added_at="yesterday"), "added_at"),
    (book(surprise=1), "surprise"),
    (book(id="../../../etc"), "../../../etc"),
    (book() | {"surprise": 1}, "surprise"),
    (book() | {"accounts": [ENTRY, ENTRY]}, "twice"),
]


def to_bytes(content):
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def two(state_dir, login, now):
    """Ann, who is active, and Bob, who is disabled, in a store that is closed; the previous copy has both."""
    with AccountStore.open(state_dir) as store:
        ann, _ = store.add(login(), now=now)
        bob, _ = store.add(login(user="user-bob", email="bob@example.com"), now=now + 1)
        bob = store.set_disabled(bob.id, True)
        store.touch(ann.id, now + 2)
        return store.get(ann.id), bob


@pytest.mark.parametrize(("content", "words"), UNREADABLE)
def test_an_unreadable_list_is_explained_kept_and_made_good_from_its_previous_copy(state_dir, two, content, words, now):
    path, data = state_dir / "accounts.json", to_bytes(content)
    path.write_bytes(data)
    with AccountStore.open(state_dir) as store:
        ann, bob = two
        assert store.accounts == (attrs.evolve(ann, last_used_at=None), bob)  # one write behind
        assert store.active.id == ann.id
        (problem,) = store.problems
        assert str(path) in problem
        assert words in problem
        assert "codexctl accounts" in problem
    assert path.read_bytes() == data  # opened and closed: nothing to write
    with AccountStore.open(state_dir) as store:
        store.switch(bob.id)
        assert (state_dir / "accounts.json.unreadable").read_bytes() == data
        assert "accounts.json.unreadable" in store.problems[0]
    with AccountStore.open(state_dir) as store:
        assert store.active == bob
        assert store.problems == ()


@pytest.mark.parametrize(("content", "words"), UNREADABLE)
def test_without_a_previous_copy_the_folders_tell(state_dir, two, content, words, now):
    ann, bob = two
    (state_dir / "accounts.json.previous").unlink()
    (state_dir / "accounts.json").write_bytes(to_bytes(content))
    for account, at in ((ann, now), (bob, now + 5)):
        os.utime(state_dir / "accounts" / account.id / "auth.json", (at, at))
    with AccountStore.open(state_dir) as store:
        assert [(each.id, each.email, each.plan, each.added_at) for each in store.accounts] == [
            (ann.id, "ann@example.com", "plus", now),
            (bob.id, "bob@example.com", "plus", now + 5),
        ]
        assert store.active is None
        assert words in store.problems[0]
        assert "codexctl accounts switch" in store.problems[1]
        assert store.tokens(bob.id).refresh_token == "rt_1"
        store.switch(ann.id)
        assert len(store.problems) == 1
    assert (state_dir / "accounts.json.unreadable").read_bytes() == to_bytes(content)


@pytest.mark.parametrize("name", ["accounts.json", "accounts.json.previous"])
def test_a_folder_in_place_of_a_list_does_not_stop_the_start(state_dir, two, name):
    path = state_dir / name
    path.unlink()
    path.mkdir()
    with AccountStore.open(state_dir) as store:
        assert [account.id for account in store.accounts] == [account.id for account in two]
        store.touch(two[1].id, 9e9)
    assert path.is_file()
    assert (state_dir / f"{name}.unreadable").is_dir()


def test_every_unreadable_list_is_kept(state_dir, two):
    for content in (b"first", b"second"):
        (state_dir / "accounts.json").write_bytes(content)
        with AccountStore.open(state_dir) as store:
            store.switch(two[0].id)
    assert (state_dir / "accounts.json.unreadable").read_bytes() == b"first"
    assert (state_dir / "accounts.json.unreadable.2").read_bytes() == b"second"


def test_a_missing_list_is_said_when_there_was_one(state_dir, two):
    (state_dir / "accounts.json").unlink()
    with AccountStore.open(state_dir) as store:
        assert [account.id for account in store.accounts] == [account.id for account in two]
        assert "accounts.json is missing" in store.problems[0]


def test_an_unreadable_previous_copy_is_kept_and_not_a_problem(state_dir, two):
    (state_dir / "accounts.json.previous").write_bytes(b"torn")
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
        store.switch(two[1].id)
    assert (state_dir / "accounts.json.previous.unreadable").read_bytes() == b"torn"
    assert json.loads((state_dir / "accounts.json.previous").read_bytes())["active"] == two[0].id


def test_an_account_removed_since_the_previous_copy_does_not_come_back(state_dir, two):
    with AccountStore.open(state_dir) as store:
        store.remove(two[1].id)
    (state_dir / "accounts.json").write_bytes(b"")
    with AccountStore.open(state_dir) as store:
        assert [account.id for account in store.accounts] == [two[0].id]
        assert len(store.problems) == 1


def test_a_login_that_a_crash_kept_from_the_list_is_taken_in(state_dir, login, now, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(path, data):
        raise Killed

    with AccountStore.open(state_dir) as store, monkeypatch.context() as patch:
        patch.setattr(accounts_file, "write_atomic", kill)
        with pytest.raises(Killed):
            store.add(login(), now=now)
    with AccountStore.open(state_dir) as store:
        assert (store.active.email, store.problems) == ("ann@example.com", ())
        assert not store.active.simulated
        assert len(json.loads((state_dir / "accounts.json").read_bytes())["accounts"]) == 1
        _, added = store.add(login(), now=now)
        assert added is AddOutcome.UPDATED


def test_a_simulated_login_is_taken_in_as_simulated(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now, simulated=True)
    for path in state_dir.glob("accounts.json*"):
        path.unlink()
    with AccountStore.open(state_dir) as store:
        assert store.get(account.id).simulated
        assert not store.add(login(), now=now)[0].simulated


@pytest.mark.parametrize("content", [b"", b"{torn", b"\x00\xff", b'{"tokens":{}}'])
def test_an_unlisted_login_that_cannot_be_read_is_a_problem_until_it_comes_anew(state_dir, login, now, content):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    (state_dir / "accounts.json").unlink()
    path = state_dir / "accounts" / account.id / "auth.json"
    path.write_bytes(content)
    with AccountStore.open(state_dir) as store:
        assert store.accounts == ()
        assert str(path) in store.problems[0]
        assert path.read_bytes() == content
        store.add(login(), now=now)
        assert store.problems == ()
    assert path.with_suffix(".json.unreadable").read_bytes() == content


def test_an_empty_folder_is_swept_up(state_dir):
    folder = state_dir / "accounts" / "0123456789ab"
    folder.mkdir(parents=True)
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
    assert not folder.exists()


def test_foreign_folders_and_files_are_left_alone(state_dir):
    kept = [state_dir / "accounts" / "notes", state_dir / "accounts" / "0123456789AB"]
    for folder in kept:
        folder.mkdir(parents=True)
    files = [state_dir / ".accounts.json.swp", state_dir / ".notes.abcdefgh", state_dir / ".accounts.json.ABCDEFGH"]
    for file in files:
        file.write_text("mine")
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
    assert all(path.exists() for path in kept + files)


def test_temporary_files_of_a_killed_process_are_deleted(state_dir, two):
    folder = state_dir / "accounts" / two[0].id
    leftovers = [
        state_dir / ".accounts.json.ab_12345",
        state_dir / ".accounts.json.previous.abcdefgh",
        state_dir / ".limits.json.00000000",
        folder / ".auth.json.zzzzzzz_",
    ]
    for path in leftovers:
        path.write_text("rt_secret")
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
    assert not any(path.exists() for path in leftovers)
    assert [path.name for path in folder.iterdir()] == ["auth.json"]


def test_a_leftover_alone_makes_no_account(state_dir):
    folder = state_dir / "accounts" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / ".auth.json.abcdefgh").write_text("rt_secret")
    with AccountStore.open(state_dir) as store:
        assert (store.accounts, store.problems) == ((), ())
    assert not folder.exists()


def test_what_was_wider_is_narrowed(state_dir, two):
    folder = state_dir / "accounts" / two[0].id
    names = ["accounts.json", "accounts.json.previous", "accounts.lock", "limits.json", "accounts.json.unreadable"]
    files = [*(state_dir / name for name in names), folder / "auth.json", folder / "auth.json.unreadable"]
    folders = [state_dir, state_dir / "accounts", folder]
    for path in files:
        path.touch()
        path.chmod(0o664)
    for path in folders:
        path.chmod(0o755)
    AccountStore.open(state_dir).close()
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == {path.name: 0o600 for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_read_only_files_are_read_and_replaced(state_dir, two, login, now):
    files = [state_dir / "accounts.json", state_dir / "accounts" / two[0].id / "auth.json"]
    for path in files:
        path.chmod(0o400)
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
        store.add(login(refresh_token="rt_2"), now=now)
        store.switch(two[1].id)
    with AccountStore.open(state_dir) as store:
        assert store.tokens(two[0].id).refresh_token == "rt_2"
        assert store.active.id == two[1].id


def test_a_full_disk_does_not_keep_the_store_from_opening(state_dir, two, monkeypatch):
    def refuse(path, data):
        raise OSError(28, "No space left on device")

    (state_dir / "accounts.json").unlink()
    monkeypatch.setattr(accounts_file, "write_atomic", refuse)
    with AccountStore.open(state_dir) as store:
        assert len(store.accounts) == 2


@pytest.mark.parametrize("name", ["", "accounts", "accounts.lock"])
def test_only_the_folder_itself_refuses_the_start(state_dir, name):
    path = state_dir / name
    if name == "accounts.lock":
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("a file")
    with pytest.raises(FileUnreadable, match=str(path)):
        AccountStore.open(state_dir)


def test_a_failed_start_gives_the_lock_back(state_dir, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("codexd.accounts.store.store.recover", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            AccountStore.open(state_dir)
    with AccountStore.open(state_dir), pytest.raises(AlreadyRunning):
        AccountStore.open(state_dir)


def test_a_login_that_died_is_dead_at_the_next_start_and_lives_when_its_file_changed(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        store.mark_needs_login(account.id, "revoked.")
    with AccountStore.open(state_dir) as store:
        assert store.active.needs_login == "revoked."
        assert store.active.dead_login not in (None, "rt_1")
    path = state_dir / "accounts" / account.id / "auth.json"
    path.write_text(json.dumps(login(refresh_token="rt_1", jti="another access token")))
    with AccountStore.open(state_dir) as store:
        assert store.active.needs_login == "revoked."
    path.write_text(json.dumps(login(refresh_token="rt_new")))
    with AccountStore.open(state_dir) as store:
        assert (store.active.needs_login, store.active.dead_login) == (None, None)
    assert "revoked" not in (state_dir / "accounts.json").read_text()


def test_a_dead_login_whose_file_is_torn_stays_dead_when_it_is_fixed(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        store.mark_needs_login(account.id, "revoked.")
    path = state_dir / "accounts" / account.id / "auth.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with AccountStore.open(state_dir) as store:
        with pytest.raises(AccountNeedsLogin, match="not JSON"):
            store.tokens(account.id)
        path.write_bytes(whole)
        store.reload(account.id)
        assert store.active.needs_login == "revoked."
