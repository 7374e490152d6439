"""The effort of Chat requests, and whether their answers show reasoning."""

import pytest
from support.bodies import check_accepted
from support.chat_bodies import (
    ask,
    assistant,
    losses_of,
    read,
    sealed,
    translate,
    user,
)

from codexd.translation.reading.losses import LossKind


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, {"effort": "high", "summary": "auto"}),
        ({"reasoning_effort": "max"}, {"effort": "xhigh", "summary": "auto"}),
        ({"reasoning_effort": "none"}, {"effort": "low"}),
        ({"reasoning": {"effort": "low"}}, {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"max_tokens": 9000}}, {"effort": "high", "summary": "auto"}),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"effort": "low"}),
        ({"reasoning": {"enabled": False}}, {"effort": "low"}),
        ({"reasoning": {"summary": "detailed"}}, {"summary": "detailed"}),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, {"effort": "low", "summary": "auto"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"effort": "medium", "summary": "auto"}),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        ({"thinking": {"type": "disabled"}}, {"effort": "low"}),
        ({"include_reasoning": True}, {"summary": "auto"}),
        ({"include_reasoning": False, "reasoning_effort": "low"}, {"effort": "low"}),
    ],
)
def test_effort_and_whether_reasoning_is_shown(fields, reasoning):
    body = translate(ask(**fields))
    assert body.get("reasoning") == reasoning
    assert read(ask(**fields)).effort.shown is ("summary" in (reasoning or {}))
    check_accepted(body)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_details"])
def test_who_has_reasoning_in_the_history_is_shown_it(name):
    value = [sealed()] if name == "reasoning_details" else "thought"
    assert translate(ask(user("hi"), assistant("x", **{name: value}), user("go")))["reasoning"] == {"summary": "auto"}


def test_the_settings_effort_counts_where_the_request_does_not_say():
    assert translate(ask(), default_effort="low")["reasoning"] == {"effort": "low"}
    assert translate(ask(reasoning_effort="high"), default_effort="low")["reasoning"]["effort"] == "high"


def test_an_effort_that_the_model_lacks_is_a_loss_of_the_field_that_asks():
    assert losses_of(ask(reasoning_effort="max")) == {"reasoning_effort": LossKind.APPROXIMATED}
    assert losses_of(ask(thinking={"type": "disabled"})) == {"thinking": LossKind.APPROXIMATED}
    assert losses_of(ask(), default_effort="max") == {}
