"""A login that belongs to another program: its file is read, never written, and its tokens are copied nowhere."""

import json
import stat

import pytest

from codexd.accounts.model import AddOutcome, RefreshReply
from codexd.accounts.store import accounts_file
from codexd.accounts.store.store import AccountStore
from codexd.errors import AccountNeedsLogin, LoginFileInvalid


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def foreign(tmp_path, login):
    path = tmp_path / "codex" / "auth.json"
    path.parent.mkdir()
    path.write_text(json.dumps(login()))
    path.chmod(0o644)
    return path


@pytest.fixture
def follow(foreign, now):
    def follow(store):
        account, added = store.add(json.loads(foreign.read_bytes()), now=now, followed=foreign)
        assert account.followed == str(foreign)
        return account, added

    return follow


def own_files(state_dir):
    return [path for path in (state_dir / "accounts").rglob("*") if path.is_file()]


def test_no_copy_is_kept_and_the_file_is_left_as_it_is(state_dir, foreign, follow):
    before = foreign.read_bytes()
    with AccountStore.open(state_dir) as store:
        account, added = follow(store)
        assert added is AddOutcome.ADDED
        assert store.active == account
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_1"
        assert store.problems == ()
    assert own_files(state_dir) == []
    assert foreign.read_bytes() == before
    assert stat.S_IMODE(foreign.stat().st_mode) == 0o644


def test_what_the_other_program_rotated_is_taken_over_at_a_reload(store, foreign, follow, login, now):
    account, _ = follow(store)
    foreign.write_text(json.dumps(login(refresh_token="rt_2", plan="pro", exp=now + 9999)))
    assert store.tokens(account.id).refresh_token == "rt_1"
    tokens = store.reload(account.id)
    assert (tokens.refresh_token, tokens.expires_at) == ("rt_2", now + 9999)
    assert store.active.plan == "pro"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b'{"tokens":{"access_tok', "not JSON"),
        (b"\x00\xff", "not JSON"),
        (b'{"OPENAI_API_KEY":"sk-secret"}', "API key"),
        (None, "is missing"),
        ("bob", "another account (bob@example.com, workspace 11111111-2222-"),
    ],
)
def test_a_file_of_no_use_is_a_problem_for_as_long_as_it_lasts(state_dir, foreign, follow, login, content, words):
    whole = foreign.read_bytes()
    with AccountStore.open(state_dir) as store:
        account, _ = follow(store)
        foreign.unlink()
        if content == "bob":
            foreign.write_text(json.dumps(login(user="user-bob", email="bob@example.com")))
        elif content is not None:
            foreign.write_bytes(content)
        with pytest.raises(AccountNeedsLogin) as caught:
            store.reload(account.id)
        assert store.tokens(account.id).refresh_token == "rt_1"  # the last good ones go on serving
        assert store.active.needs_login is None
        for text in (str(caught.value), *store.problems):
            assert words in text
            assert str(foreign) in text
            assert "secret" not in text
        foreign.write_bytes(whole)
        store.reload(account.id)
        assert store.problems == ()


def test_a_file_of_no_use_at_the_start_needs_a_login_until_it_is_whole(state_dir, foreign, follow):
    with AccountStore.open(state_dir) as store:
        account, _ = follow(store)
    whole = foreign.read_bytes()
    foreign.write_bytes(whole[:99])
    with AccountStore.open(state_dir) as store:
        assert "not JSON" in store.active.needs_login
        with pytest.raises(AccountNeedsLogin):
            store.tokens(account.id)
        foreign.write_bytes(whole)
        assert store.reload(account.id).refresh_token == "rt_1"
        assert (store.active.needs_login, store.problems) == (None, ())


def test_following_deletes_the_copy_once_the_list_says_so(state_dir, foreign, follow, login, now, monkeypatch):
    def refuse(path, data):
        raise OSError(28, "No space left on device")

    with AccountStore.open(state_dir) as store:
        account, _ = store.add(login(refresh_token="rt_own"), now=now)
        with monkeypatch.context() as patch:
            patch.setattr(accounts_file, "write_atomic", refuse)
            with pytest.raises(OSError, match="No space"):
                follow(store)
        assert store.tokens(account.id).refresh_token == "rt_own"
        assert store.get(account.id).followed is None
        assert len(own_files(state_dir)) == 1
        _, added = follow(store)
        assert added is AddOutcome.UPDATED
        assert store.tokens(account.id).refresh_token == "rt_1"
    assert own_files(state_dir) == []


def test_following_keeps_a_copy_that_cannot_be_read(state_dir, store, follow, login, now):
    account, _ = store.add(login(), now=now)
    path = state_dir / "accounts" / account.id / "auth.json"
    path.write_bytes(b"{torn")
    follow(store)
    assert [file.name for file in own_files(state_dir)] == ["auth.json.unreadable"]
    assert store.problems == ()


def test_a_sign_in_makes_the_account_codexds_own(state_dir, foreign, follow, login, now):
    before = foreign.read_bytes()
    with AccountStore.open(state_dir) as store:
        follow(store)
        account, added = store.add(login(refresh_token="rt_own"), now=now)
        assert (added, account.followed) == (AddOutcome.UPDATED, None)
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_own"
        assert store.active.followed is None
    assert foreign.read_bytes() == before


def test_a_sign_in_that_is_not_listed_leaves_the_account_following(state_dir, follow, login, now, monkeypatch):
    def refuse(path, data):
        raise OSError(28, "No space left on device")

    with AccountStore.open(state_dir) as store:
        account, _ = follow(store)
        with monkeypatch.context() as patch:
            patch.setattr(accounts_file, "write_atomic", refuse)
            with pytest.raises(OSError, match="No space"):
                store.add(login(refresh_token="rt_own"), now=now)
        assert store.tokens(account.id).refresh_token == "rt_1"
    with AccountStore.open(state_dir) as store:
        assert store.get(account.id).followed
        assert store.tokens(account.id).refresh_token == "rt_1"
    assert own_files(state_dir) == []


def test_a_previous_list_does_not_undo_a_sign_in(state_dir, follow, login, now):
    with AccountStore.open(state_dir) as store:
        follow(store)
        account, _ = store.add(login(refresh_token="rt_own"), now=now)
    (state_dir / "accounts.json").write_bytes(b"torn")
    with AccountStore.open(state_dir) as store:
        assert store.get(account.id).followed is None
        assert store.tokens(account.id).refresh_token == "rt_own"


def test_removing_leaves_the_other_programs_login_alone(state_dir, foreign, follow):
    with AccountStore.open(state_dir) as store:
        account, _ = follow(store)
        assert store.remove(account.id) is None
        assert store.accounts == ()
    with AccountStore.open(state_dir) as store:
        assert store.accounts == ()
    assert foreign.exists()


def test_a_file_of_codexds_own_cannot_be_followed(state_dir, store, login, now):
    account, _ = store.add(login(), now=now)
    path = state_dir / "accounts" / account.id / "auth.json"
    with pytest.raises(LoginFileInvalid, match="codexd's own"):
        store.add(login(), now=now, followed=path)
    assert store.tokens(account.id).refresh_token == "rt_1"
    assert path.exists()


def test_a_refresh_that_ends_after_the_account_began_to_follow_is_not_written(state_dir, store, follow, login, now):
    store.add(login(refresh_token="rt_own"), now=now)
    account, _ = follow(store)
    for retired in (None, "rt_own"):
        reply = RefreshReply("opaque", "rt_own_2", None, 600.0)
        assert store.save_tokens(account.id, reply, now=now, retired=retired).refresh_token == "rt_1"
    assert own_files(state_dir) == []


def test_a_refresh_that_retired_the_followed_token_makes_the_login_codexds_own(state_dir, follow, login, now):
    with AccountStore.open(state_dir) as store:
        store.add(login(), now=now)
        account, _ = follow(store)  # the very login that a refresh of ours is just trading in
        reply = RefreshReply("opaque", "rt_2", None, 600.0)
        assert store.save_tokens(account.id, reply, now=now, retired="rt_1").refresh_token == "rt_2"
        assert store.get(account.id).followed is None
    with AccountStore.open(state_dir) as store:
        assert store.tokens(account.id).refresh_token == "rt_2"
