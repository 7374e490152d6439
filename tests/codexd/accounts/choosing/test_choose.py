import attrs
import pytest

from codexd.accounts.choosing.choose import choose_account
from codexd.accounts.model import Account
from codexd.errors import AccountDisabled, AccountNeedsLogin, NoAccount


def make(account_id, email):
    return Account(account_id, "w", "u", email, "plus", 0.0)


ANN = make("aa0000000001", "ann@example.com")
BOB = make("bb0000000003", "Bob@example.com")
ALL = (ANN, BOB)


def test_the_active_account_serves_and_no_other():
    assert choose_account(BOB, ALL) == BOB


def test_no_account_says_what_to_do():
    with pytest.raises(NoAccount, match="codexctl accounts add"):
        choose_account(None, ())
    with pytest.raises(NoAccount, match="codexctl accounts switch"):
        choose_account(None, ALL)


def test_a_dead_active_account_is_not_replaced_by_another():
    dead = attrs.evolve(BOB, needs_login="It was revoked. Run `codex login`.")
    with pytest.raises(AccountNeedsLogin, match=r"Bob@example\.com needs a new login\. It was revoked\."):
        choose_account(dead, (ANN, dead))


def test_a_disabled_active_account_is_not_replaced_by_another():
    disabled = attrs.evolve(BOB, disabled=True, needs_login="It was revoked.")
    with pytest.raises(AccountDisabled, match=r"codexctl accounts enable Bob@example\.com"):
        choose_account(disabled, (ANN, disabled))
