import pytest

from codexd.translation.kilo.models import FreeModel, describe, is_kilo, read_free_models


@pytest.mark.parametrize(
    ("asked", "aliases", "leads"),
    [
        ("kilo", {}, True),
        ("kilo[1m]", {}, True),
        ("Kilo", {}, False),
        ("kilo-auto/free", {}, False),
        ("claude-kilo", {}, False),
        ("haiku", {}, False),
        ("haiku", {"haiku": "kilo"}, True),
        ("claude-haiku-4-5", {"claude-haiku-*": "kilo"}, True),
        ("claude-haiku-4-5", {"claude-haiku-*": "kilo", "claude-haiku-4-5": "gpt-5.5"}, False),
        ("kilo", {"kilo": "gpt-5.5"}, False),
        ("kilo", {"*": "gpt-5.5"}, False),
        ("a", {"a": "b", "b": "kilo"}, False),
    ],
)
def test_names(asked, aliases, leads):
    assert is_kilo(asked, aliases) is leads


@pytest.mark.parametrize(
    ("model", "free"),
    [
        ({"id": "a:free"}, True),
        ({"id": "a:free", "isFree": False}, False),
        ({"id": "a", "isFree": True}, True),
        ({"id": "a", "pricing": {"prompt": "0", "completion": 0}}, True),
        ({"id": "a", "pricing": {"prompt": "0", "completion": "0.01"}}, False),
        ({"id": "a", "pricing": {"prompt": "0"}}, False),
        ({"id": "a", "pricing": {"prompt": "nothing", "completion": []}}, False),
        ({"id": ""}, False),
        ({"name": "x:free"}, False),
        ("a:free", False),
    ],
)
def test_which_are_free(model, free):
    assert bool(read_free_models({"data": [model]})) is free


def test_what_is_said_of_them():
    full = {"id": "a:free", "name": "A", "context_length": 9, "supported_parameters": ["tools"]}
    bare = {"id": "b:free", "name": 3, "context_length": "many", "supported_parameters": None}
    assert read_free_models({"data": [full, bare]}) == (
        FreeModel("a:free", "A", 9, True),
        FreeModel("b:free", "b:free", None, None),
    )


@pytest.mark.parametrize("document", [None, [], {}, {"data": 3}, {"data": {}}])
def test_a_document_of_another_kind_lists_none(document):
    assert read_free_models(document) == ()


def test_efforts_end_where_those_of_kilo_end():
    assert describe("m", None).clamp_effort("max") == "xhigh"
    assert describe("m", 1).clamp_effort("none") == "none"
