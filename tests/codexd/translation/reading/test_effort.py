import pytest
from attrs import evolve

from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.effort import AskedTier, effort_of_budget, fit_effort, fit_tier, fit_verbosity
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


@pytest.mark.parametrize(
    ("model", "effort", "fitted"),
    [
        ("gpt-6.2-sol", "ultra", "xhigh"),
        ("gpt-6-sol", "ultra", "max"),
        ("gpt-6-luna", "ultra", "max"),
        ("gpt-5.5", "ultra", "xhigh"),
        ("gpt-6.2-sol", "max", "max"),
        ("gpt-6-sol", "none", "low"),
        ("gpt-6-luna", "minimal", "low"),
    ],
)
def test_an_effort_by_the_models_entry_in_the_catalogue(model, effort, fitted):
    assert fit_effort(effort, BUILT_IN.describe(model), None, Losses()) == fitted


def test_an_effort_that_the_request_does_not_name_is_no_loss_of_it():
    losses = Losses()
    assert fit_effort("max", MODEL, None, losses) == "high"
    assert not losses


@pytest.mark.parametrize(
    ("verbosity", "model", "fitted", "lost"),
    [
        ("low", MODEL, "low", False),
        (None, MODEL, "low", False),
        (None, evolve(MODEL, default_verbosity=None), None, False),
        (None, PLAIN, None, False),
        ("medium", PLAIN, None, False),
        ("low", PLAIN, None, True),
    ],
)
def test_verbosity(verbosity, model, fitted, lost):
    losses = Losses()
    assert fit_verbosity(verbosity, model, "verbosity", losses) == fitted
    assert recorded(losses) == ([(LossKind.DROPPED, "verbosity")] if lost else [])


@pytest.mark.parametrize(
    ("asked", "model", "default", "sent", "lost"),
    [
        (AskedTier("service_tier"), MODEL, None, "priority", False),
        (AskedTier("service_tier"), PLAIN, None, None, True),
        (AskedTier(), MODEL, None, None, False),
        (AskedTier(), MODEL, "priority", "priority", False),
        (AskedTier(is_usual=True), MODEL, "priority", None, False),
    ],
)
def test_the_service_tier(asked, model, default, sent, lost):
    losses = Losses()
    assert fit_tier(asked, model, default, losses) == sent
    assert recorded(losses) == ([(LossKind.DROPPED, "service_tier")] if lost else [])
