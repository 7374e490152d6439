"""Removing an account, whole, also when the process dies over it."""

import json
import shutil

import pytest

from codexd.accounts.model import AddOutcome
from codexd.accounts.store import accounts_file, held, recovery
from codexd.accounts.store import store as store_module
from codexd.accounts.store.lock import Hold
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNotFound


class Killed(BaseException):
    """Ends the test's process, as it were: nothing handles it."""


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def bob_login(login):
    return login(user="user-bob", email="bob@example.com", refresh_token="rt_bob")


def all_files(state_dir):
    return {path.relative_to(state_dir).as_posix() for path in state_dir.rglob("*") if path.is_file()}


def test_the_account_and_its_files_are_gone_and_its_tokens_are_returned(state_dir, login, bob_login, now):
    with AccountStore.open(state_dir) as store:
        ann, _ = store.add(login(), now=now)
        bob, _ = store.add(bob_login, now=now)
        assert store.remove(ann.id).refresh_token == "rt_1"
        assert (store.accounts, store.active) == ((bob,), None)
        with pytest.raises(AccountNotFound):
            store.remove(ann.id)
    names = {"accounts.json", "accounts.json.previous", "accounts.lock", f"accounts/{bob.id}/auth.json"}
    assert all_files(state_dir) == names
    assert [path.name for path in (state_dir / "accounts").iterdir()] == [bob.id]
    with AccountStore.open(state_dir) as store:
        assert (store.accounts, store.active, store.problems) == ((bob,), None, ())


def test_removing_another_leaves_the_active_one(store, login, bob_login, now, caplog):
    ann, _ = store.add(login(), now=now)
    bob, _ = store.add(bob_login, now=now)
    store.remove(bob.id)
    assert store.active == ann
    store.touch(ann.id, now)
    assert caplog.text == ""


def test_the_tokens_returned_are_those_that_another_program_rotated_in(state_dir, store, login, now):
    account, _ = store.add(login(), now=now)
    path = state_dir / "accounts" / account.id / "auth.json"
    path.write_text(json.dumps(login(refresh_token="rt_2")))
    assert store.remove(account.id).refresh_token == "rt_2"


def test_an_account_whose_login_cannot_be_read_can_be_removed(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    (state_dir / "accounts" / account.id / "auth.json").write_bytes(b"{torn")
    with AccountStore.open(state_dir) as store:
        assert store.remove(account.id) is None
        assert (store.accounts, store.problems) == ((), ())
    assert list((state_dir / "accounts").iterdir()) == []


def test_an_account_without_a_folder_can_be_removed(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        shutil.rmtree(state_dir / "accounts" / account.id)
    with AccountStore.open(state_dir) as store:
        assert "is missing" in store.active.needs_login
        assert list((state_dir / "accounts").iterdir()) == []
        store.remove(account.id)
    with AccountStore.open(state_dir) as store:
        assert store.accounts == ()


@pytest.mark.parametrize("step", ["before the list", "within the list", "before the deletion", "within the deletion"])
def test_a_kill_at_any_step_is_finished_at_the_next_start(state_dir, login, bob_login, now, monkeypatch, step):
    def kill(*_, **__):
        raise Killed

    def kill_within(folder):
        next(folder.iterdir()).unlink()
        raise Killed

    write = accounts_file.write_atomic

    def kill_second_write(path, data):
        if path.name == "accounts.json":
            raise Killed
        write(path, data)

    with AccountStore.open(state_dir) as store:
        ann, _ = store.add(login(), now=now)
        bob, _ = store.add(bob_login, now=now)
        hold, store.lock.hold = store.lock.hold, Hold.CLOSED  # a killed process writes nothing more
    store.lock.hold = hold
    match step:
        case "before the list":
            monkeypatch.setattr(
                store_module, "retire_folder", lambda folder: (recovery.retire_folder(folder), kill())[0]
            )
        case "within the list":
            monkeypatch.setattr(accounts_file, "write_atomic", kill_second_write)
        case "before the deletion":
            monkeypatch.setattr(held, "delete_folders", kill)
        case "within the deletion":
            monkeypatch.setattr(shutil, "rmtree", kill_within)
    with pytest.raises(Killed):
        store.remove(ann.id)
    monkeypatch.undo()
    store._saved = store._book
    store.close()
    with AccountStore.open(state_dir) as store:
        assert (store.accounts, store.problems) == ((bob,), ())
    assert [path.name for path in (state_dir / "accounts").iterdir()] == [bob.id]
    assert [entry["id"] for entry in json.loads((state_dir / "accounts.json").read_bytes())["accounts"]] == [bob.id]


def test_a_removed_folder_stays_until_the_list_is_written(state_dir, login, bob_login, now, monkeypatch):
    def refuse(path, data):
        raise OSError(28, "No space left on device")

    with AccountStore.open(state_dir) as store:
        ann, _ = store.add(login(), now=now)
        bob, _ = store.add(bob_login, now=now)
        with monkeypatch.context() as patch:
            patch.setattr(accounts_file, "write_atomic", refuse)
            assert store.remove(ann.id).refresh_token == "rt_1"
        assert store.accounts == (bob,)
        assert (state_dir / "accounts" / f".removed-{ann.id}" / "auth.json").exists()
        store.switch(bob.id)
        assert [path.name for path in (state_dir / "accounts").iterdir()] == [bob.id]


def test_an_unreadable_list_waits_for_its_first_write_with_a_removal_half_done(state_dir, login, bob_login, now):
    with AccountStore.open(state_dir) as store:
        ann, _ = store.add(login(), now=now)
        bob, _ = store.add(bob_login, now=now)
        store.switch(ann.id)
        store.switch(bob.id)
    removed = recovery.retire_folder(state_dir / "accounts" / ann.id)
    (state_dir / "accounts.json").write_bytes(b"torn")
    with AccountStore.open(state_dir) as store:
        assert [account.id for account in store.accounts] == [bob.id]
        assert (state_dir / "accounts.json").read_bytes() == b"torn"
        assert removed.is_dir()
        store.switch(bob.id)
        assert not removed.exists()


def test_a_folder_that_will_not_go_does_not_take_the_next_login_with_it(state_dir, login, now, monkeypatch, caplog):
    def refuse(folder):
        raise OSError(16, "Device or resource busy")

    with AccountStore.open(state_dir) as store, monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        for _ in range(2):
            account, added = store.add(login(), now=now)
            assert added is AddOutcome.ADDED
            store.remove(account.id)
        store.add(login(refresh_token="rt_3"), now=now)
    assert "could not be deleted" in caplog.text
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_3"
        assert [path.name for path in (state_dir / "accounts").iterdir()] == [account.id]


def test_a_folder_that_cannot_be_renamed_leaves_the_account(state_dir, store, login, now, monkeypatch):
    account, _ = store.add(login(), now=now)

    def refuse(folder):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store_module, "retire_folder", refuse)
    with pytest.raises(OSError, match="Read-only"):
        store.remove(account.id)
    assert store.active == account
    assert store.tokens(account.id).refresh_token == "rt_1"
