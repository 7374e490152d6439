import pytest

from codexd.translation.models.catalogue import BUILT_IN, EFFORTS, Catalogue, ModelInfo
from codexd.translation.models.routes import FAMILIES, find_family, route

NAMES = {
    "opus": ("gpt-5.5", "gpt-5.4"),
    "sonnet": ("gpt-5.5",),
    "fable": ("gpt-5.5",),
    "haiku": ("gpt-5.4-mini",),
    "codex": ("gpt-5.3-codex",),
    "default": ("gpt-5.2",),
}


@pytest.mark.parametrize(
    ("asked", "candidates", "family"),
    [
        ("opus", NAMES["opus"], "opus"),
        ("claude-opus-5-5", NAMES["opus"], "opus"),
        ("claude-opus-4-6[1m]", NAMES["opus"], "opus"),
        ("claude-3-opus-20240229", NAMES["opus"], "opus"),
        ("sonnet", NAMES["sonnet"], "sonnet"),
        ("sonnet[1m]", NAMES["sonnet"], "sonnet"),
        ("claude-sonnet-4-5-20250929", NAMES["sonnet"], "sonnet"),
        ("claude-fable-1", NAMES["fable"], "fable"),
        ("haiku", NAMES["haiku"], "haiku"),
        ("claude-haiku-4-5-20251001", NAMES["haiku"], "haiku"),
        ("codex", NAMES["codex"], "codex"),
        ("claude-next-9", NAMES["default"], None),
        ("claude", NAMES["default"], None),
        ("my-opus", NAMES["default"], None),
        ("gemini-3", NAMES["default"], None),
        ("", NAMES["default"], None),
        ("gpt-5.5", ("gpt-5.5",), None),
        ("gpt-9-unheard-of", ("gpt-9-unheard-of",), None),
        ("claude-gpt-5.5", ("gpt-5.5",), None),
        ("claude-gpt-5.5[1m]", ("gpt-5.5",), None),
        ("codex-auto-review", ("codex-auto-review",), None),
    ],
)
def test_route(asked, candidates, family):
    found = route(asked, NAMES, {})
    assert (found.asked, found.candidates, found.family) == (asked, candidates, family)


@pytest.mark.parametrize("model", BUILT_IN.models, ids=lambda model: model.slug)
def test_every_name_of_the_catalogue_passes_through(model):
    assert route(model.slug, NAMES, {}).candidates == (model.slug,)
    assert route(f"claude-{model.slug}", NAMES, {}).candidates == (model.slug,)


@pytest.mark.parametrize(
    ("asked", "candidates"),
    [
        ("claude-opus-5", ("gpt-exact",)),
        ("claude-opus-5[1m]", ("gpt-exact",)),
        ("claude-opus-6", ("gpt-glob",)),
        ("gpt-5.5", ("gpt-other",)),
        ("Claude-opus-6", ("gpt-5.2",)),
        ("sonnet", ("gpt-5.5",)),
    ],
)
def test_aliases_are_looked_at_first(asked, candidates):
    aliases = {"claude-opus-*": "gpt-glob", "claude-opus-5": "gpt-exact", "gpt-5.?": "gpt-other"}
    assert route(asked, NAMES, aliases).candidates == candidates


def test_an_alias_keeps_the_family_for_its_settings():
    assert route("claude-opus-5", NAMES, {"claude-*": "gpt-6-sol"}).family == "opus"


def test_every_family_is_found():
    assert [find_family(family) for family in FAMILIES] == list(FAMILIES)
    assert find_family("gpt-5.5") is None


def offering(*slugs, refused=(), is_built_in=False):
    return Catalogue(tuple(ModelInfo(slug, slug) for slug in slugs), is_built_in, frozenset(refused))


@pytest.mark.parametrize(
    ("catalogue", "chosen"),
    [
        (offering("a", "b"), "a"),
        (offering("b", "c"), "b"),
        (offering("c"), "c"),
        (offering("z"), "a"),
        (offering(), "a"),
        (offering("a", "b", "c", refused="a"), "b"),
        (offering("a", "c", refused="a"), "c"),
        (offering("a", refused="a"), "b"),
        (offering("a", "b", "c", refused="abc"), "a"),
        (offering("b", is_built_in=True), "b"),
        (offering("z", is_built_in=True), "a"),
        (offering("b", refused="a", is_built_in=True), "b"),
        (offering("c", refused="a", is_built_in=True), "c"),
        (offering(refused="abc", is_built_in=True), "a"),
    ],
)
def test_the_first_that_is_offered_and_not_refused_is_chosen(catalogue, chosen):
    assert catalogue.choose(("a", "b", "c")) == chosen


def test_a_model_that_the_account_is_not_offered_is_described_all_the_same():
    catalogue = offering("gpt-new")
    assert catalogue.describe("gpt-6.1-terra").context_window == 500_000
    assert catalogue.describe("gpt-unheard-of") == ModelInfo("gpt-unheard-of", "gpt-unheard-of")


def test_listed_are_the_visible_ones_by_priority():
    models = [
        ModelInfo(name, name, priority=number, visibility=how)
        for name, number, how in (("b", 2, "list"), ("secret", 0, "hide"), ("a", 1, "list"))
    ]
    assert [model.slug for model in Catalogue(tuple(models)).listed] == ["a", "b"]


@pytest.mark.parametrize(
    ("effort", "slug", "clamped"),
    [
        ("low", "gpt-5.5", "low"),
        ("xhigh", "gpt-5.5", "xhigh"),
        ("max", "gpt-5.5", "xhigh"),
        ("ultra", "gpt-5.5", "xhigh"),
        ("none", "gpt-5.5", "low"),
        ("minimal", "gpt-5.5", "low"),
        ("max", "gpt-6.1-sol", "max"),
        ("ultra", "gpt-6.1-sol", "xhigh"),
        ("ultra", "gpt-6-sol", "max"),
        ("none", "gpt-6.1-sol", "low"),
        ("max", "gpt-unheard-of", "xhigh"),
        ("none", "gpt-unheard-of", "low"),
        ("medium", "gpt-unheard-of", "medium"),
    ],
)
def test_clamp_effort(effort, slug, clamped):
    assert BUILT_IN.describe(slug).clamp_effort(effort) == clamped


@pytest.mark.parametrize("model", BUILT_IN.models, ids=lambda model: model.slug)
def test_a_clamped_effort_is_offered_and_not_above_what_was_asked(model):
    weakest = min(model.efforts, key=EFFORTS.index)
    for effort in EFFORTS:
        clamped = model.clamp_effort(effort)
        assert clamped in model.efforts
        assert clamped == weakest or EFFORTS.index(clamped) <= EFFORTS.index(effort)


def test_catalogue():
    assert BUILT_IN.find("gpt-5.5") in BUILT_IN.models
    assert BUILT_IN.find("gpt-unheard-of") is None
    assert len({model.slug for model in BUILT_IN.models}) == len(BUILT_IN.models)
    assert all(set(model.efforts) <= set(EFFORTS) and model.context_window > 0 for model in BUILT_IN.models)
