import json
import logging
import stat

import pytest

from codexd.accounts.model import AddOutcome, RefreshReply
from codexd.accounts.store import accounts_file, login_file
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, AccountNotFound, AlreadyRunning, LoginFileInvalid


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def auth_path(state_dir, account):
    return state_dir / "accounts" / account.id / "auth.json"


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


def test_the_first_account_becomes_active_and_all_survive_a_restart(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        assert (store.accounts, store.active) == ((), None)
        ann, added = store.add(login(), now=now)
        bob, _ = store.add(login(user="user-bob", email="bob@example.com"), now=now + 1, simulated=True)
        assert added is AddOutcome.ADDED
        assert store.active == ann
    with AccountStore.open(state_dir) as store:
        assert store.accounts == (ann, bob)
        assert store.active == ann
        assert store.tokens(bob.id).refresh_token == "rt_1"
        assert store.problems == ()
        assert bob.simulated


def test_accounts_json_has_its_layout_and_no_token(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    text = (state_dir / "accounts.json").read_text()
    assert json.loads(text) == {
        "version": 1,
        "active": account.id,
        "accounts": [
            {
                "id": account.id,
                "chatgpt_account_id": "11111111-2222-3333-4444-555555555555",
                "user_id": "user-ann",
                "email": "ann@example.com",
                "plan": "plus",
                "added_at": now,
                "last_used_at": None,
                "needs_login": None,
                "simulated": False,
                "disabled": False,
                "followed": None,
                "imported_from": None,
                "dead_login": None,
                "withdrawn": None,
            }
        ],
    }
    assert not any(token in text for token in login()["tokens"].values() if token != account.chatgpt_account_id)


def test_auth_json_keeps_the_layout_and_unknown_fields(state_dir, store, login, now):
    auth_json = login() | {"agent_identity": "x", "nested": {"a": [1]}}
    account, _ = store.add(auth_json, now=now)
    assert json.loads(auth_path(state_dir, account).read_bytes()) == auth_json


def test_everything_is_private(state_dir, store, login, now):
    account, _ = store.add(login(), now=now)
    folders = [state_dir, state_dir / "accounts", state_dir / "accounts" / account.id]
    assert {mode(folder) for folder in folders} == {0o700}
    files = [state_dir / "accounts.json", state_dir / "accounts.lock", auth_path(state_dir, account)]
    assert {mode(file) for file in files} == {0o600}


def test_a_second_daemon_is_refused_until_the_first_ends(state_dir):
    with AccountStore.open(state_dir), pytest.raises(AlreadyRunning, match=str(state_dir)):
        AccountStore.open(state_dir)
    AccountStore.open(state_dir).close()


def test_close_may_be_called_twice(state_dir):
    store = AccountStore.open(state_dir)
    store.close()
    store.close()


def test_an_unknown_active_account_is_none_and_a_problem(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    path = state_dir / "accounts.json"
    path.write_text(path.read_text().replace(f'"active":"{account.id}"', '"active":"ffffffffffff"'))
    with AccountStore.open(state_dir) as store:
        assert store.active is None
        assert "codexctl accounts switch" in store.problems[0]
        assert store.switch(account.id) == account
        assert (store.active, store.problems) == (account, ())


@pytest.mark.parametrize("content", [None, b"{torn", b"[]", b'{"tokens":{}}', b"\x00\xff"])
def test_an_unreadable_auth_json_leaves_the_account_listed(state_dir, login, now, content):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    path = auth_path(state_dir, account)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    listed = (state_dir / "accounts.json").read_bytes()
    with AccountStore.open(state_dir) as store:
        assert str(path) in store.active.needs_login
        assert "codexctl accounts add" in store.active.needs_login
        assert str(path) in store.problems[0]
        with pytest.raises(AccountNeedsLogin, match=r"ann@example\.com"):
            store.tokens(account.id)
        with pytest.raises(AccountNeedsLogin):
            store.save_tokens(account.id, RefreshReply("new", "new"), now=now)
    assert (path.read_bytes() if path.exists() else None) == content
    assert (state_dir / "accounts.json").read_bytes() == listed


def test_a_login_of_another_account_is_not_taken(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        auth_path(state_dir, account).write_text(json.dumps(login(user="user-bob")))
        with pytest.raises(AccountNeedsLogin, match="another account"):
            store.reload(account.id)


def test_a_new_import_keeps_every_unreadable_file_aside(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        path = auth_path(state_dir, account)
        for content in (b"{first", b"{second"):
            path.write_bytes(content)
            with pytest.raises(AccountNeedsLogin):
                store.reload(account.id)
            assert store.add(login(), now=now) == (account, AddOutcome.UPDATED)
            assert store.problems == ()
    kept = {file.name: file.read_bytes() for file in path.parent.iterdir() if file != path}
    assert kept == {"auth.json.unreadable": b"{first", "auth.json.unreadable.2": b"{second"}


def test_a_readable_file_is_replaced_and_leaves_nothing_behind(state_dir, store, login, now):
    account, _ = store.add(login(), now=now)
    again, added = store.add(login(refresh_token="rt_2", plan="pro", email="new@example.com"), now=now + 9)
    assert added is AddOutcome.UPDATED
    assert (again.plan, again.email, again.added_at) == ("pro", "new@example.com", now)
    assert store.tokens(account.id).refresh_token == "rt_2"
    assert [file.name for file in auth_path(state_dir, account).parent.iterdir()] == ["auth.json"]


def test_add_refuses_what_is_not_a_login_and_writes_nothing(state_dir, store):
    with pytest.raises(LoginFileInvalid):
        store.add({"OPENAI_API_KEY": "sk-x"}, now=1.0)
    assert not (state_dir / "accounts.json").exists()


class DiskFull:
    """Lets the writes through whose file name is not ``refused``, and remembers the order of all."""

    def __init__(self, monkeypatch, refused):
        self.written = []
        self.refused = refused
        self.write = accounts_file.write_atomic
        monkeypatch.setattr(accounts_file, "write_atomic", self)
        monkeypatch.setattr(login_file, "write_atomic", self)

    def __call__(self, path, data):
        self.written.append(path.name)
        if path.name == self.refused:
            raise OSError(28, "No space left on device")
        self.write(path, data)


def test_tokens_are_written_before_the_list(store, login, now, monkeypatch):
    disk = DiskFull(monkeypatch, None)
    store.add(login(), now=now)
    assert disk.written == ["auth.json", "accounts.json"]


@pytest.mark.parametrize("refused", ["auth.json", "accounts.json"])
def test_a_failed_add_leaves_the_list_as_it_was(state_dir, login, now, monkeypatch, refused):
    with AccountStore.open(state_dir) as store:
        store.add(login(), now=now)
        before = (state_dir / "accounts.json").read_bytes(), store.accounts
        with monkeypatch.context() as patch:
            DiskFull(patch, refused)
            with pytest.raises(OSError, match="No space"):
                store.add(login(user="user-bob", email="bob@example.com"), now=now)
        assert ((state_dir / "accounts.json").read_bytes(), store.accounts) == before
    with AccountStore.open(state_dir) as store:
        assert store.problems == ()
        _, added = store.add(login(user="user-bob", email="bob@example.com"), now=now)
        assert added is AddOutcome.ADDED


def test_rotated_tokens_are_on_disk_and_the_rest_stays(state_dir, store, login, now):
    account, _ = store.add(login() | {"extra": 1}, now=now)
    rotated = login(exp=now + 9999, plan="pro", email="new@example.com")["tokens"]
    reply = RefreshReply(rotated["access_token"], "rt_2", rotated["id_token"])
    tokens = store.save_tokens(account.id, reply, now=now)
    assert (tokens.refresh_token, tokens.expires_at) == ("rt_2", now + 9999)
    assert store.tokens(account.id) == tokens
    saved = json.loads(auth_path(state_dir, account).read_bytes())
    assert saved["extra"] == 1
    assert saved["tokens"] == rotated | {"refresh_token": "rt_2"}
    assert (store.active.plan, store.active.email) == ("pro", "new@example.com")


def test_an_opaque_access_token_keeps_the_expiry_from_its_reply(store, login, now):
    account, _ = store.add(login(), now=now)
    assert store.save_tokens(account.id, RefreshReply("opaque", None, None, 600.0), now=now).expires_at == now + 600
    assert store.reload(account.id).expires_at == now + 600


def test_a_file_that_became_unreadable_does_not_cost_the_rotated_token(state_dir, store, login, now):
    account, _ = store.add(login() | {"extra": 1}, now=now)
    auth_path(state_dir, account).write_bytes(b"{torn")
    store.save_tokens(account.id, RefreshReply(refresh_token="rt_2"), now=now)
    saved = json.loads(auth_path(state_dir, account).read_bytes())
    assert (saved["extra"], saved["tokens"]["refresh_token"]) == (1, "rt_2")
    assert auth_path(state_dir, account).with_suffix(".json.unreadable").read_bytes() == b"{torn"
    assert store.problems == ()


def test_a_dead_login_stays_dead_over_a_restart_until_its_file_changes(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        store.mark_needs_login(account.id, "revoked.")
        store.reload(account.id)
        assert store.active.needs_login == "revoked."
    with AccountStore.open(state_dir) as store:
        store.reload(account.id)
        assert store.active.needs_login == "revoked."
        assert store.tokens(account.id).refresh_token == "rt_1"
        auth_path(state_dir, account).write_text(json.dumps(login(refresh_token="rt_new")))
        assert store.reload(account.id).refresh_token == "rt_new"
        assert store.active.needs_login is None
    with AccountStore.open(state_dir) as store:
        assert store.active.needs_login is None


def test_a_new_import_revives_a_dead_login(store, login, now):
    account, _ = store.add(login(), now=now)
    store.mark_needs_login(account.id, "revoked.")
    store.add(login(refresh_token="rt_new"), now=now)
    assert store.get(account.id).needs_login is None


def test_a_fixed_file_is_noticed(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    path = auth_path(state_dir, account)
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    with AccountStore.open(state_dir) as store:
        assert store.active.needs_login
        path.write_bytes(whole)
        store.reload(account.id)
        assert (store.active.needs_login, store.problems) == (None, ())


def test_touch_is_seen_at_once_and_written_at_most_once_a_minute(state_dir, login, now, monkeypatch):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        disk = DiskFull(monkeypatch, None)
        for second in range(61):
            store.touch(account.id, now + second)
        assert store.active.last_used_at == now + 60
        assert disk.written == ["accounts.json.previous", "accounts.json"] * 2
        store.touch(account.id, now + 61)
    with AccountStore.open(state_dir) as store:
        assert store.active.last_used_at == now + 61


def test_a_full_disk_does_not_fail_a_request(store, login, now, monkeypatch, caplog):
    account, _ = store.add(login(), now=now)
    DiskFull(monkeypatch, "accounts.json")
    with caplog.at_level(logging.WARNING):
        store.touch(account.id, now)
        store.mark_needs_login(account.id, "revoked.")
    assert store.active.needs_login == "revoked."
    assert "No space left" in caplog.text


def test_unknown_ids_are_refused(store, now):
    for call in (store.get, store.tokens, store.reload, store.switch):
        with pytest.raises(AccountNotFound):
            call("ffffffffffff")
    with pytest.raises(AccountNotFound):
        store.mark_needs_login("ffffffffffff", "x")
    with pytest.raises(AccountNotFound):
        store.save_tokens("ffffffffffff", RefreshReply("a"), now=now)


def test_a_file_that_the_system_does_not_give_is_named_and_kept(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    path = auth_path(state_dir, account)
    path.unlink()
    path.mkdir()
    with AccountStore.open(state_dir) as store:
        assert "Check who owns it" in store.problems[0]
        store.add(login(), now=now)
    assert path.with_suffix(".json.unreadable").is_dir()


@pytest.mark.parametrize("refused", ["accounts.json", "accounts.json.previous"])
def test_a_new_login_stands_though_the_list_cannot_be_written(state_dir, login, now, monkeypatch, refused):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
        store.mark_needs_login(account.id, "revoked.")
        with monkeypatch.context() as patch:
            DiskFull(patch, refused)
            account, added = store.add(login(refresh_token="rt_new", plan="pro"), now=now)
            assert added is AddOutcome.UPDATED
            assert store.tokens(account.id).refresh_token == "rt_new"
            assert store.active == account
            store.close()
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_new"
        assert store.active.needs_login is None


def test_the_list_as_somebody_edited_it_is_kept_aside(state_dir, store, login, now):
    account, _ = store.add(login(), now=now)
    path = state_dir / "accounts.json"
    for content in ("{}", "what is this"):
        path.write_text(content)
        store.switch(account.id)
    assert (state_dir / "accounts.json.edited").read_text() == "{}"
    assert (state_dir / "accounts.json.edited.2").read_text() == "what is this"
    path.unlink()
    store.switch(account.id)
    assert json.loads(path.read_bytes())["active"] == account.id
    assert not (state_dir / "accounts.json.edited.3").exists()


def test_a_listed_workspace_that_no_header_takes_is_read_from_the_login_again(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(), now=now)
    path = state_dir / "accounts.json"
    path.write_text(path.read_text().replace(account.chatgpt_account_id, "w\u00e9"))
    with AccountStore.open(state_dir) as store:
        assert store.accounts[0].chatgpt_account_id == account.chatgpt_account_id
        assert "chatgpt_account_id" in store.problems[0]


def test_accounts_of_one_email_have_distinct_labels_everywhere(state_dir, login, now):
    with AccountStore.open(state_dir) as store:
        alone, _ = store.add(login(), now=now)
        assert alone.label == "ann@example.com"
        at_work, _ = store.add(login(workspace="22222222-work"), now=now, simulated=True)
        labels = ["ann@example.com/11111111", "ann@example.com/22222222 (simulated)"]
        assert at_work.label == labels[1]
        assert [account.label for account in store.accounts] == labels
        assert (store.active.label, store.get(at_work.id).label) == tuple(labels)
        auth_path(state_dir, alone).unlink()
        with pytest.raises(AccountNeedsLogin, match=labels[0]):
            store.reload(alone.id)
        assert store.problems[0].startswith(labels[0])
        assert "mark" not in (state_dir / "accounts.json").read_text()
        store.remove(at_work.id)
        assert store.get(alone.id).label == "ann@example.com"
