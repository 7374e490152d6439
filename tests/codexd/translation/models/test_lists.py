import pytest

from codexd.translation.models.catalogue import BUILT_IN, Catalogue, ModelInfo
from codexd.translation.models.lists import Offers

NAMES = {
    "opus": ("gpt-7", "gpt-5.5"),
    "sonnet": ("gpt-5.5",),
    "fable": ("gpt-5.5",),
    "haiku": ("gpt-mini",),
    "codex": ("gpt-5.5",),
    "default": ("gpt-5.5",),
}
OFFERED = Catalogue(
    (
        ModelInfo("gpt-6.1-sol", "GPT-6.1-Sol", 1, "list", 500_000, ("low", "max")),
        ModelInfo("gpt-5.5", "GPT-5.5", 0, "list"),
        ModelInfo("secret", "Secret", 2, "hide", input_modalities=("text",)),
    )
)


def offers(**changes):
    return Offers(**{"names": NAMES, "aliases": {}, "catalogue": OFFERED} | changes)


def titles(listed):
    return {offer.id: offer.title for offer in listed}


def test_claude_code_sees_models_and_what_the_families_run_on():
    assert titles(offers().for_anthropic()) == {
        "claude-gpt-5.5": "GPT-5.5 (Codex)",
        "claude-gpt-6.1-sol": "GPT-6.1-Sol (Codex)",
        "claude-opus-5-5": "Opus on gpt-5.5 (Codex)",
        "claude-sonnet-5-5": "Sonnet on gpt-5.5 (Codex)",
        "claude-haiku-5-5": "Haiku on gpt-mini (Codex)",
        "claude-fable-5-2": "Fable on gpt-5.5 (Codex)",
    }
    assert next(iter(titles(offers().for_anthropic()))) == "claude-gpt-5.5"


def test_openais_clients_see_plain_names():
    assert titles(offers().for_openai()) == {"gpt-5.5": "GPT-5.5 (Codex)", "gpt-6.1-sol": "GPT-6.1-Sol (Codex)"}


def test_exact_aliases_are_listed_and_globs_are_not():
    aliases = {"mine": "gpt-6.1-sol", "claude-opus-*": "gpt-6.1-sol", "gpt-5.?": "secret", "x[ab]": "secret"}
    listed = titles(offers(aliases=aliases).for_anthropic())
    assert listed["mine"] == "mine on gpt-6.1-sol (Codex)"
    assert listed["claude-opus-5-5"] == "Opus on gpt-6.1-sol (Codex)"
    assert not any(mark in name for name in listed for mark in "*?[")
    assert list(titles(offers(aliases=aliases).for_openai())) == ["gpt-5.5", "gpt-6.1-sol", "mine"]


@pytest.mark.parametrize("catalogue", [OFFERED, BUILT_IN, Catalogue(())])
def test_each_name_once_and_none_promises_a_million(catalogue):
    aliases = {"gpt-5.5": "gpt-6.1-sol", "claude-opus-5-5": "gpt-5.5"}
    for listed in (
        offers(catalogue=catalogue, aliases=aliases).for_anthropic(),
        offers(catalogue=catalogue).for_openai(),
    ):
        names = [offer.id for offer in listed]
        assert len(names) == len(set(names))
        assert not any(name.endswith("[1m]") for name in names)


@pytest.mark.parametrize(
    ("asked", "id_", "slug"),
    [
        ("gpt-5.5", "gpt-5.5", "gpt-5.5"),
        ("claude-gpt-5.5[1m]", "claude-gpt-5.5", "gpt-5.5"),
        ("secret", "secret", "secret"),
        ("opus", "opus", "gpt-5.5"),
        ("claude-opus-4-1", "claude-opus-4-1", "gpt-5.5"),
        ("codex", "codex", "gpt-5.5"),
        ("mine", "mine", "secret"),
        ("gpt-9", None, None),
        ("claude-gpt-9", None, None),
        ("claude-next", None, None),
        ("kilo", None, None),
        ("", None, None),
    ],
)
def test_find(asked, id_, slug):
    found = offers(aliases={"mine": "secret"}).find(asked)
    assert (found and found.id, found and found.model.slug) == (id_, slug)


def test_kilo_only_where_its_route_is_open():
    opened = offers(kilo_model="vendor/free")
    for listed in (opened.for_anthropic(), opened.for_openai()):
        assert titles(listed)["kilo"] == "Kilo on vendor/free (a third party)"
        assert "kilo" not in titles(offers().for_openai())
    found = opened.find("kilo")
    assert found.to_openai()["owned_by"] == "kilo"
    assert found.to_anthropic()["max_input_tokens"] is None


def test_anthropics_entry():
    entry = offers().find("claude-gpt-6.1-sol").to_anthropic()
    assert (entry["type"], entry["lifecycle"], entry["line"]) == ("model", "active", None)
    assert (entry["max_input_tokens"], entry["max_tokens"]) == (500_000, 128_000)
    assert "500,000 tokens" in entry["description"]
    can = entry["capabilities"]
    supported = {level for level, told in can["effort"].items() if level != "supported" and told["supported"]}
    assert supported == {"low", "max"}
    assert can["image_input"]["supported"]
    assert not offers().find("secret").to_anthropic()["capabilities"]["image_input"]["supported"]
    assert offers().find("opus").to_anthropic()["line"] == "opus"
    assert offers().find("codex").to_anthropic()["line"] is None


def test_openais_entry():
    entry = offers().find("gpt-5.5").to_openai()
    sizes = {"context_window": 272_000, "context_length": 272_000, "max_output_tokens": 128_000}
    assert entry == {"id": "gpt-5.5", "object": "model", "created": 0, "owned_by": "openai", **sizes}
