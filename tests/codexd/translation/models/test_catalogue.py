import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from codexd import jsontext
from codexd.simulator.models import make_models_document
from codexd.simulator.options import Options
from codexd.translation.models.catalogue import (
    BUILT_IN,
    EFFORTS,
    MAX_LABEL_CHARS,
    MAX_SLUG_CHARS,
    Catalogue,
    ModelInfo,
    explain_refusal,
    is_entry,
    read_catalogue,
    read_version,
)

ENTRY = {
    "slug": "gpt-7",
    "display_name": "GPT-7",
    "description": "Thinks.",
    "supported_reasoning_levels": [{"effort": "low", "description": "L"}, {"effort": "max", "description": "M"}],
    "default_reasoning_level": "low",
    "visibility": "list",
    "priority": 3,
    "service_tiers": [{"id": "priority", "name": "Fast", "description": "2x"}],
    "support_verbosity": True,
    "context_window": 400_000,
    "input_modalities": ["text"],
}
READ = ModelInfo("gpt-7", "GPT-7", 3, "list", 400_000, ("low", "max"), "low", True, ("text",), ("priority",), "Thinks.")


def read_one(entry):
    (model,) = read_catalogue([entry]).models
    return model


def test_an_entry():
    assert read_one(ENTRY) == READ


def test_an_entry_of_a_slug_alone_is_what_most_models_are():
    assert read_one({"slug": "gpt-7"}) == ModelInfo("gpt-7", "gpt-7")


LEVELS = "supported_reasoning_levels"


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"display_name": ""}, "display_name", "gpt-7"),
        ({"display_name": None}, "display_name", "gpt-7"),
        ({"priority": 0}, "priority", 0),
        ({"priority": "1"}, "priority", 1000),
        ({"priority": -1}, "priority", 1000),
        ({"visibility": "none"}, "visibility", "hide"),
        ({"visibility": None}, "visibility", "hide"),
        ({"context_window": None}, "context_window", 272_000),
        ({"context_window": 0}, "context_window", 272_000),
        ({"context_window": True}, "context_window", 272_000),
        ({"context_window": 1e6}, "context_window", 272_000),
        ({LEVELS: None}, "efforts", ("low", "medium", "high", "xhigh")),
        ({LEVELS: []}, "efforts", ("low", "medium", "high", "xhigh")),
        ({LEVELS: [{"effort": "ultra"}]}, "efforts", ("low", "medium", "high", "xhigh")),
        ({LEVELS: [{"effort": "deepest"}, "x", {"effort": ["low"]}, {"effort": "high"}]}, "efforts", ("high",)),
        ({LEVELS: [{"effort": "low"}, {"effort": "low"}]}, "efforts", ("low",)),
        ({"default_reasoning_level": "deepest"}, "default_effort", None),
        ({"support_verbosity": None}, "verbosity", True),
        ({"support_verbosity": False}, "verbosity", False),
        ({"input_modalities": None}, "input_modalities", ("text", "image")),
        ({"input_modalities": ["text", 1, "audio"]}, "input_modalities", ("text", "audio")),
        ({"service_tiers": None}, "service_tiers", ()),
        ({"service_tiers": []}, "service_tiers", ()),
        ({"description": 5}, "description", ""),
    ],
)
def test_what_is_odd_becomes_what_holds_of_most(changes, field, value):
    assert read_one(ENTRY | changes) == evolve(READ, **{field: value})


@pytest.mark.parametrize(
    "entry",
    [None, "gpt-7", [], {}, {"slug": None}, {"slug": ""}, {"slug": "a\nb"}, {"slug": "x" * (MAX_SLUG_CHARS + 1)}],
)
def test_what_names_no_model_is_left_out(entry):
    assert not is_entry(entry)
    assert read_catalogue([entry, ENTRY]).models == (READ,)


def test_of_two_with_the_same_slug_the_first():
    assert read_catalogue([ENTRY, ENTRY | {"priority": 9}]).models == (READ,)


def test_it_is_no_guess():
    assert not read_catalogue([]).is_built_in
    assert BUILT_IN.is_built_in


def test_the_simulators_list_reads_as_what_it_was_made_of():
    document = make_models_document(BUILT_IN.models, Options(), "0.169.0")
    read = read_catalogue(document["models"]).models
    assert tuple(evolve(model, description="") for model in read) == BUILT_IN.models


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(EFFORTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["effort", "id", "x"]), inner),
)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(ENTRY)), ANYTHING) | ANYTHING, max_size=4))
def test_any_list_gives_models_that_can_be_used(entries):
    for model in read_catalogue(entries).models:
        assert model.clamp_effort("high") in model.efforts
        assert model.context_window > 0
        assert jsontext.dumps(model.slug)


def test_words_are_fit_for_a_terminal():
    entry = {**ENTRY, "display_name": "\x1b[31mGPT\x07-7\n", "description": "\x1b]0;title\x07" + "x" * 9999}
    model = read_one(entry)
    assert model.display_name == "[31mGPT -7"
    assert model.description.isprintable()
    assert len(model.description) <= MAX_LABEL_CHARS


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.171.0", (0, 171, 0)), ("1.2", (1, 2)), ("", ()), ("new", ()), ("0.171.0-alpha", ()), ("9" * 99, ())],
)
def test_a_version(text, version):
    assert read_version(text) == version


OFFERED = Catalogue((ModelInfo("gpt-5.5", "GPT-5.5", 1, "list"), ModelInfo("gpt-6-sol", "GPT-6-Sol", 2, "list")))


@pytest.mark.parametrize(
    ("slug", "catalogue", "announced", "plan", "explained"),
    [
        (
            "gpt-6.2-sol",
            OFFERED,
            "0.171.0",
            "free",
            "codexd announces Codex 0.171.0, the model needs 0.166.0, your plan is free. To go on, choose another model, such as gpt-5.5.",
        ),
        (
            "gpt-6.2-sol",
            OFFERED,
            "0.150.0",
            "plus",
            "codexd announces Codex 0.150.0, the model needs 0.166.0, your plan is plus. To go on, raise the setting upstream.client_version to 0.166.0 or choose another model, such as gpt-5.5.",
        ),
        (
            "gpt-5.5",
            evolve(OFFERED, refused=frozenset({"gpt-5.5"})),
            "0.171.0",
            None,
            "codexd announces Codex 0.171.0. To go on, choose another model, such as gpt-6-sol.",
        ),
        (
            "gpt-9",
            Catalogue(()),
            "0.171.0",
            None,
            "codexd announces Codex 0.171.0.",
        ),
    ],
)  # fmt: skip
def test_a_refused_model_is_explained(slug, catalogue, announced, plan, explained):
    told = explain_refusal(slug, catalogue, said="No.", announced=announced, plan=plan)
    assert told == f"The backend does not offer {slug} to this account (No): {explained}"
