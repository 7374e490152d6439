import pytest
from attrs import evolve

from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.effort import effort_of_budget, fit_effort, fit_verbosity, has_priority
from codexd.translation.reading.losses import Losses, LossKind

MODEL = evolve(BUILT_IN.describe("gpt-5.5"), efforts=("low", "medium", "high"), service_tiers=("priority",))
PLAIN = evolve(MODEL, verbosity=False, service_tiers=())


def recorded(losses):
    return [(loss.kind, loss.path) for loss in losses]


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(0, "low"), (1024, "low"), (1025, "medium"), (8192, "medium"), (24576, "high"), (24577, "xhigh")],
)
def test_a_budget_as_a_level(budget, effort):
    assert effort_of_budget(budget) == effort


@pytest.mark.parametrize(("effort", "fitted"), [("high", "high"), ("max", "high"), ("none", "low")])
def test_the_nearest_effort(effort, fitted):
    losses = Losses()
    assert fit_effort(effort, MODEL, "reasoning_effort", losses) == fitted
    assert recorded(losses) == ([] if effort == fitted else [(LossKind.APPROXIMATED, "reasoning_effort")])


def test_an_effort_that_the_request_does_not_name_is_no_loss_of_it():
    losses = Losses()
    assert fit_effort("max", MODEL, None, losses) == "high"
    assert not losses


@pytest.mark.parametrize(
    ("verbosity", "model", "fitted", "lost"),
    [
        ("low", MODEL, "low", False),
        (None, PLAIN, None, False),
        ("medium", PLAIN, None, False),
        ("low", PLAIN, None, True),
    ],
)
def test_verbosity(verbosity, model, fitted, lost):
    losses = Losses()
    assert fit_verbosity(verbosity, model, "verbosity", losses) == fitted
    assert recorded(losses) == ([(LossKind.DROPPED, "verbosity")] if lost else [])


def test_the_priority_tier():
    losses = Losses()
    assert has_priority(MODEL, "service_tier", losses)
    assert not losses
    assert not has_priority(PLAIN, "service_tier", losses)
    assert recorded(losses) == [(LossKind.DROPPED, "service_tier")]
