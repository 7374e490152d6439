from hypothesis import given
from hypothesis import strategies as st

from codexd.clients.undo import Entry, make_plan

KEYS = ("A", "B", "C")
RAW = st.sampled_from([None, '"1"', '"2"', "3"])
VALUES = st.fixed_dictionaries(dict.fromkeys(KEYS, RAW))
WANTED = st.dictionaries(st.sampled_from(KEYS), RAW)


def apply(now, plan):
    return now | plan.targets


@given(VALUES, st.lists(WANTED))
def test_however_often_it_is_changed_a_reset_brings_the_first_values_back(first, changes):
    now, entries = first, {}
    for wanted in changes:
        plan = make_plan(now, entries, wanted)
        now, entries = apply(now, plan), plan.entries
        assert now == first | wanted
    plan = make_plan(now, entries, {})
    assert apply(now, plan) == first
    assert plan.entries == {}
    assert plan.left == ()


@given(VALUES, WANTED, WANTED)
def test_what_the_user_changed_since_stays(first, wanted, users):
    plan = make_plan(first, {}, wanted)
    ours = apply(first, plan)
    users = {key: value for key, value in users.items() if value != ours[key]}
    reset = make_plan(ours | users, plan.entries, {})
    assert apply(ours | users, reset) == first | users
    assert set(reset.left) == set(users) & set(plan.entries)


def test_other_escapes_are_the_same_value():
    entries = {"A": Entry(None, '"http://x/é"')}
    plan = make_plan({"A": '"http:\\/\\/x/\\u00e9"'}, entries, {})
    assert plan.targets == {"A": None}
