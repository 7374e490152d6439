"""The SPEC of ``--faults``: what it may say, what a wrong one is told, and when each fault strikes."""

import re

import pytest

from codexd.simulator.faults import KINDS, PLANS, Dice, Fault, Kind, Stage, describe_spec, find_asked, parse_plan


def rules_of(spec):
    return {rule.fault.name: (rule.chance, rule.every, rule.burst) for rule in parse_plan(spec).rules}


def throws(spec, count, *stages):
    dice = Dice(parse_plan(spec))
    return [struck.name if (struck := dice.throw(*(stages or (Stage.REQUEST,)))) else None for _ in range(count)]


@pytest.mark.parametrize(
    ("spec", "rules"),
    [
        ("reset:body=0.05", {"reset:body": (0.05, 0, 1)}),
        ("reset:body=.5, dripped=1", {"reset:body": (0.5, 0, 1), "dripped": (1.0, 0, 1)}),
        ("status=1/20", {"status:503": (0.0, 20, 1)}),
        ("status:529=1/20x5", {"status:529": (0.0, 20, 5)}),
        ("status:500=0.1,status:502=0.2", {"status:500": (0.1, 0, 1), "status:502": (0.2, 0, 1)}),
        ("dripped=0.1,dripped=0", {"dripped": (0.0, 0, 1)}),
        ("limit:3=0.1x2,seed=4", {"limit:3": (0.1, 0, 2)}),
        ("asked", {}),
    ],
)
def test_a_spec_is_a_list_of_kinds_and_rates(spec, rules):
    assert rules_of(spec) == rules


def test_a_plan_may_be_changed():
    assert rules_of("flaky,dripped=0")["dripped"] == (0.0, 0, 1)
    assert rules_of("flaky").keys() == rules_of("flaky,dripped=0").keys()


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_is_a_spec(plan):
    assert parse_plan(plan).text == plan


def test_hostile_has_every_kind_that_loses_no_login():
    kinds = {rule.fault.kind for rule in parse_plan("hostile").rules}
    assert set(Kind) - kinds == {Kind.TOKEN_REUSED, Kind.TOKEN_LOST}


def test_every_kind_says_where_it_strikes():
    assert set(KINDS) == set(Kind)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "'' is neither a plan nor KIND=RATE"),
        ("reset", "'reset' is neither"),
        ("explode=0.1", "'explode' is not a kind of fault"),
        ("reset=0.1", "'reset' is not a kind of fault"),
        ("dripped=2", "write a probability from 0 to 1"),
        ("dripped=-0.1", "write a probability"),
        ("dripped=1/0", "write a probability"),
        ("dripped=nan", "write a probability"),
        ("dripped=0.1x0", "write a probability"),
        ("dripped=", "write a probability"),
        ("dripped:5=0.1", "dripped takes no value"),
        ("status:200=0.1", "from 400 to 599"),
        ("status:abc=0.1", "takes a whole number, such as status:503"),
        ("token:down:99=1", "from 400 to 599"),
        ("limit:-1=0.1", "takes a whole number"),
        ("seed=x", "write a whole number"),
        ("seed=", "write a whole number"),
    ],
)
def test_a_wrong_spec_is_told_what_is_allowed(spec, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_plan(spec)


def test_the_description_names_everything():
    text = describe_spec()
    assert all(kind.value in text for kind in Kind)
    assert all(plan in text for plan in PLANS)


def test_every_nth_request_and_its_burst():
    assert throws("status=1/3x2", 8) == [None, None, "status:503", "status:503", None, "status:503", "status:503", None]


def test_the_same_seed_repeats_the_choices():
    spec = "hostile,seed=5"
    assert throws(spec, 300) == throws(spec, 300)
    assert throws(spec, 300) != throws("hostile,seed=6", 300)


def test_a_rate_is_about_kept():
    assert 60 <= sum(struck is not None for struck in throws("dripped=0.1,seed=1", 1_000)) <= 140


@pytest.mark.parametrize(("rate", "strikes"), [("0", 0), ("1", 50), ("1.0", 50), ("0.0", 0)])
def test_never_and_always(rate, strikes):
    assert sum(struck is not None for struck in throws(f"gzip={rate}", 50)) == strikes


def test_another_kind_does_not_change_when_a_kind_strikes():
    alone = [struck == "dripped" for struck in throws("dripped=0.2,seed=2", 100)]
    beside = [struck == "dripped" for struck in throws("dripped=0.2,gzip=0.5,seed=2", 100)]
    assert alone == beside


def test_each_stage_has_its_own_kinds():
    spec = "refused=1,token:down=1,event:lost=1"
    assert throws(spec, 1, Stage.CONNECTION) == ["refused:200"]
    assert throws(spec, 1, Stage.TOKEN) == ["token:down:503"]
    assert throws(spec, 1, Stage.REQUEST) == [None]
    assert throws(spec, 1, Stage.REQUEST, Stage.STREAM) == ["event:lost"]


@pytest.mark.parametrize(
    ("prompt", "name", "once"),
    [
        ("Hello [fault reset:body]", "reset:body", False),
        ("[fault status:404] Hello", "status:404", False),
        ("[fault event:lost once]", "event:lost", True),
        ("[fault nonsense] [fault gzip]", "gzip", False),
        ("[fault token:down]", None, False),
        ("[fault refused]", None, False),
        ("fault gzip", None, False),
        ("", None, False),
    ],
)
def test_a_prompt_asks_for_a_fault(prompt, name, once):
    asked = find_asked(prompt, Stage.REQUEST)
    assert (asked.fault.name, asked.once) == (name, once) if name else asked is None


def test_once_is_once_for_each_prompt():
    dice = Dice(parse_plan("asked"))
    assert dice.obey("[fault gzip once] a", Stage.REQUEST).kind is Kind.GZIP
    assert dice.obey("[fault gzip once] a", Stage.REQUEST) is None
    assert dice.obey("[fault gzip once] b", Stage.REQUEST) is not None
    assert [dice.obey("[fault gzip]", Stage.REQUEST) is not None for _ in range(3)] == [True] * 3


def test_what_a_prompt_asks_for_strikes_the_shortest_answer():
    """It has one delta."""
    dice = Dice(parse_plan("asked"))
    assert {dice.obey("[fault event:lost]", Stage.REQUEST).place for _ in range(30)} == {1}


def test_a_fault_has_its_name():
    assert Fault(Kind.STATUS, 529).name == "status:529"
    assert Fault(Kind.GZIP).name == "gzip"
