"""What is held in memory while its file can't be read or written."""

from pathlib import Path

import pytest

from codexd.accounts.model import Account
from codexd.accounts.store.held import HeldLogins
from codexd.accounts.store.lock import StoreLock
from codexd.accounts.store.login_file import parse_login, write_login


@pytest.fixture
def own(login):
    return parse_login(login() | {"more": "kept"})


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_held_login_serves_on_only_for_a_followed_file(tmp_path, own, is_followed):
    held, account_id = HeldLogins(tmp_path / "accounts", StoreLock(0)), own.identity.account_id
    write_login(tmp_path / "accounts" / account_id, account_id, own)
    path = tmp_path / "accounts" / account_id / "auth.json"
    account = Account(account_id, "w", "u", "ann@example.com", "plus", 0.0, followed=str(path) if is_followed else None)
    held.load(account)
    assert held.unusable_reason(account) is None
    Path(path).write_bytes(b"{half")
    held.load(account)
    assert held.find(account_id) == own
    assert "can't be used" in held.find_problem(account_id)
    assert (held.unusable_reason(account) is None) == is_followed
    held.forget(account_id)
    assert (held.find(account_id), held.unusable_reason(account)) == (None, None)
