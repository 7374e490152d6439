"""The decision about a failed attempt, as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd import errors
from codexd.accounts.choosing.choose import SHORT_LIMIT_S
from codexd.turns.retry import BLOCKED_PAUSE_S, ONCE_A_REQUEST, GiveUp, How, Retry, RetryContext, decide

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
BLOCKED = errors.UpstreamBlocked("Cloudflare", status=403)
BUSY = errors.Overloaded("overloaded", status=503)


def state(*tried, begun=False, available_in_s=600.0, rotates=False, other_model=False, gone=False):
    return RetryContext(begun, frozenset(tried), available_in_s, rotates, other_model, gone)


@pytest.mark.parametrize(
    ("error", "at", "how"),
    [
        (EMPTY, state(), How.ASK_AGAIN),
        (EMPTY, state(begun=True), How.ASK_AGAIN),
        (EMPTY, state(How.ASK_AGAIN), None),
        (EMPTY, state(How.ASK_AGAIN, rotates=True), None),
        (BLOCKED, state(), How.AFTER_PAUSE),
        (BLOCKED, state(How.AFTER_PAUSE, rotates=True), None),
        (BLOCKED, state(begun=True), None),
        (REJECTED, state(), How.FRESH_TOKEN),
        (REJECTED, state(How.FRESH_TOKEN), None),
        (REJECTED, state(begun=True), None),
        (STALE, state(), How.WITHOUT_REASONING),
        (STALE, state(How.WITHOUT_REASONING), None),
        (STALE, state(begun=True), None),
        (NO_MODEL, state(other_model=True), How.OTHER_MODEL),
        (NO_MODEL, state(), None),
        (NO_MODEL, state(rotates=True), How.OTHER_ACCOUNT),
        (NO_MODEL, state(rotates=True, other_model=True), How.OTHER_MODEL),
        (GONE, state(gone=True), How.CHOOSE_AGAIN),
        (GONE, state(), None),
        (USED_UP, state(), None),
        (USED_UP, state(rotates=True), How.OTHER_ACCOUNT),
        (USED_UP, state(available_in_s=2.0), How.AFTER_WAIT),
        (USED_UP, state(available_in_s=2.0, rotates=True), How.AFTER_WAIT),
        (USED_UP, state(How.AFTER_WAIT, available_in_s=2.0), None),
        (USED_UP, state(How.AFTER_WAIT, available_in_s=2.0, rotates=True), How.OTHER_ACCOUNT),
        (USED_UP, state(available_in_s=2.0, begun=True), None),
        (TOO_FAST, state(available_in_s=SHORT_LIMIT_S), How.AFTER_WAIT),
        (TOO_FAST, state(available_in_s=SHORT_LIMIT_S + 0.1), None),
        (TOO_FAST, state(available_in_s=None), None),
        (DEAD, state(), None),
        (DEAD, state(rotates=True), How.OTHER_ACCOUNT),
        (DEAD, state(rotates=True, begun=True), None),
        (PLAN, state(rotates=True), How.OTHER_ACCOUNT),
        (WORKSPACE, state(rotates=True), How.OTHER_ACCOUNT),
        (BUSY, state(rotates=True, available_in_s=1.0, other_model=True, gone=True), None),
        (errors.UpstreamTimeout("silent"), state(rotates=True), None),
        (errors.BackendSilent("silent"), state(rotates=True), None),
        (errors.RegionRefused("region"), state(rotates=True), How.OTHER_ACCOUNT),
        (errors.CountryRefused("country"), state(rotates=True), None),
        (errors.CreditsUsedUp("spent"), state(rotates=True), How.OTHER_ACCOUNT),
        (errors.FreshTokenRefused("401"), state(rotates=True), How.OTHER_ACCOUNT),
        (errors.StreamBroken("cut"), state(rotates=True), None),
        (errors.ContextOverflow("too long"), state(rotates=True), None),
        (errors.PolicyRefused("no"), state(rotates=True), None),
        (errors.RefreshUnavailable("down"), state(rotates=True), None),
    ],
)
def test_what_follows(error, at, how):
    decision = decide(error, at)
    assert (decision.how if isinstance(decision, Retry) else None) is how
    waits_s = {How.AFTER_WAIT: at.available_in_s, How.AFTER_PAUSE: BLOCKED_PAUSE_S}
    assert decision == GiveUp() or decision.wait_s == waits_s.get(how, 0.0)


@pytest.mark.parametrize(
    ("retry", "words"),
    [
        (Retry(How.AFTER_WAIT, 1.0), "1.0 s later"),
        (Retry(How.AFTER_PAUSE, BLOCKED_PAUSE_S), "1.0 s later"),
        (Retry(How.OTHER_ACCOUNT), "with another account"),
        (Retry(How.AFTER_WAIT), "at once"),
        (Retry(How.FRESH_TOKEN), "at once"),
    ],
)
def test_the_words_of_the_timeline(retry, words):
    assert retry.description == words


ERRORS = st.sampled_from([EMPTY, REJECTED, STALE, USED_UP, TOO_FAST, DEAD, PLAN, WORKSPACE, BLOCKED, BUSY])


@given(st.lists(ERRORS, min_size=12, max_size=12), st.booleans())
def test_whatever_fails_on_one_account_it_is_asked_a_bounded_number_of_times(failures, rotates):
    tried = set()
    for asked, error in enumerate(failures, 1):
        decision = decide(error, state(*tried, available_in_s=1.0, rotates=rotates))
        if isinstance(decision, GiveUp) or decision.how is How.OTHER_ACCOUNT:
            assert asked <= len(ONCE_A_REQUEST) + 3
            return
        assert decision.how not in tried
        tried.add(decision.how)
    pytest.fail("it never gave up")
