import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.outages import JITTER, MAX_RETRY_AFTER_S, MAX_S, PROBE_S, BackOff, RefreshOutages, back_off_s
from codexd.errors import LoginNotSavable, RefreshUnavailable

NOW = 1000.0


def make_back_off(jitter=0.0):
    return BackOff(lambda: jitter)


@pytest.fixture
def server():
    return make_back_off()


@pytest.fixture
def outages(server):
    return RefreshOutages(server, make_back_off)


@given(st.integers(1, 10**6))
def test_the_wait_grows_to_its_bound(failures):
    assert 5 <= back_off_s(failures) <= back_off_s(failures + 1) <= MAX_S


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30), st.floats(-1, 1))
def test_the_next_attempt_is_always_within_bounds_and_a_success_ends_it(steps, jitter):
    server, now = make_back_off(jitter), NOW
    for pause_s, works in steps:
        now += pause_s
        if server.refuses(now):
            continue
        server.begin(now)
        server.note_success() if works else server.note_failure("It failed.", now)
        assert server.refuses(now) != works
        assert not server.refuses(now + MAX_S * (1 + JITTER))
        assert (server.failures == 0) == works


def test_failures_of_one_moment_count_once(server):
    for _ in range(60):
        server.note_failure("It failed.", NOW)
    assert (server.failures, server.retry_at) == (1, NOW + 5)


def test_after_an_outage_one_tries_before_all_do(server):
    server.note_failure("It failed.", NOW)
    assert not server.refuses(NOW + 5)
    server.begin(NOW + 5)
    assert server.refuses(NOW + 6)
    assert not server.refuses(NOW + 5 + PROBE_S)
    server.note_failure("It failed again.", NOW + 7)
    assert (server.failures, server.retry_at, server.problem) == (2, NOW + 17, "It failed again.")


@pytest.mark.parametrize(("asked_s", "waits_s"), [(None, 5), (1, 5), (90, 90), (10**9, MAX_RETRY_AFTER_S)])
def test_what_the_server_asks_for_is_honoured(server, asked_s, waits_s):
    server.note_failure("It answered 429.", NOW, asked_s)
    assert server.retry_at == NOW + waits_s


def test_a_later_answer_may_ask_for_more(server):
    server.note_failure("It failed.", NOW)
    server.note_failure("It answered 429.", NOW + 1, 90)
    assert (server.failures, server.retry_at) == (1, NOW + 91)


def test_a_clock_that_is_set_back_does_not_prolong_it(server):
    server.note_failure("It failed.", NOW)
    assert not server.refuses(NOW - 1)


def test_a_user_may_try_earlier(server):
    for number in range(5):
        server.begin(NOW + 100 * number)
        server.note_failure("It failed.", NOW + 100 * number)
    assert server.refuses(NOW + 404, by_hand=True)
    assert not server.refuses(NOW + 405, by_hand=True)
    assert server.refuses(NOW + 405)


def test_the_server_is_everyones_an_answer_is_the_accounts(server, outages):
    told = outages.note_failure("ann", RefreshUnavailable("It answered 403."), NOW)
    assert str(told) == "It answered 403. codexd tries again in 5 s."
    outages.begin("bob", NOW, by_hand=False)
    with pytest.raises(RefreshUnavailable, match="in 4 s"):
        outages.begin("ann", NOW + 1, by_hand=False)
    outages.note_success("ann")
    outages.begin("ann", NOW + 1, by_hand=False)
    server.note_failure("It answered 503.", NOW, 600)
    for account_id in ("ann", "bob"):
        outages.note_failure(account_id, RefreshUnavailable("It answered 503."), NOW)
        assert outages.find(account_id) is server
        with pytest.raises(RefreshUnavailable, match=r"It answered 503\. codexd tries again in 10 min"):
            outages.begin(account_id, NOW, by_hand=False)
    server.note_success()
    for account_id in ("ann", "bob"):
        assert outages.retry_at(account_id, NOW) is None
        assert outages.find(account_id) is None


def test_a_disk_may_be_tried_again_soon(outages):
    for number in range(5):
        outages.note_failure("ann", LoginNotSavable("The disk is full."), NOW + 100 * number)
    with pytest.raises(LoginNotSavable, match="The disk is full"):
        outages.begin("ann", NOW + 404, by_hand=False)
    assert outages.retry_at("ann", NOW + 404) == NOW + 460
    outages.begin("ann", NOW + 404, by_hand=True)
    outages.begin("ann", NOW + 409, by_hand=False)
    assert outages.find("ann").problem == "The disk is full."
