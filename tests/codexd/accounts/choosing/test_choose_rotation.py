import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.choosing.choose import (
    SHORT_LIMIT_S,
    Candidate,
    History,
    Rotation,
    Strategy,
    add_failure,
    describe_failure,
)
from codexd.accounts.model import Account
from codexd.errors import (
    AccountDisabled,
    AccountNeedsLogin,
    AllAccountsLimited,
    CodexdError,
    FollowedLoginStale,
    NoAccount,
    Overloaded,
    PlanRefused,
    RateLimited,
    UsageLimitReached,
)

NOW = 1_795_000_000.0


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    """Times are local."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def make(name, **facts):
    account_facts = {key: facts.pop(key) for key in ("disabled", "needs_login") if key in facts}
    return Candidate(Account(name, "w", "u", f"{name}@example.com", "plus", 0.0, **account_facts), **facts)


ANN, BOB, CID = make("ann"), make("bob"), make("cid")
ALL = (ANN, BOB, CID)


def limited(candidate, for_s, **facts):
    return attrs.evolve(candidate, available_at=NOW + for_s, **facts)


def dead(candidate):
    return attrs.evolve(candidate, account=attrs.evolve(candidate.account, needs_login="It was revoked."))


def disabled(candidate):
    return attrs.evolve(candidate, account=attrs.evolve(candidate.account, disabled=True))


def choose(candidates, *, strategy=Strategy.STICKY, failed=None, waited=(), **state):
    choice = Rotation(strategy, **state).choose(candidates, History(failed or {}, set(waited)), NOW)
    return choice.account.id, choice.reason, choice.wait_s


@pytest.mark.parametrize("strategy", Strategy)
def test_a_session_keeps_its_account_while_that_is_open(strategy):
    assert choose(ALL, strategy=strategy, kept="bob", last="ann", active="ann") == ("bob", "used by this session", 0.0)


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("closed", [dead(BOB), disabled(BOB), limited(BOB, 3600)])
def test_a_session_moves_on_when_its_account_is_closed(strategy, closed):
    account_id, reason, _ = choose((ANN, closed, CID), strategy=strategy, kept="bob", active="bob")
    assert account_id in ("ann", "cid")
    assert reason != "used by this session"


@pytest.mark.parametrize(
    ("state", "chosen"),
    [
        ({}, "ann"),
        ({"active": "cid"}, "cid"),
        ({"active": "cid", "last": "bob"}, "bob"),
        ({"active": "cid", "last": "removed"}, "cid"),
        ({"active": "removed", "last": "removed"}, "ann"),
    ],
)
def test_sticky_goes_on_with_the_account_used_last(state, chosen):
    assert choose(ALL, **state) == (chosen, "sticky", 0.0)


def test_sticky_takes_the_next_in_order_around_the_end():
    assert choose((ANN, BOB, limited(CID, 60)), last="cid")[0] == "ann"
    assert choose((ANN, limited(BOB, 60), CID), last="bob")[0] == "cid"


def test_round_robin_takes_turns_and_leaves_out_the_closed():
    def follow(candidates, times):
        last, seen = None, []
        for _ in range(times):
            last = choose(candidates, strategy=Strategy.ROUND_ROBIN, last=last, active="bob")[0]
            seen.append(last)
        return seen

    assert follow(ALL, 5) == ["bob", "cid", "ann", "bob", "cid"]
    assert follow((ANN, limited(BOB, 60), CID), 4) == ["cid", "ann", "cid", "ann"]


def test_most_remaining_takes_the_one_with_most_left():
    candidates = (make("ann", left_percent=10.0), make("bob", left_percent=60.0), make("cid", left_percent=59.0))
    assert choose(candidates, strategy=Strategy.MOST_REMAINING, last="ann") == ("bob", "most remaining", 0.0)


def test_most_remaining_counts_unknown_as_all_left_and_prefers_the_active_of_equals():
    known = make("ann", left_percent=99.0)
    assert choose((known, BOB, CID), strategy=Strategy.MOST_REMAINING)[0] == "bob"
    assert choose((known, BOB, CID), strategy=Strategy.MOST_REMAINING, active="cid")[0] == "cid"


def test_a_short_limit_of_the_sessions_own_account_is_waited_for():
    assert choose((ANN, limited(BOB, 4.0)), kept="bob") == ("bob", "used by this session", 4.0)
    assert choose((ANN, limited(BOB, SHORT_LIMIT_S + 1)), kept="bob")[0] == "ann"


def test_a_short_limit_is_waited_for_once():
    assert choose((ANN, limited(BOB, 4.0)), kept="bob", waited=["bob"])[0] == "ann"
    with pytest.raises(AllAccountsLimited):
        choose((limited(BOB, 4.0),), waited=["bob"])


def test_others_are_waited_for_only_when_none_is_open_the_first_to_open_first():
    assert choose((limited(ANN, 1.0), BOB), last="ann")[0] == "bob"
    assert choose((limited(ANN, 3.0), limited(BOB, 2.0), limited(CID, 60.0))) == ("bob", "available first", 2.0)


def test_each_account_is_tried_once():
    failed = {"ann": PlanRefused("x"), "bob": UsageLimitReached("y")}
    assert choose(ALL, kept="ann", last="bob", failed=failed)[0] == "cid"


def test_when_all_are_limited_the_words_say_which_opens_when():
    candidates = (limited(ANN, 3600), limited(BOB, 200_000, limited_model="gpt-x"), dead(CID), disabled(make("dan")))
    with pytest.raises(AllAccountsLimited) as caught:
        choose(candidates, failed={"ann": UsageLimitReached("used up")})
    assert str(caught.value) == (
        "No account can serve this request now: ann@example.com is available again in 1 h 0 min (2026-11-18 12:06); "
        "bob@example.com is available again for gpt-x in 2 d 7 h (2026-11-20 18:40); "
        "cid@example.com needs a new login; dan@example.com is disabled."
    )
    assert caught.value.resets_at == NOW + 3600


def test_an_account_that_failed_for_another_reason_does_not_count_as_one_that_opens():
    with pytest.raises(AllAccountsLimited) as caught:
        choose((limited(ANN, 60), limited(BOB, 3600)), failed={"ann": PlanRefused("x")})
    assert "ann@example.com was tried (its plan was refused)" in str(caught.value)
    assert caught.value.resets_at == NOW + 3600


def test_without_a_limit_the_last_failure_is_what_the_client_gets():
    first, last = AccountNeedsLogin("first"), PlanRefused("last")
    with pytest.raises(PlanRefused) as caught:
        choose((ANN, BOB, dead(CID)), failed={"bob": first, "ann": last})
    assert caught.value is last


def test_accounts_that_none_can_use_say_what_to_do():
    with pytest.raises(
        AccountNeedsLogin, match=r"ann@example\.com is disabled; bob@example\.com needs a new login\. Run"
    ):
        choose((disabled(ANN), dead(BOB)))
    with pytest.raises(AccountDisabled, match="codexctl accounts enable"):
        choose((disabled(ANN), disabled(BOB)))
    with pytest.raises(NoAccount, match="codexctl accounts add"):
        choose(())


def test_the_reason_names_the_account_that_was_tried_before():
    history = History({"ann": PlanRefused("x"), "bob": RateLimited("y")})
    choice = Rotation(Strategy.STICKY).choose(ALL, history, NOW)
    assert add_failure(choice, ALL, history).reason == "tried after bob@example.com: too many requests"
    assert add_failure(choice, ALL, History()) == choice


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AllAccountsLimited("x"), "usage limit reached"),
        (FollowedLoginStale("x"), "its followed login is out of date"),
        (Overloaded("x"), "overloaded"),
    ],
)
def test_why_an_account_failed_in_short(error, words):
    assert describe_failure(error) == words


candidates_of_any_kind = st.lists(
    st.builds(
        lambda opens_in, broken, off, left: Candidate(
            Account("", "w", "u", "", "plus", 0.0, needs_login="It died." if broken else None, disabled=off),
            available_at=None if opens_in is None else NOW + opens_in,
            left_percent=left,
        ),
        st.none() | st.floats(0.001, 1e6),
        st.booleans(),
        st.booleans(),
        st.floats(0, 100),
    ),
    max_size=6,
).map(
    lambda candidates: [
        attrs.evolve(candidate, account=attrs.evolve(candidate.account, id=f"a{number}"))
        for number, candidate in enumerate(candidates)
    ]
)
ids = st.sampled_from([None, *(f"a{number}" for number in range(7))])


@given(candidates_of_any_kind, st.sampled_from(Strategy), ids, ids, ids, st.sets(ids), st.sets(ids))
def test_whatever_the_state_an_account_that_can_serve_is_chosen(
    candidates, strategy, kept, last, active, tried, waited
):
    failed = {account_id: PlanRefused("x") for account_id in tried if account_id}
    fit = {
        candidate.account.id
        for candidate in candidates
        if candidate.is_usable and candidate.account.id not in failed
        if candidate.wait_s(NOW) <= (0 if candidate.account.id in waited else SHORT_LIMIT_S)
    }
    history = History(failed, waited)
    try:
        choice = Rotation(strategy, kept, last, active).choose(candidates, history, NOW)
    except CodexdError as error:
        assert not fit
        assert str(error)
        if isinstance(error, AllAccountsLimited):
            assert error.resets_at >= NOW
    else:
        assert choice.account.id in fit
        assert 0 <= choice.wait_s <= SHORT_LIMIT_S
        if kept in fit:
            assert choice.account.id == kept
