import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.choosing.names import find_account
from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNotFound


def make(account_id, email):
    return Account(account_id, "w", "u", email, "plus", 0.0)


ANN = make("aa0000000001", "ann@example.com")
ANN_AT_WORK = make("aa0000000002", "ann@example.com")
BOB = make("bb0000000003", "Bob@example.com")
NAMELESS = make("cc0000000004", "")
ALL = (ANN, ANN_AT_WORK, BOB, NAMELESS)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aa0000000001", ANN),
        ("AA0000000002", ANN_AT_WORK),
        ("bob@example.com", BOB),
        ("BOB", BOB),
        ("bb", BOB),
        (" b ", BOB),
        ("cc", NAMELESS),
    ],
)
def test_find(name, found):
    assert find_account(ALL, name) == found


@pytest.mark.parametrize("name", ["ann@example.com", "ann", "a", "aa00"])
def test_ambiguous_names_list_the_candidates(name):
    with pytest.raises(AccountAmbiguous) as caught:
        find_account(ALL, name)
    assert "aa0000000001 (ann@example.com, plan plus, workspace w)" in str(caught.value)
    assert "aa0000000002 (ann@example.com, plan plus, workspace w)" in str(caught.value)
    assert "bb" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "nobody", "example.com"])
def test_unknown_names_list_the_known(name):
    with pytest.raises(AccountNotFound, match=r"ann@example\.com, ann@example\.com, Bob@example\.com, cc0000000004"):
        find_account(ALL, name)


def test_an_exact_email_beats_a_longer_one():
    longer = make("dd0000000005", "bob@example.com.au")
    assert find_account((longer, BOB), "bob@example.com") == BOB


@given(st.lists(st.text("ab@", min_size=1, max_size=4), max_size=5), st.text("ab@", max_size=4))
def test_find_gives_the_only_fit_or_says_why_not(emails, name):
    accounts = [make(f"{number:012x}", email) for number, email in enumerate(emails)]
    exact = [account for account in accounts if account.email == name]
    prefixed = [account for account in accounts if name and account.email.startswith(name)]
    fits = exact or prefixed
    if len(fits) == 1:
        assert find_account(accounts, name) == fits[0]
    else:
        with pytest.raises(AccountAmbiguous if fits else AccountNotFound):
            find_account(accounts, name)
