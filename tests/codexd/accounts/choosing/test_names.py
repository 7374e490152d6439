import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.choosing.names import MIN_ID_CHARS, find_account, find_mark
from codexd.accounts.model import Account
from codexd.errors import AccountAmbiguous, AccountNotFound


def make(account_id, email, workspace="w", plan="plus"):
    return Account(account_id, workspace, "u", email, plan, 0.0)


def with_marks(accounts):
    return tuple(attrs.evolve(each, mark=find_mark(each, accounts)) for each in accounts)


ALL = ANN, ANN_AT_WORK, BOB, NAMELESS = with_marks(
    (
        make("aa0000000001", "ann@example.com", "3f9c2a1b-77aa"),
        make("aa0000000002", "ann@example.com", "b0b5e2d4-1122", "team"),
        make("bb0000000003", "Bob@example.com", "3f9c2a1b-77aa"),
        make("cc0000000004", ""),
    )
)


def test_labels_are_distinct():
    assert [account.name for account in ALL] == [
        "ann@example.com/3f9c2a1b",
        "ann@example.com/b0b5e2d4",
        "Bob@example.com",
        "cc0000000004",
    ]


@pytest.mark.parametrize(
    ("workspaces", "marks"),
    [
        (["3f9c2a1b-77aa", "3f9c2a1b-88aa"], ["3f9c2a1b-7", "3f9c2a1b-8"]),
        (["short", "shorter"], ["short", "shorter"]),
        (["same", "same"], ["000000000000", "000000000001"]),
        (["alone"], [""]),
    ],
)
def test_marks(workspaces, marks):
    accounts = [make(f"{number:012x}", "ann@example.com", each) for number, each in enumerate(workspaces)]
    assert [find_mark(each, accounts) for each in accounts] == marks


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aa0000000001", ANN),
        ("AA0000000002", ANN_AT_WORK),
        ("bob@example.com", BOB),
        ("BOB", BOB),
        (" b ", BOB),
        ("Bob@example.com (simulated)", BOB),
        ("bb0000", BOB),
        ("ann@example.com/b0", ANN_AT_WORK),
        ("ANN@EXAMPLE.COM/3F9C2A1B", ANN),
        ("b0b5e2", ANN_AT_WORK),
        ("cc", NAMELESS),
    ],
)
def test_find(name, found):
    assert find_account(ALL, name) == found


@pytest.mark.parametrize("name", ["ann@example.com", "ann", "a", "aa0000"])
def test_ambiguous_names_list_the_candidates(name):
    with pytest.raises(AccountAmbiguous) as caught:
        find_account(ALL, name)
    assert "ann@example.com/3f9c2a1b (plus), ann@example.com/b0b5e2d4 (team)." in str(caught.value)
    assert "bb" not in str(caught.value)


def test_without_accounts_the_way_to_one_is_named():
    with pytest.raises(AccountNotFound, match=r"no account 'x': none is signed in. Run `codexctl accounts add`"):
        find_account((), "x")


@pytest.mark.parametrize("name", ["", " ", "nobody", "example.com", "bb", "bb000", "3f9c", "b0b5e"])
def test_unknown_names_list_the_known(name):
    known = r"ann@example\.com/3f9c2a1b, ann@example\.com/b0b5e2d4, Bob@example\.com, cc0000000004"
    with pytest.raises(AccountNotFound, match=known):
        find_account(ALL, name)


def test_the_beginning_of_an_email_comes_before_the_beginning_of_an_id():
    other = make("b00000000009", "deadbe@example.com", "deadbeef")
    hidden = make("deadbe000000", "x@example.com", "w")
    assert find_account((hidden, other), "deadbe") == other


def test_an_exact_email_beats_a_longer_one():
    longer = make("dd0000000005", "bob@example.com.au")
    assert find_account((longer, BOB), "bob@example.com") == BOB


_accounts = st.lists(
    st.tuples(st.sampled_from(["", "a@b", "ab@b", "a@bc"]), st.text("ab", min_size=1, max_size=12)), max_size=5
).map(lambda pairs: with_marks([make(f"{number:012x}", *pair) for number, pair in enumerate(pairs)]))


@given(_accounts)
def test_each_label_is_distinct_and_names_its_account(accounts):
    assert len({account.name for account in accounts}) == len(accounts)
    for account in accounts:
        assert find_account(accounts, account.name) == account
        assert find_account(accounts, account.label.upper()) == account


@given(_accounts, st.text("ab@c0", max_size=5))
def test_find_gives_the_only_fit_or_says_why_not(accounts, name):
    assert len(name) < MIN_ID_CHARS
    workspace = [account for account in accounts if account.chatgpt_account_id == name]
    exact = [account for account in accounts if account.email == name] if name else []
    prefixed = [account for account in accounts if name and account.name.startswith(name)]
    fits = [account for account in accounts if account in exact or account in workspace] or prefixed
    if len(fits) == 1:
        assert find_account(accounts, name) == fits[0]
    else:
        with pytest.raises(AccountAmbiguous if fits else AccountNotFound):
            find_account(accounts, name)
