"""Logins over logins: which one an account goes on with."""

import pytest

from codexd.accounts.model import AddOutcome, RefreshReply
from codexd.accounts.store.store import AccountStore

OLDER, SAME, NEWER = "2026-11-17T10:00:00Z", "2026-11-18T10:00:00Z", "2026-11-19T10:00:00Z"


@pytest.fixture
def copy(tmp_path, login):
    """An import of a copy of the account's login."""

    def copy(store, now, **changes):
        auth_json = login(refresh_token="rt_copy") | changes
        return store.add(auth_json, now=now, imported_from=tmp_path / "auth.json")

    return copy


@pytest.mark.parametrize(
    ("last_refresh", "outcome", "refresh_token"),
    [
        (OLDER, AddOutcome.KEPT, "rt_1"),
        (None, AddOutcome.KEPT, "rt_1"),
        ("rubbish", AddOutcome.KEPT, "rt_1"),
        (SAME, AddOutcome.UPDATED, "rt_copy"),
        (NEWER, AddOutcome.UPDATED, "rt_copy"),
    ],
)
def test_the_newer_login_wins_over_a_copy(tmp_path, store, login, copy, now, last_refresh, outcome, refresh_token):
    account, _ = store.add(login(), now=now)
    listed = (tmp_path / "state" / "accounts.json").read_bytes()
    again, added = copy(store, now + 1, last_refresh=last_refresh)
    assert added is outcome
    assert store.tokens(account.id).refresh_token == refresh_token
    if outcome is AddOutcome.KEPT:
        assert again == account
        assert (tmp_path / "state" / "accounts.json").read_bytes() == listed
    else:
        assert again.imported_from == str(tmp_path / "auth.json")


def test_a_copy_revives_a_dead_login_however_old_it_is(store, login, copy, now):
    account, _ = store.add(login(), now=now)
    store.mark_needs_login(account.id, "revoked.")
    again, added = copy(store, now, last_refresh=OLDER)
    assert added is AddOutcome.UPDATED
    assert (again.needs_login, again.dead_login) == (None, None)


def test_a_copy_replaces_a_login_that_cannot_be_read(tmp_path, login, copy, now):
    state_dir = tmp_path / "state"
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    (state_dir / "accounts" / account.id / "auth.json").write_bytes(b"")
    with AccountStore.open(state_dir) as store:
        assert copy(store, now, last_refresh=OLDER)[1] is AddOutcome.UPDATED
        assert store.problems == ()


def test_a_sign_in_always_wins_and_forgets_the_file_it_was_copied_from(store, login, copy, now):
    account, added = copy(store, now)
    assert (added, account.imported_from is not None) == (AddOutcome.ADDED, True)
    account, added = store.add(login() | {"last_refresh": OLDER}, now=now)
    assert (added, account.imported_from) == (AddOutcome.UPDATED, None)
    assert store.tokens(account.id).refresh_token == "rt_1"


def test_disabling_lasts_over_new_logins_and_restarts(tmp_path, login, now):
    state_dir = tmp_path / "state"
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        assert store.set_disabled(account.id, True).disabled
        assert store.add(login(refresh_token="rt_2"), now=now)[0].disabled
    with AccountStore.open(state_dir) as store:
        assert store.active.disabled
        assert not store.set_disabled(account.id, False).disabled


def test_two_workspaces_of_one_person_are_two_accounts(store, login, now):
    personal, _ = store.add(login(), now=now)
    team, added = store.add(login(workspace="w-team", plan="team"), now=now)
    assert added is AddOutcome.ADDED
    assert store.find("w-team") == team
    store.remove(personal.id)
    assert store.accounts == (team,)


def test_a_refresh_of_a_login_that_was_replaced_meanwhile_is_not_written(store, login, now):
    account, _ = store.add(login(), now=now)
    store.add(login(refresh_token="rt_sign_in"), now=now)
    reply = RefreshReply("opaque", "rt_2", None, 600.0)
    assert store.save_tokens(account.id, reply, now=now, retired="rt_1").refresh_token == "rt_sign_in"
    assert store.save_tokens(account.id, reply, now=now, retired="rt_sign_in").refresh_token == "rt_2"


def test_tokens_stand_in_auth_json_alone(tmp_path, store, login, now):
    account, _ = store.add(login(refresh_token="rt_secret_1"), now=now)
    store.save_tokens(account.id, RefreshReply("at_secret", "rt_secret_2", None, 600.0), now=now)
    store.mark_needs_login(account.id, "revoked.")
    store.switch(account.id)
    holders = {
        path.name for path in (tmp_path / "state").rglob("*") if path.is_file() and b"secret" in path.read_bytes()
    }
    assert holders == {"auth.json"}
