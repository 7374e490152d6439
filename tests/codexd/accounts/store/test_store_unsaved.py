"""Logins that can't be written: nothing is asked for that could not be kept, and nothing that came is lost."""

import json
import logging

import pytest
from support.small_disk import mounted

from codexd.accounts.model import RefreshReply
from codexd.accounts.store.store import AccountStore
from codexd.errors import AlreadyRunning


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "home") as disk:
        yield disk


@pytest.fixture
def state_dir(disk):
    return disk.path / "state"


def read_refresh_token(state_dir, account):
    return json.loads((state_dir / "accounts" / account.id / "auth.json").read_bytes())["tokens"]["refresh_token"]


BREAK = {
    "full": lambda disk, _: disk.fill(),
    "read-only": lambda disk, _: disk.make_read_only(),
    "replaced by a file": lambda _, folder: (folder.rename(folder.with_name("away")), folder.write_text("?")),
    "replaced by a dead link": lambda _, folder: (folder.rename(folder.with_name("away")), folder.symlink_to("gone")),
}
MEND = {
    "full": lambda disk, _: disk.free(),
    "read-only": lambda disk, _: disk.make_writable(),
    "replaced by a file": lambda _, folder: folder.unlink(),
    "replaced by a dead link": lambda _, folder: folder.unlink(),
}


@pytest.mark.parametrize("fault", BREAK)
def test_no_login_is_asked_for_that_could_not_be_kept(disk, state_dir, login, now, fault):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        folder = state_dir / "accounts" / account.id
        BREAK[fault](disk, folder)
        with pytest.raises(OSError, match=str(folder)):
            store.reserve(account.id)
        MEND[fault](disk, folder)
        with store.reserve(account.id):
            pass


def test_a_disk_that_fills_up_during_a_refresh_has_room_for_its_login(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        with store.reserve(account.id) as space:
            disk.fill()
            store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now, space=space)
        assert read_refresh_token(state_dir, account) == "rt_2"
        assert store.problems == ()
    assert [path.name for path in (state_dir / "accounts" / account.id).iterdir()] == ["auth.json"]


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("fault", BREAK)
def test_a_login_that_could_not_be_written_is_used_and_written_later(disk, state_dir, login, now, caplog, fault, stops):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        folder = state_dir / "accounts" / account.id
        BREAK[fault](disk, folder)
        store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)  # it broke after the proof
        with store.reserve(account.id) as space:  # nothing is left to lose
            store.save_tokens(account.id, RefreshReply(refresh_token="rt_3"), now=now, space=space)
        assert store.tokens(account.id).refresh_token == "rt_3"
        assert store.reload(account.id).refresh_token == "rt_3"
        assert store.get(account.id).needs_login is None
        assert store.unsaved_logins == store.problems[:1]
        assert all(word in store.problems[0] for word in ("ann@example.com", str(folder), "the login is lost"))
        assert not store.is_saved
        assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == list(store.problems)
        MEND[fault](disk, folder)
        if not stops:
            store.save()
            assert (store.is_saved, store.problems) == (True, ())
            assert read_refresh_token(state_dir, account) == "rt_3"
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_3"


def test_a_login_that_another_program_wrote_meanwhile_wins(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk.make_read_only()
        store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)
        disk.make_writable()
        path = state_dir / "accounts" / account.id / "auth.json"
        path.write_text(json.dumps(login(refresh_token="rt_other")))
        store.save()
        assert store.tokens(account.id).refresh_token == "rt_other"
        assert store.problems == ()
    assert read_refresh_token(state_dir, account) == "rt_other"


def test_a_stop_that_loses_a_login_says_so(disk, state_dir, login, now, caplog):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk.make_read_only()
        store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)
        caplog.clear()
    assert "codexd stops all the same: The new login of ann@example.com" in caplog.text


def test_a_list_that_can_not_be_written_is_a_problem_until_it_can(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk.make_read_only()
        store.mark_needs_login(account.id, "It was revoked.")
        assert not store.is_saved
        assert "The list of accounts can't be saved" in store.problems[0]
        disk.make_writable()
        store.save()
        assert (store.is_saved, store.problems) == (True, ())
    with AccountStore.open(state_dir) as store:
        assert store.get(account.id).needs_login == "It was revoked."


def test_a_removed_account_takes_its_unsaved_login_along(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk.make_read_only()
        store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)
        with pytest.raises(OSError, match="Read-only"):
            store.remove(account.id)
        disk.make_writable()
        assert store.remove(account.id).refresh_token == "rt_2"
        assert store.problems == ()
        store.save()
    assert list((state_dir / "accounts").iterdir()) == []


def test_a_new_sign_in_replaces_an_unsaved_login(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk.make_read_only()
        store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)
        disk.make_writable()
        store.add(login(refresh_token="rt_new"), now=now)
        assert store.problems == ()
        store.save()
    assert read_refresh_token(state_dir, account) == "rt_new"


def test_a_deleted_lock_is_taken_again(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        (state_dir / "accounts.lock").unlink()
        with store.reserve(account.id), pytest.raises(AlreadyRunning):
            AccountStore.open(state_dir)


def test_a_lock_that_another_daemon_took_meanwhile_forbids_a_refresh(disk, state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        (state_dir / "accounts.lock").unlink()
        with AccountStore.open(state_dir), pytest.raises(AlreadyRunning):
            store.reserve(account.id)
        with store.reserve(account.id):
            pass
