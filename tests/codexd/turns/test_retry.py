"""The decision about a failed attempt, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd import errors
from codexd.accounts.choosing.choose import SHORT_LIMIT_S
from codexd.turns.retry import ONCE_A_REQUEST, GiveUp, How, Retry, Standing, decide

EMPTY = errors.EmptyAnswer("empty", status=200)
REJECTED = errors.TokenRejected("expired", status=401)
STALE = errors.StaleReasoning("of another account", status=400)
NO_MODEL = errors.ModelRefused("not supported", status=400)
GONE = errors.AccountNotFound("There is no account x.")
USED_UP = errors.UsageLimitReached("used up", status=429)
TOO_FAST = errors.RateLimited("slow down", status=429)
DEAD = errors.AccountNeedsLogin("sign in again")
PLAN = errors.PlanRefused("not included", status=402)
WORKSPACE = errors.WorkspaceRefused("not a member", status=403)
BUSY = errors.Overloaded("overloaded", status=503)


def standing(*tried, begun=False, opens_in_s=600.0, rotates=False, other_model=False, gone=False):
    return Standing(begun, frozenset(tried), opens_in_s, rotates, other_model, gone)


@pytest.mark.parametrize(
    ("error", "at", "how"),
    [
        (EMPTY, standing(), How.ASK_AGAIN),
        (EMPTY, standing(begun=True), How.ASK_AGAIN),
        (EMPTY, standing(How.ASK_AGAIN), None),
        (EMPTY, standing(How.ASK_AGAIN, rotates=True), None),
        (REJECTED, standing(), How.FRESH_TOKEN),
        (REJECTED, standing(How.FRESH_TOKEN), None),
        (REJECTED, standing(begun=True), None),
        (STALE, standing(), How.WITHOUT_REASONING),
        (STALE, standing(How.WITHOUT_REASONING), None),
        (STALE, standing(begun=True), None),
        (NO_MODEL, standing(other_model=True), How.OTHER_MODEL),
        (NO_MODEL, standing(), None),
        (NO_MODEL, standing(rotates=True), How.OTHER_ACCOUNT),
        (NO_MODEL, standing(rotates=True, other_model=True), How.OTHER_MODEL),
        (GONE, standing(gone=True), How.CHOOSE_AGAIN),
        (GONE, standing(), None),
        (USED_UP, standing(), None),
        (USED_UP, standing(rotates=True), How.OTHER_ACCOUNT),
        (USED_UP, standing(opens_in_s=2.0), How.AFTER_WAIT),
        (USED_UP, standing(opens_in_s=2.0, rotates=True), How.AFTER_WAIT),
        (USED_UP, standing(How.AFTER_WAIT, opens_in_s=2.0), None),
        (USED_UP, standing(How.AFTER_WAIT, opens_in_s=2.0, rotates=True), How.OTHER_ACCOUNT),
        (USED_UP, standing(opens_in_s=2.0, begun=True), None),
        (TOO_FAST, standing(opens_in_s=SHORT_LIMIT_S), How.AFTER_WAIT),
        (TOO_FAST, standing(opens_in_s=SHORT_LIMIT_S + 0.1), None),
        (TOO_FAST, standing(opens_in_s=None), None),
        (DEAD, standing(), None),
        (DEAD, standing(rotates=True), How.OTHER_ACCOUNT),
        (DEAD, standing(rotates=True, begun=True), None),
        (PLAN, standing(rotates=True), How.OTHER_ACCOUNT),
        (WORKSPACE, standing(rotates=True), How.OTHER_ACCOUNT),
        (BUSY, standing(rotates=True, opens_in_s=1.0, other_model=True, gone=True), None),
        (errors.UpstreamTimeout("silent"), standing(rotates=True), None),
        (errors.StreamBroken("cut"), standing(rotates=True), None),
        (errors.ContextOverflow("too long"), standing(rotates=True), None),
        (errors.PolicyRefused("no"), standing(rotates=True), None),
        (errors.RefreshUnavailable("down"), standing(rotates=True), None),
    ],
)
def test_what_follows(error, at, how):
    decision = decide(error, at)
    assert (decision.how if isinstance(decision, Retry) else None) is how
    assert decision == GiveUp() or decision.wait_s == (at.opens_in_s if how is How.AFTER_WAIT else 0.0)


def test_the_words_of_the_timeline():
    words = {how: Retry(how).words for how in How}
    assert words.pop(How.AFTER_WAIT) == words.pop(How.OTHER_ACCOUNT) == "with an account that is open"
    assert set(words.values()) == {"at once"}


ERRORS = st.sampled_from([EMPTY, REJECTED, STALE, USED_UP, TOO_FAST, DEAD, PLAN, WORKSPACE, BUSY])


@given(st.lists(ERRORS, min_size=12, max_size=12), st.booleans())
def test_whatever_fails_on_one_account_it_is_asked_a_bounded_number_of_times(failures, rotates):
    tried = set()
    for asked, error in enumerate(failures, 1):
        decision = decide(error, standing(*tried, opens_in_s=1.0, rotates=rotates))
        if isinstance(decision, GiveUp) or decision.how is How.OTHER_ACCOUNT:
            assert asked <= len(ONCE_A_REQUEST) + 3
            return
        assert decision.how not in tried
        tried.add(decision.how)
    pytest.fail("it never gave up")
