import pytest
from support.top_world import NOW, account, done, failed, model, request, tell, tokens

from codexctl.top.model import KEPT_REQUESTS, Request, Shown, Switching, Why, account_names


def running(*counted, **changes):
    """A running request whose answer had so many tokens at such times."""
    made = Request(request(**changes))
    for at, output in counted:
        made.take(request(tokens=tokens(output), **changes), NOW + at)
    return made


def test_the_rate_is_of_the_last_seconds():
    slowed = running((0, 0), (10, 1000), (12, 1020), (14, 1040), (16, 1060))
    assert slowed.tokens_per_s(NOW + 16) == pytest.approx(60 / 6)
    assert slowed.tokens_per_s(NOW + 20) == pytest.approx(60 / 6), "between two tellings it does not fall"


def test_an_answer_that_does_not_grow_is_silent():
    stuck = running((0, 100), (1, 200))
    stuck.take(request(tokens=tokens(200)), NOW + 6)
    assert stuck.silent_s(NOW + 6) == 5
    assert stuck.tokens_per_s(NOW + 6) == 0


def test_an_answer_that_has_not_begun_is_not_silent():
    waiting = running((0, 0), ttft_ms=None)
    assert waiting.silent_s(NOW + 60) == 0
    assert waiting.tokens_per_s(NOW + 60) is None


def test_an_answer_seen_once_has_the_rate_since_its_first_token():
    assert running((0, 370)).tokens_per_s(NOW) == pytest.approx(370 / 18.5)


def test_a_retry_is_counted_anew():
    retried = running((0, 100), (1, 200), (2, 10), (3, 40))
    assert retried.tokens_per_s(NOW + 3) == pytest.approx(30)


def test_a_request_that_ended_has_the_rate_of_the_whole():
    assert Request(done("req_a")).tokens_per_s(NOW + 1000) == 50
    assert Request(failed("req_a")).tokens_per_s(NOW) is None


def test_the_running_come_first_and_the_newest_on_top():
    made = model(
        done("req_a", started_at=NOW - 5), request("req_b", started_at=NOW - 90), request("req_c", started_at=NOW - 50)
    )
    tell(made, done("req_d", started_at=NOW - 1))
    assert [each.id for each in made.listed()] == ["req_c", "req_b", "req_d", "req_a"]


def test_only_so_many_are_kept_and_none_that_runs_is_dropped():
    made = model(request("req_running", started_at=NOW - 9999))
    tell(made, *(done(f"req_{number}") for number in range(KEPT_REQUESTS + 5)))
    assert len(made.requests) == KEPT_REQUESTS
    assert "req_running" in made.requests
    assert "req_5" not in made.requests
    assert "req_6" in made.requests


def test_a_filter_takes_words_of_any_field():
    made = model(request("req_a"), done("req_b", account="home@example.com"), failed("req_c"))
    for words, found in (
        ("HOME", ["req_b"]),
        ("work running", ["req_a"]),
        ("529", ["req_c"]),
        ("overloaded claude", ["req_c"]),
        ("nothing such", []),
    ):
        made.filter = words
        assert [each.id for each in made.listed()] == found, words
    made.filter, made.shown = "", Shown.FAILED
    assert [each.id for each in made.listed()] == ["req_c"]
    made.shown = Shown.RUNNING
    assert [each.id for each in made.listed()] == ["req_a"]


def test_a_daemon_that_comes_back_begins_anew():
    made = model(request("req_a"))
    made.lose("codexd closed the connection.", NOW)
    made.lose("codexd is not running.", NOW + 5)
    assert (made.gone, made.gone_at) == ("codexd is not running.", NOW)
    assert made.requests, "what was there is still shown"
    made.begin()
    assert (made.gone, made.requests, made.notice) == ("", {}, "codexd is back.")


def test_a_reply_is_for_the_pane_that_asked():
    made = model()
    made.pane = Why("req_a")
    made.take_reply("requests.explain", {"id": "req_b"}, {"summary": "of another"})
    assert made.pane == Why("req_a")
    made.take_refusal("requests.explain", {"id": "req_a"}, "There is no request req_a.")
    assert made.pane.problem == "There is no request req_a."
    made.pane = Switching("one")
    made.take_reply("accounts.switch", {"account": "two", "dry_run": True}, {"cost": {"sessions": 1}})
    assert made.pane.cost is None
    made.take_refusal("requests.cancel", {"id": "req_a"}, "The request req_a has already ended.")
    assert made.notice == "The request req_a has already ended."


def test_accounts_of_one_email_are_told_apart():
    one, two = account(id="1", label="work@example.com/aaaaaaaa"), account(id="2", label="work@example.com/bbbbbbbb")
    assert account_names([one, two]) == {"1": "work@example.com/aaaaaaaa", "2": "work@example.com/bbbbbbbb"}
