from codexd import bounds
from codexd.accounts.choosing.sessions import ACTIVE_S, Sessions
from codexd.api.accounts import SwitchCost

NOW = 1_795_000_000.0


def test_a_session_is_kept_by_the_account_that_it_was_put_on():
    sessions = Sessions()
    assert sessions.kept_account("s1") is None
    sessions.put("s1", "ann", NOW)
    sessions.put("s1", "bob", NOW)
    sessions.put("s2", "ann", NOW)
    assert (sessions.kept_account("s1"), sessions.kept_account("s2")) == ("bob", "ann")


def test_after_a_release_none_is_kept_until_it_is_put_again():
    sessions = Sessions()
    sessions.put("s1", "ann", NOW)
    sessions.put("s2", "ann", NOW)
    sessions.release()
    sessions.put("s2", "bob", NOW)
    assert (sessions.kept_account("s1"), sessions.kept_account("s2")) == (None, "bob")


def test_the_session_unused_for_longest_is_forgotten():
    sessions = Sessions()
    for number in range(bounds.SESSIONS):
        sessions.put(f"s{number}", "ann", NOW)
    sessions.put("s0", "ann", NOW)
    sessions.put("new", "ann", NOW)
    assert sessions.kept_account("s1") is None
    assert sessions.kept_account("s0") == sessions.kept_account("new") == "ann"


def test_a_switch_costs_what_the_sessions_elsewhere_have_to_read_again():
    sessions = Sessions()
    for key, account_id, used_at, tokens, items in (
        ("s1", "ann", NOW, 100_000, 7),
        ("s2", "ann", NOW - ACTIVE_S + 1, 20_000, 3),
        ("silent", "ann", NOW - ACTIVE_S, 999, 9),
        ("there", "bob", NOW, 5_000, 2),
    ):
        sessions.put(key, account_id, used_at)
        sessions.note_size(key, input_tokens=tokens, reasoning_items=items)
    sessions.put("unanswered", "cid", NOW)
    assert sessions.cost_of_switch("bob", NOW) == SwitchCost(sessions=2, reasoning_items=10, tokens=120_000)
    assert sessions.cost_of_switch("ann", NOW) == SwitchCost(sessions=1, reasoning_items=2, tokens=5_000)
    assert Sessions().cost_of_switch("ann", NOW) == SwitchCost(0, 0, 0)


def test_a_release_changes_nothing_about_the_cost():
    sessions = Sessions()
    sessions.put("s1", "ann", NOW)
    sessions.note_size("s1", input_tokens=10, reasoning_items=1)
    sessions.note_size("unknown", input_tokens=10, reasoning_items=1)
    sessions.release()
    assert sessions.cost_of_switch("bob", NOW) == SwitchCost(1, 1, 10)
