import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.limits.cooldown import DEFAULT_S, SETTLE_S, SPENT_S, Cooldown, Reason, is_quota_back, make_cooldown
from codexd.accounts.limits.windows import MAIN_LIMIT, Observation, Window
from codexd.api.accounts import CreditsInfo
from codexd.errors import CreditsUsedUp, RateLimited, UsageLimitReached

NOW = 1_795_000_000.0
DAY = 86400.0
MODEL = "gpt-5.5"


def window(used, resets_in=3600.0, name="5h", limit=None):
    return Window(name, used, 18000.0, NOW + resets_in, limit)


def weekly(used, resets_in=6 * DAY):
    return window(used, resets_in, "weekly")


def spark(used, resets_in=1800.0):
    return window(used, resets_in, "spark 5h", "spark")


def saw(*windows, at=NOW, **said):
    return Observation(windows, "plus", at, **said)


def usage_limit(**told):
    return UsageLimitReached("The usage limit has been reached", status=429, **told)


def rate_limit(**told):
    return RateLimited("Rate limit reached", status=429, **told)


def begin(error, observation=None):
    return make_cooldown(error, model=MODEL, observation=observation, now=NOW)


@pytest.mark.parametrize(
    ("error", "observation", "length_s"),
    [
        (usage_limit(resets_at=NOW + 6 * DAY), None, 6 * DAY),
        (usage_limit(resets_at=NOW + 6 * DAY, retry_after_s=9.0), saw(window(100.0)), 6 * DAY),
        (usage_limit(retry_after_s=9.0), saw(window(100.0)), 9.0),
        (usage_limit(), saw(window(100.0), weekly(3.0)), 3600.0),
        (usage_limit(), saw(window(100.0), weekly(100.0)), 6 * DAY),
        (usage_limit(), saw(window(100.0, resets_in=-1.0)), DEFAULT_S),
        (usage_limit(), saw(window(99.0)), DEFAULT_S),
        (usage_limit(), None, DEFAULT_S),
        (usage_limit(resets_at=NOW), None, DEFAULT_S),
        (usage_limit(resets_at=0.0, retry_after_s=0.0), None, DEFAULT_S),
        (CreditsUsedUp("spent", status=429), None, SPENT_S),
        (CreditsUsedUp("spent", status=429), saw(window(70.0), weekly(45.0)), SPENT_S),
        (CreditsUsedUp("spent", status=429), saw(window(100.0)), 3600.0),
        (rate_limit(retry_after_s=2.0), None, 2.0),
        (rate_limit(), None, DEFAULT_S),
        (rate_limit(resets_at=NOW + 20), None, 20.0),
    ],
)
def test_how_long_it_lasts(error, observation, length_s):
    cooldown = begin(error, observation)
    assert cooldown.until == NOW + length_s
    assert (cooldown.since, cooldown.checked_at) == (NOW, NOW)


def test_a_window_with_room_does_not_say_when_another_limit_ends():
    both = saw(window(40.0), weekly(100.0))
    assert begin(usage_limit(), both).until == NOW + 6 * DAY
    assert begin(rate_limit(), saw(window(40.0))).until == NOW + DEFAULT_S
    assert begin(rate_limit(retry_after_s=2.0), saw(window(40.0))).until == NOW + 2


def test_a_window_rounded_below_full_is_still_the_one_that_was_hit():
    assert begin(usage_limit(resets_at=NOW + 3600), saw(window(99.0), weekly(5.0))).until == NOW + 3600


@pytest.mark.parametrize(
    ("error", "observation", "model", "reason"),
    [
        (usage_limit(), None, None, Reason.USAGE_LIMIT),
        (usage_limit(), saw(window(100.0), active_limit=MAIN_LIMIT), None, Reason.USAGE_LIMIT),
        (usage_limit(), saw(window(40.0), spark(100.0), active_limit="spark"), MODEL, Reason.MODEL_LIMIT),
        (usage_limit(), saw(window(100.0), spark(100.0), active_limit="spark"), None, Reason.USAGE_LIMIT),
        (rate_limit(), None, None, Reason.RATE_LIMIT),
        (rate_limit(), saw(active_limit="spark"), MODEL, Reason.RATE_LIMIT),
    ],
)
def test_whom_it_holds(error, observation, model, reason):
    cooldown = begin(error, observation)
    assert (cooldown.model, cooldown.reason) == (model, reason)


def test_a_metered_limit_waits_for_its_own_window():
    seen = saw(window(40.0), spark(100.0), active_limit="spark")
    assert begin(usage_limit(), seen) == Cooldown(NOW + 1800, Reason.MODEL_LIMIT, MODEL, NOW, NOW, "spark")


PAYING, POOR = CreditsInfo(True, False, "9"), CreditsInfo(False, False, "0")


@pytest.mark.parametrize(
    ("seen", "known_credits", "is_back"),
    [
        (saw(window(99.9), weekly(0.0), at=NOW + 1), None, True),
        (saw(window(0.0), weekly(100.0), at=NOW + 1), None, False),
        (saw(at=NOW + 1), None, False),
        (saw(spark(0.0), at=NOW + 1), None, False),
        (saw(window(0.0), at=NOW), None, False),
        (saw(window(0.0), at=NOW - 5), None, False),
        (saw(allowed=True, at=NOW + 1), None, True),
        (saw(window(100.0), allowed=True, at=NOW + 1), None, True),
        (saw(window(50.0), allowed=False, at=NOW + 1), None, False),
        (saw(window(100.0), credits=PAYING, at=NOW + 1), POOR, True),
        (saw(window(100.0), credits=PAYING, at=NOW + 1), None, True),
        (saw(window(100.0), credits=PAYING, at=NOW + 1), PAYING, False),
        (saw(window(100.0), credits=POOR, at=NOW + 1), PAYING, False),
    ],
)
def test_quota_seen_again_ends_it(seen, known_credits, is_back):
    assert is_quota_back(begin(usage_limit(resets_at=NOW + 6 * DAY)), seen, known_credits) is is_back


def test_quota_left_says_nothing_of_a_short_limit_that_was_just_hit():
    cooldown = begin(rate_limit(retry_after_s=3600.0))
    assert not is_quota_back(cooldown, saw(window(1.0), at=NOW + SETTLE_S), None)
    assert is_quota_back(cooldown, saw(window(1.0), at=NOW + SETTLE_S + 1), None)


def test_a_metered_limit_ends_by_its_own_windows():
    cooldown = begin(usage_limit(), saw(spark(100.0), active_limit="spark"))
    assert not is_quota_back(cooldown, saw(window(0.0), allowed=True, at=NOW + 1), None)
    assert not is_quota_back(cooldown, saw(window(0.0), spark(100.0), at=NOW + 1), None)
    assert is_quota_back(cooldown, saw(window(100.0), spark(3.0), at=NOW + 1), None)


def test_it_is_over_at_its_end():
    cooldown = begin(rate_limit(retry_after_s=2.0))
    assert [cooldown.is_over(NOW + after) for after in (1.9, 2.0)] == [False, True]


moments = st.none() | st.floats(0, 4e11, allow_nan=False)
windows = st.builds(
    Window,
    st.sampled_from(["5h", "weekly", "spark 5h"]),
    st.floats(0, 200),
    st.just(18000.0),
    st.floats(NOW - DAY, NOW + 7 * DAY),
    st.sampled_from([None, "spark"]),
)
observations = st.builds(
    Observation,
    st.lists(windows, max_size=3).map(tuple),
    st.none(),
    st.floats(NOW - 60, NOW + 60),
    allowed=st.none() | st.booleans(),
    active_limit=st.sampled_from([None, MAIN_LIMIT, "spark"]),
)


@given(st.sampled_from([UsageLimitReached, RateLimited]), moments, moments, st.none() | observations)
def test_every_refusal_begins_a_cooldown_that_lies_ahead(kind, resets_at, retry_after_s, observation):
    error = kind("no", status=429, resets_at=resets_at, retry_after_s=retry_after_s)
    cooldown = begin(error, observation)
    assert not cooldown.is_over(NOW)
    assert (cooldown.model is None) == (cooldown.limit is None)


@given(st.sampled_from([UsageLimitReached, RateLimited]), observations)
def test_a_refusal_does_not_end_its_own_cooldown(kind, observation):
    observation = attrs.evolve(observation, at=NOW)
    assert not is_quota_back(begin(kind("no", status=429), observation), observation, None)


@pytest.mark.parametrize(
    ("seen", "is_back"),
    [
        (saw(window(10.0), at=NOW + 9, allowed=True, spent="workspace_member_credits_depleted", complete=True), False),
        (saw(at=NOW + 9, credits=CreditsInfo(True, False, "10")), False),
        (saw(window(10.0), at=NOW + 9, complete=True), True),
        (saw(window(10.0), at=NOW + 9), True),
        (saw(window(10.0), at=NOW), False),
    ],
)
def test_used_up_credits_are_back_once_the_backend_no_longer_says_so(seen, is_back):
    cooldown = begin(CreditsUsedUp("spent", status=429))
    assert (cooldown.reason, cooldown.model, cooldown.limit) == (Reason.SPENT, None, None)
    assert is_quota_back(cooldown, seen, None) is is_back
